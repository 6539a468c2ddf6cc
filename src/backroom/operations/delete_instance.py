"""An instance goes: brokers first, then its record. Its finished tasks stay until retention."""

import msgspec

from backroom.domain.errors import InstanceNotReady, StepNotReady
from backroom.domain.instance import Instance, InstanceStatus, changed
from backroom.operations.operation import Operation, Step, StepContext, show_status

POLL_S = 0.25

DELETABLE = frozenset(
    {
        InstanceStatus.RUNNING,
        InstanceStatus.ERROR,
        InstanceStatus.CREATE_FAILED,
        InstanceStatus.EXTEND_FAILED,
    }
)


class DeleteInstance(msgspec.Struct, frozen=True):
    pass


def _prepare(instance: Instance, _params: DeleteInstance) -> Instance:
    if instance.status not in DELETABLE:
        raise InstanceNotReady(instance.id, instance.status)
    return changed(instance, status=InstanceStatus.DELETING)


async def _delete_brokers(context: StepContext[DeleteInstance]) -> None:
    await context.platform.delete_cluster(context.task.instance_id)
    if await context.platform.observe(context.task.instance_id) is not None:
        raise StepNotReady(POLL_S)


async def _remove_instance(context: StepContext[DeleteInstance]) -> None:
    await context.instances.remove(context.task.instance_id)


async def _mark_error(context: StepContext[DeleteInstance]) -> None:
    await show_status(context, InstanceStatus.ERROR)


DELETE_INSTANCE = Operation(
    name="deleteInstance",  # [I] no source shows the name
    params=DeleteInstance,
    prepare=_prepare,
    steps=(Step("delete_brokers", _delete_brokers, 9), Step("remove_instance", _remove_instance)),
    undo=_mark_error,
)
