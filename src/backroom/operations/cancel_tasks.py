"""Cancelling tasks: how one is cancelled, and the task that cancels many."""

from contextlib import suppress
from datetime import datetime

import msgspec

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask, TaskEnded
from backroom.domain.ids import TaskId
from backroom.domain.instance import Instance, InstanceStatus, changed
from backroom.domain.lifecycle import Verb
from backroom.domain.task import Change, Kind, Task
from backroom.operations.bulk import BulkParams, never_prepared, tally, work_through
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.submission import Means, means_of, typed_params

NAME = "bulkCancel"
_STEP = "cancel_tasks"


class CancelTasks(BulkParams, frozen=True):
    pass


class Ask(msgspec.Struct, frozen=True):
    """Who wants a task cancelled, when and why."""

    at: datetime
    actor: str
    reason: str | None = None


async def cancellation(task: Task, ask: Ask, means: Means) -> Change | None:
    """A task that has not begun ends at once; one that has is asked to stop.

    None where that was asked before. Raises TaskEnded.
    """
    if task.state.is_final:
        raise TaskEnded(task.id, task.state)
    if task.cancel_asked_at is not None:
        return None
    if task.started_at is not None:
        return lifecycle.ask_cancel(task, ask.at, ask.actor, ask.reason)
    change = lifecycle.cancel(task, ask.at, ask.actor, ask.reason)
    return msgspec.structs.replace(change, instance=await _as_before(task, means))


async def _as_before(task: Task, means: Means) -> Instance | None:
    """The instance without the status that the submit gave it; None if there is none to take away.

    The undo of the operation would do more: nothing has been done to the brokers.
    """
    operation = means.catalogue.get(task.name)
    if operation is None or task.kind is not Kind.BACKGROUND or task.before is None:
        return None
    instance = await means.instances.get(task.project_id, task.instance_id)
    if instance is None:
        return None
    before = msgspec.json.decode(task.before, type=Instance)
    if before.status is InstanceStatus.CREATING:  # it came with this task
        failed = InstanceStatus.CREATE_FAILED
        return changed(instance, status=failed) if instance.status is before.status else None
    given = operation.prepare(before, typed_params(operation, task, means.vault)).status
    if given is before.status or instance.status is not given:
        return None
    return changed(instance, status=before.status)


async def _cancel_tasks(context: StepContext[CancelTasks]) -> None:
    await work_through(context, _STEP, _cancel)


async def _cancel(context: StepContext[CancelTasks], task_id: TaskId) -> None:
    means = means_of(context)
    ask = Ask(context.clock.now(), context.task.user_name, _reason(context))
    while True:
        task = await context.tasks.get(task_id)
        if task is None or task.state.is_final:
            return
        change = await cancellation(task, ask, means)
        if change is None:
            return
        with suppress(StaleTask):
            await context.tasks.write(change)
            return


def _reason(context: StepContext[CancelTasks]) -> str:
    """Begins with the bulk task's id: by that its own cancellations are known."""
    own = f"{NAME} {context.task.id}"
    return own if context.task.reason is None else f"{own}: {context.task.reason}"


async def _count_cancelled(context: StepContext[CancelTasks]) -> object:
    return await tally(context, _why_not)


async def _why_not(context: StepContext[CancelTasks], task_id: TaskId) -> str | None:
    task = await context.tasks.get(task_id)
    if task is None:
        return "its record is gone"
    events = (await context.tasks.history(task_id)).events
    own, asks = _reason(context), (Verb.CANCEL, Verb.ASK_CANCEL)
    if any(event.verb in asks and event.detail == own for event in events):
        return None
    return f"it was {task.state}" if task.state.is_final else "it had been asked to stop before"


CANCEL_TASKS = Operation(
    name=NAME,
    params=CancelTasks,
    prepare=never_prepared,
    steps=(Step(_STEP, _cancel_tasks, 9), Step("count_cancelled", _count_cancelled)),
)
