"""Throttles of replicas that move: added to what is set already, and taken away again.

What is set where is Kafka's own way: KIP-73. A forgotten throttle slows normal replication down.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from backroom.domain.errors import KafkaUnavailable, StepRejected
from backroom.operations.operation import StepContext
from backroom.ports import ConfigEntry, ConfigResource, ItemError

LEADER_RATE = "leader.replication.throttled.rate"
FOLLOWER_RATE = "follower.replication.throttled.rate"
LEADER_REPLICAS = "leader.replication.throttled.replicas"
FOLLOWER_REPLICAS = "follower.replication.throttled.replicas"
RATES = (LEADER_RATE, FOLLOWER_RATE)
EVERY_REPLICA = "*"

Changes = dict[ConfigResource, dict[str, str | None]]
Merge = Callable[[set[str], set[str]], set[str]]


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """What a reassignment holds back. `replicas` has `partition:broker` by topic and config name.

    `before` has the rates that brokers had, by broker and name: they get them back.
    """

    bytes_per_s: int
    brokers: tuple[int, ...]
    replicas: dict[str, dict[str, tuple[str, ...]]]
    before: dict[str, dict[str, str]] = {}


async def rates_in_force(
    context: StepContext[Any], brokers: Iterable[int]
) -> dict[str, dict[str, str]]:
    """Those set on these brokers, by broker and name."""
    resources = [_broker(broker) for broker in brokers]
    found = await context.kafka.configs(context.task.instance_id, resources)
    set_there = {
        resource.name: {name: entries[name].value for name in RATES if _is_set(entries, name)}
        for resource, entries in found.items()
    }
    return {broker: rates for broker, rates in set_there.items() if rates}


async def set_throttle(context: StepContext[Any], throttle: Throttle) -> bool:
    """Set what is missing; True once all of it is seen to be there."""
    rates = dict.fromkeys(RATES, str(throttle.bytes_per_s))
    wanted = {_broker(broker): rates for broker in throttle.brokers}
    return await _agree(context, throttle, wanted, set.union)


async def clear_throttle(
    context: StepContext[Any], throttle: Throttle, *, is_blind: bool = False
) -> bool:
    """Take away what is ours; True once it is seen to be gone.

    `is_blind` does it whatever is seen: it may have been set a moment ago.
    """
    wanted = {
        _broker(broker): {name: throttle.before.get(str(broker), {}).get(name) for name in RATES}
        for broker in throttle.brokers
    }
    return await _agree(context, throttle, wanted, set.difference, is_blind=is_blind)


async def clear_leftover(context: StepContext[Any], throttle: Throttle) -> bool:
    """Long after: what is there and still as we had set it. True where nothing was."""
    brokers = [_broker(broker) for broker in throttle.brokers]
    seen = await context.kafka.configs(context.task.instance_id, brokers)
    ours = str(throttle.bytes_per_s)
    rates = {
        resource: {
            name: throttle.before.get(resource.name, {}).get(name)
            for name in RATES
            if _override(entries, name) == ours
        }
        for resource, entries in seen.items()
    }
    held = {resource: names for resource, names in rates.items() if names}
    return await _agree(context, throttle, held, set.difference) and len(seen) == len(brokers)


async def _agree(
    context: StepContext[Any],
    throttle: Throttle,
    rates: Mapping[ConfigResource, Mapping[str, str | None]],
    merge: Merge,
    *,
    is_blind: bool = False,
) -> bool:
    topics = {ConfigResource("topic", name): ours for name, ours in throttle.replicas.items()}
    seen = await context.kafka.configs(context.task.instance_id, [*rates, *topics])
    changes: Changes = {}
    for resource, entries in seen.items():
        wanted = rates.get(resource) or _merged(entries, topics[resource], merge)
        missing = {
            name: value
            for name, value in wanted.items()
            if is_blind or _override(entries, name) != value
        }
        if missing:
            changes[resource] = missing
    if changes:
        _judge(await context.kafka.alter_configs(context.task.instance_id, changes))
    silent = [resource.name for resource in rates if resource not in seen]
    if silent:
        raise KafkaUnavailable(f"brokers that do not answer: {', '.join(silent)}")
    return not changes


def _merged(
    entries: Mapping[str, ConfigEntry], ours: Mapping[str, Iterable[str]], merge: Merge
) -> dict[str, str | None]:
    """The lists as they are to be; None for one that ends up empty. `*` covers all: left alone."""
    wanted: dict[str, str | None] = {}
    for name, replicas in ours.items():
        listed = _override(entries, name) or ""
        if listed != EVERY_REPLICA:
            merged = merge(set(filter(None, listed.split(","))), set(replicas))
            is_same = merged == set(filter(None, listed.split(",")))
            wanted[name] = (listed if is_same else ",".join(sorted(merged))) or None
    return wanted


def _judge(results: Mapping[ConfigResource, ItemError | None]) -> None:
    for resource, error in results.items():
        if error is None or error.code == "UNKNOWN_TOPIC_OR_PARTITION":  # gone: nothing to hold
            continue
        if error.code == "BROKER_NOT_AVAILABLE":
            raise KafkaUnavailable(f"broker {resource.name} does not answer")
        raise StepRejected("DMS.00400063", f"{resource.name}: {error.code} {error.message}")


def _broker(broker: int) -> ConfigResource:
    return ConfigResource("broker", str(broker))


def _is_set(entries: Mapping[str, ConfigEntry], name: str) -> bool:
    return name in entries and entries[name].is_override


def _override(entries: Mapping[str, ConfigEntry], name: str) -> str | None:
    return entries[name].value if _is_set(entries, name) else None
