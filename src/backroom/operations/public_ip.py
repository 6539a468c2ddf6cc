"""Public access of an instance on and off: bindInstancePublicIp, unbindInstancePublicIp."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from backroom.domain.errors import StepNotReady, StepRejected
from backroom.domain.instance import Instance, PublicAccess, changed, require_running
from backroom.operations.operation import Operation, Step, StepContext, stored_instance
from backroom.ports import PublicAddress

POLL_S = 0.25
UNDO_WITHIN_S = 30.0


class BindPublicIp(msgspec.Struct, frozen=True):
    """`addresses` in broker order: at least one, at most one for each broker."""

    addresses: tuple[PublicAddress, ...]
    bandwidth_mbit_per_s: int


class UnbindPublicIp(msgspec.Struct, frozen=True):
    pass


def _prepare(instance: Instance, _params: BindPublicIp | UnbindPublicIp) -> Instance:
    require_running(instance)
    return instance


async def _attach_address(context: StepContext[BindPublicIp]) -> list[str]:
    wanted = context.params.addresses
    await context.platform.attach_public(context.task.instance_id, wanted)
    cluster = await context.platform.observe(context.task.instance_id)
    if cluster is None or cluster.public != wanted:
        raise StepNotReady(POLL_S)
    return [address.address for address in wanted]


async def _publish_address(context: StepContext[BindPublicIp]) -> None:
    instance = await stored_instance(context)
    params = context.params
    access = PublicAccess(
        address_ids=tuple(address.id for address in params.addresses),
        addresses=tuple(address.address for address in params.addresses),
        bandwidth_mbit_per_s=params.bandwidth_mbit_per_s,
    )
    if instance.public_access != access:
        await context.instances.save(changed(instance, public_access=access))


async def _withdraw_address(context: StepContext[UnbindPublicIp]) -> None:
    instance = await stored_instance(context)
    if instance.public_access is not None:
        await context.instances.save(changed(instance, public_access=None))


async def _detach_address(context: StepContext[UnbindPublicIp]) -> None:
    await context.platform.detach_public(context.task.instance_id)
    cluster = await context.platform.observe(context.task.instance_id)
    if cluster is not None and cluster.public:
        raise StepNotReady(POLL_S)


async def _undo(context: StepContext[Any]) -> None:
    """The brokers get what the instance shows: clients must find nothing else, and nothing less."""
    end = context.clock.now() + timedelta(seconds=UNDO_WITHIN_S)
    while not await _is_as_shown(context):
        now = context.clock.now()
        if now >= end:
            raise TimeoutError("the brokers don't have the public addresses that are shown")
        await context.clock.wait(asyncio.Event(), now + timedelta(seconds=POLL_S))


async def _is_as_shown(context: StepContext[Any]) -> bool:
    """Asks before it looks: an address that was asked for a moment ago may not be seen yet."""
    task = context.task
    instance = await context.instances.get(task.project_id, task.instance_id)
    if instance is None:
        return True
    shown = _shown_addresses(instance)
    try:
        if shown:
            await context.platform.attach_public(instance.id, shown)
        else:
            await context.platform.detach_public(instance.id)
    except StepRejected:
        if await context.platform.observe(instance.id) is None:
            return True
        raise
    cluster = await context.platform.observe(instance.id)
    return cluster is None or cluster.public == shown


def _shown_addresses(instance: Instance) -> tuple[PublicAddress, ...]:
    access = instance.public_access
    if access is None:
        return ()
    return tuple(map(PublicAddress, access.address_ids, access.addresses))


BIND_PUBLIC_IP = Operation(
    name="bindInstancePublicIp",  # [D] the page's example
    params=BindPublicIp,
    prepare=_prepare,
    steps=(
        Step("attach_address", _attach_address, 9, is_undone=True),
        Step("publish_address", _publish_address),
    ),
    undo=_undo,
)

UNBIND_PUBLIC_IP = Operation(
    name="unbindInstancePublicIp",  # [O] Terraform's sibling engines wait for this name
    params=UnbindPublicIp,
    prepare=_prepare,
    # clients lose the address first, so that nobody is shown one that no longer leads anywhere
    steps=(
        Step("withdraw_address", _withdraw_address),
        Step("detach_address", _detach_address, 9),
    ),
    undo=_undo,
)
