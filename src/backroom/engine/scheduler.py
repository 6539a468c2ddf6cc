"""What a scheduled task does when its moment has come: it submits a background task (ADR 8)."""

from datetime import datetime
from typing import Any

from backroom.domain import lifecycle
from backroom.domain.errors import Refused, StoreUnavailable
from backroom.domain.ids import new_task_id
from backroom.domain.instance import Instance, instance_view
from backroom.domain.lifecycle import Fault
from backroom.domain.task import Change, Task, following
from backroom.engine.faults import fault_of, storable
from backroom.engine.surroundings import Surroundings
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.operations.submission import typed_params


async def start(task: Task, around: Surroundings, now: datetime) -> tuple[Change, ...]:
    """The end of the scheduled task and, where it may start, the submit: for one transaction."""
    operation = CATALOGUE.get(task.name)
    instance = await around.instances.get(task.project_id, task.instance_id)
    if operation is None or instance is None:
        gone = Fault(code="DMS.00404022", message="the instance does not exist any more")
        return (lifecycle.fail(task, now, gone, None),)
    try:
        prepared = operation.prepare(instance, typed_params(operation, task, around.vault))
    except Refused as refused:
        fault = Fault(code="DMS.00400026", message=storable(str(refused)))
        return (lifecycle.fail(task, now, fault, None),)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  else the task would run for ever
        fault = fault_of(error, None, hides_values=operation.has_secrets)
        return (lifecycle.fail(task, now, fault, None),)
    shown = None if prepared is instance else prepared
    started = _started(task, now, operation, instance)
    return lifecycle.complete(task, now, ()), lifecycle.submit(started, shown)


def _started(task: Task, now: datetime, operation: Operation[Any], instance: Instance) -> Task:
    task_id = new_task_id()
    lane = task_id if operation.is_read_only else instance.id
    return following(task, task_id, now, lane=lane, before=instance_view(instance))
