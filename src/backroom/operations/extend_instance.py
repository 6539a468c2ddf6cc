"""An instance gets larger disks, more brokers or larger machines, one of these at a time."""

from typing import Any, Literal

import msgspec

from backroom.domain.errors import InstanceNotReady, InvalidStorage, StepNotReady
from backroom.domain.instance import Instance, InstanceStatus, PublicAccess, changed
from backroom.operations.operation import Operation, Step, StepContext, show_status, stored_instance
from backroom.operations.rolling import POLL_S, behind, roll, seen_cluster
from backroom.ports import Cluster, Machine, PublicAddress

# one that failed may be asked for again: it goes on from what is there
EXTENDABLE = frozenset({InstanceStatus.RUNNING, InstanceStatus.EXTEND_FAILED})


class ExtendInstance(msgspec.Struct, frozen=True, kw_only=True):
    """What the instance is to have in the end, whatever it has now.

    `new_addresses` are public ones for the brokers that are added, in broker order.
    """

    kind: Literal["storage", "horizontal", "vertical"]
    storage_gb: int
    broker_count: int
    product_id: str
    new_addresses: tuple[PublicAddress, ...] = ()


def _prepare(instance: Instance, params: ExtendInstance) -> Instance:
    if instance.status not in EXTENDABLE:
        raise InstanceNotReady(instance.id, instance.status)
    if params.storage_gb < instance.storage_gb or params.broker_count < instance.broker_count:
        raise InvalidStorage("new_storage_space", "must not be less than there is by now")
    return changed(instance, status=InstanceStatus.EXTENDING)


async def _pre_check(context: StepContext[ExtendInstance]) -> dict[str, int]:
    """Waits until every broker is up and in sync, and tells where the extension begins."""
    await stored_instance(context)
    cluster = await seen_cluster(context)
    late = await behind(context, cluster)
    if late:
        there = len(cluster.brokers)
        raise StepNotReady(POLL_S, percent=100 * (there - len(late)) // there)
    return {"storage_gb": cluster.storage_gb, "broker_count": len(cluster.brokers)}


async def _disk_expansion(context: StepContext[ExtendInstance]) -> None:
    wanted_gb = context.params.storage_gb
    if context.params.kind != "storage":
        return
    await context.platform.extend_storage(context.task.instance_id, wanted_gb)
    has_gb = (await seen_cluster(context)).storage_gb
    if has_gb < wanted_gb:
        begun_gb = context.outputs["pre_check"]["storage_gb"]
        done = (has_gb - begun_gb) / (wanted_gb - begun_gb)
        raise StepNotReady(POLL_S, percent=max(0, int(100 * done)))


async def _rolling_scaling(context: StepContext[ExtendInstance]) -> None:
    if context.params.kind == "horizontal":
        await _add_brokers(context)
    elif context.params.kind == "vertical":
        await _change_flavors(context)
    await _publish(context, await seen_cluster(context))


async def _add_brokers(context: StepContext[ExtendInstance]) -> None:
    instance_id, wanted = context.task.instance_id, context.params.broker_count
    await context.platform.add_brokers(instance_id, wanted)
    cluster = await seen_cluster(context)
    late = await behind(context, cluster)
    up = len(cluster.brokers) - len(late)
    if up < wanted:
        begun = min(context.outputs["pre_check"]["broker_count"], wanted - 1)
        raise StepNotReady(POLL_S, percent=max(0, 100 * (up - begun) // (wanted - begun)))
    if context.params.new_addresses:
        await _attach_addresses(context)


async def _attach_addresses(context: StepContext[ExtendInstance]) -> None:
    wanted = _addresses(await stored_instance(context), context.params)
    await context.platform.attach_public(context.task.instance_id, wanted)
    if (await seen_cluster(context)).public != wanted:
        raise StepNotReady(POLL_S, percent=99)


async def _change_flavors(context: StepContext[ExtendInstance]) -> None:
    flavor = context.params.product_id
    cluster = await seen_cluster(context)

    async def ask(machine: Machine) -> None:
        await context.platform.change_flavor(context.task.instance_id, machine.id, flavor)

    left = [machine for machine in cluster.machines if machine.flavor != flavor]
    await roll(context, cluster, left, ask)


async def _publish(context: StepContext[ExtendInstance], cluster: Cluster) -> None:
    instance, params = await stored_instance(context), context.params
    if _is_published(instance, params):
        return
    access = instance.public_access
    if access is not None and params.new_addresses:
        addresses = _addresses(instance, params)
        access = PublicAccess(
            address_ids=tuple(address.id for address in addresses),
            addresses=tuple(address.address for address in addresses),
            bandwidth_mbit_per_s=access.bandwidth_mbit_per_s,
        )
    await context.instances.save(
        changed(
            instance,
            status=InstanceStatus.RUNNING,
            brokers=cluster.brokers,
            broker_count=params.broker_count,
            storage_gb=params.storage_gb,
            product_id=params.product_id,
            public_access=access,
            extend_count=instance.extend_count + (params.kind == "storage"),  # [D] of disks only
        )
    )


def _is_published(instance: Instance, params: ExtendInstance) -> bool:
    """By sizes, not by status: somebody may have asked for the next extension already."""
    shown = (instance.storage_gb, instance.broker_count, instance.product_id)
    return shown == (params.storage_gb, params.broker_count, params.product_id)


def _addresses(instance: Instance, params: ExtendInstance) -> tuple[PublicAddress, ...]:
    """Those it has, then the new ones; once, however often this is asked."""
    access = instance.public_access
    bound = () if access is None else map(PublicAddress, access.address_ids, access.addresses)
    return tuple(dict.fromkeys((*bound, *params.new_addresses)))


async def _mark_failed(context: StepContext[Any]) -> None:
    await show_status(context, InstanceStatus.EXTEND_FAILED)


EXTEND_INSTANCE = Operation(
    name="extendInstance",  # [I] no source shows the name; the console says "Modify Specifications"
    params=ExtendInstance,
    prepare=_prepare,
    steps=(  # [D] the names: ShowBackgroundTaskProgress
        Step("pre_check", _pre_check),
        Step("disk_expansion", _disk_expansion, 9),
        Step("rolling_scaling", _rolling_scaling, 9),
    ),
    undo=_mark_failed,
    shows_executing=True,
    has_progress=True,
)
