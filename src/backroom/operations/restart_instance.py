"""All brokers of an instance restarted, one after the other."""

import msgspec

from backroom.domain.errors import InstanceNotReady
from backroom.domain.instance import Instance, InstanceStatus, changed
from backroom.operations.operation import (
    Operation,
    Step,
    StepContext,
    show_status,
    stored_instance,
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


async def _write_configs(context: StepContext[RestartInstance]) -> dict[str, str]:
    """What was kept for this restart is in the file before the first broker starts again."""
    waiting = dict((await stored_instance(context)).static_configs)
    if waiting:
        await context.platform.configure(context.task.instance_id, waiting)
    return waiting


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
    """RUNNING, and what was written waits no longer."""
    cluster, instance = await seen_cluster(context), await stored_instance(context)
    written = context.outputs["write_configs"]
    shown = {
        "status": InstanceStatus.RUNNING,
        "brokers": cluster.brokers,
        "static_configs": tuple(
            (name, value) for name, value in instance.static_configs if written.get(name) != value
        ),
    }
    if any(getattr(instance, name) != value for name, value in shown.items()):
        await context.instances.save(changed(instance, **shown))


async def _mark_error(context: StepContext[RestartInstance]) -> None:
    await show_status(context, InstanceStatus.ERROR)


RESTART_INSTANCE = Operation(
    name="restartInstance",  # [I] no source shows the name; the console says "Restart Instance"
    params=RestartInstance,
    prepare=_prepare,
    steps=(
        Step("write_configs", _write_configs),
        Step("note_incarnations", _note_incarnations),
        Step("restart_brokers", _restart_brokers, 18),
        Step("publish_instance", _publish_instance),
    ),
    undo=_mark_error,
)
