"""OutcomeUnknown: a change was done, or not, or in part; a look tells, and asking again is safe."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.kafka.conftest import INSTANCE
from tests.support.kafkas import CHANGES, FlakyKafka
from tests.support.promises import promised

from backroom.domain.errors import KafkaUnavailable, OutcomeUnknown
from backroom.ports import ConfigResource, KafkaAdmin, NewPartitions, NewTopic, TopicPartition

SEEN_AFTER_S = 0.5  # longer than reads are late, shorter than a move
ONE, TWO = TopicPartition("one", 0), TopicPartition("two", 0)

DONE = {"lost": [False, False], "unsure": [True, True], "partly": [True, False]}


@dataclass
class Change:
    """`items` are two; `is_done` looks at one of them, `again` is what Kafka may say to one that
    was done already, when it is asked for once more.
    """

    method: str
    items: Any
    is_done: Callable[[Any], Awaitable[bool]]
    again: str | None = None


async def both_topics(brokers, **given):
    await brokers.prepare()
    return [await brokers.make(name, **given) for name in ("one", "two")]


async def moves(brokers):
    """Each partition to the broker after its own."""
    topics = await both_topics(brokers)
    replicas = [topic.partitions[0].replicas for topic in topics]
    return {at: ((broker + 1) % 3,) for at, (broker,) in zip((ONE, TWO), replicas, strict=True)}


async def create_topics(brokers):
    await brokers.prepare()

    async def is_done(new):
        return await brokers.topic(new.name) is not None

    new = [NewTopic(name=name, partition_count=2, replication_factor=1) for name in ("one", "two")]
    return Change("create_topics", new, is_done, "TOPIC_ALREADY_EXISTS")


async def delete_topics(brokers):
    await both_topics(brokers)

    async def is_done(name):
        return await brokers.topic(name) is None

    return Change("delete_topics", ["one", "two"], is_done, "UNKNOWN_TOPIC_OR_PARTITION")


async def create_partitions(brokers):
    await both_topics(brokers)

    async def is_done(name):
        return len((await brokers.topic(name)).partitions) == 3

    wanted = {name: NewPartitions(total_count=3) for name in ("one", "two")}
    return Change("create_partitions", wanted, is_done, "INVALID_PARTITIONS")


async def set_configs(brokers):
    await both_topics(brokers)

    async def is_done(resource):
        entries = (await brokers.admin.configs(INSTANCE, [resource]))[resource]
        return entries["flush.messages"].value == "7"

    resources = [ConfigResource("topic", name) for name in ("one", "two")]
    return Change("alter_configs", {one: {"flush.messages": "7"} for one in resources}, is_done)


async def take_configs_away(brokers):
    await both_topics(brokers, **{"flush.messages": "7"})

    async def is_done(resource):
        entries = (await brokers.admin.configs(INSTANCE, [resource]))[resource]
        return not entries["flush.messages"].is_override

    resources = [ConfigResource("topic", name) for name in ("one", "two")]
    return Change("alter_configs", {one: {"flush.messages": None} for one in resources}, is_done)


async def reassign(brokers):
    targets = await moves(brokers)

    async def is_done(at):
        return (await brokers.topic(at.topic)).partitions[0].replicas[:1] == targets[at]

    return Change("reassign", targets, is_done)


async def cancel_moves(brokers):
    targets = await moves(brokers)
    assert await brokers.admin.reassign(INSTANCE, targets) == dict.fromkeys(targets)
    await brokers.until(lambda: brokers.admin.reassignments(INSTANCE))

    async def is_done(at):
        replicas = (await brokers.topic(at.topic)).partitions[0].replicas
        return replicas[:1] != targets[at]

    return Change("reassign", dict.fromkeys(targets), is_done, "NO_REASSIGNMENT_IN_PROGRESS")


async def elect_preferred_leaders(brokers):
    topics = await both_topics(brokers, factor=2)
    turned = {
        at: topic.partitions[0].replicas[::-1] for at, topic in zip((ONE, TWO), topics, strict=True)
    }
    await brokers.admin.reassign(INSTANCE, turned)

    async def is_done(at):
        partition = (await brokers.topic(at.topic)).partitions[0]
        return partition.replicas == turned[at] and partition.leader == turned[at][0]

    async def are_turned():
        found = [(await brokers.topic(at.topic)).partitions[0].replicas for at in turned]
        return found == list(turned.values()) and not await brokers.admin.reassignments(INSTANCE)

    await brokers.until(are_turned)
    return Change("elect_preferred_leaders", [ONE, TWO], is_done, "ELECTION_NOT_NEEDED")


CASES = [
    create_topics, delete_topics, create_partitions, set_configs, take_configs_away, reassign,
    cancel_moves, elect_preferred_leaders,
]  # fmt: skip


def key(item):
    return item.name if isinstance(item, NewTopic) else item


async def ask(kafka, change):
    return await getattr(kafka, change.method)(INSTANCE, change.items)


@promised(KafkaAdmin, "it was done, or not, or in part. Verify, don't assume.")
@pytest.mark.parametrize("how", DONE)
@pytest.mark.parametrize("case", CASES)
async def test_look_tells_what_was_done_and_the_rest_is_asked_for_again(brokers, case, how):
    change, kafka = await case(brokers), FlakyKafka(brokers.admin)
    getattr(kafka, how)[change.method] = 1
    with pytest.raises(OutcomeUnknown):
        await ask(kafka, change)
    brokers.clock.move(SEEN_AFTER_S)
    assert [await change.is_done(item) for item in change.items] == DONE[how]

    results = await ask(kafka, change)
    said = [results[key(item)] for item in change.items]
    for error, was_done in zip(said, DONE[how], strict=True):
        assert error is None or (was_done and error.code == change.again)

    async def are_done():
        return all([await change.is_done(item) for item in change.items])

    await brokers.until(are_done)


@promised(KafkaAdmin, "Every method may raise KafkaUnavailable: nothing was changed, try again.")
@pytest.mark.parametrize("case", CASES)
async def test_nothing_is_done_where_the_brokers_were_away(brokers, case):
    change, kafka = await case(brokers), FlakyKafka(brokers.admin)
    kafka.away[change.method] = 1
    with pytest.raises(KafkaUnavailable):
        await ask(kafka, change)
    brokers.clock.move(SEEN_AFTER_S)
    assert [await change.is_done(item) for item in change.items] == [False, False]
    assert set((await ask(kafka, change)).values()) == {None}


def test_each_kind_of_change_has_its_case():
    assert {case.__name__ for case in CASES} >= CHANGES - {"alter_configs"}
