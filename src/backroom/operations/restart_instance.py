"""All brokers of an instance restarted, one after the other."""

import msgspec

from backroom.domain.errors import InstanceNotReady
from backroom.domain.instance import Instance, InstanceStatus, changed
from backroom.operations.operation import (
    Operation,
    Step,
    StepContext,
    show_running,
    show_status,
)
from backroom.operations.rolling import roll, seen_cluster
from backroom.ports import Machine

# [D] OTC umn, restarting an instance: Running or Faulty
RESTARTABLE = frozenset({InstanceStatus.RUNNING, InstanceStatus.ERROR})


class RestartInstance(msgspec.Struct, frozen=True):
    pass


def _prepare(instance: Instance, _params: RestartInstance) -> Instance:
    if instance.status not in RESTARTABLE:
        raise InstanceNotReady(instance.id, instance.status)
    return changed(instance, status=InstanceStatus.RESTARTING)


async def _note_incarnations(context: StepContext[RestartInstance]) -> dict[str, str | None]:
    """What is to be another one in the end, by broker: how the next step knows what it has done."""
    cluster = await seen_cluster(context)
    return {str(machine.id): machine.incarnation for machine in cluster.machines}


async def _restart_brokers(context: StepContext[RestartInstance]) -> None:
    cluster = await seen_cluster(context)
    noted = context.outputs["note_incarnations"]
    left = [
        machine
        for machine in cluster.machines
        if str(machine.id) in noted and machine.incarnation in (None, noted[str(machine.id)])
    ]

    async def ask(machine: Machine) -> None:
        await context.platform.restart_broker(
            context.task.instance_id, machine.id, machine.incarnation
        )

    await roll(context, cluster, left, ask)


async def _publish_instance(context: StepContext[RestartInstance]) -> None:
    cluster = await seen_cluster(context)
    await show_running(context, cluster.brokers)


async def _mark_error(context: StepContext[RestartInstance]) -> None:
    await show_status(context, InstanceStatus.ERROR)


RESTART_INSTANCE = Operation(
    name="restartInstance",  # [I] no source shows the name; the console says "Restart Instance"
    params=RestartInstance,
    prepare=_prepare,
    steps=(
        Step("note_incarnations", _note_incarnations),
        Step("restart_brokers", _restart_brokers, 18),
        Step("publish_instance", _publish_instance),
    ),
    undo=_mark_error,
)
