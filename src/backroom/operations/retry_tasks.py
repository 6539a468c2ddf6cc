"""Trying tasks again: how one is, and the task that tries many again."""

from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from backroom.domain import lifecycle
from backroom.domain.errors import Refused, StaleTask, TaskNotRetryable
from backroom.domain.ids import TaskId, UserId
from backroom.domain.instance import Instance, instance_view
from backroom.domain.task import (
    Change,
    Kind,
    QueueLimits,
    State,
    StepRecord,
    StepState,
    Task,
    following,
)
from backroom.operations.bulk import BulkParams, never_prepared, tally, work_through
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.submission import Means, means_of, typed_params

RETRYABLE = frozenset({State.FAILED, State.CANCELLED})
NAME = "bulkRetry"
_STEP = "retry_tasks"


class RetryTasks(BulkParams, frozen=True):
    limits: QueueLimits
    from_step: bool = False


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """A task to be made of one that failed or was cancelled: under which id, when, by whom.

    `from_step`: the steps that succeeded count as done, but those that the undo took back.
    """

    task_id: TaskId
    at: datetime
    user_id: UserId
    user_name: str
    from_step: bool = False
    reason: str | None = None
    request_id: str | None = None


async def retrial(old: Task, again: Again, means: Means) -> Change:
    """The submit of a task that does the same once more, from what is there now.

    What was planned for later is done at once. Raises TaskNotRetryable, or what `prepare` does.
    """
    if old.state not in RETRYABLE:
        raise TaskNotRetryable(old.id, f"it is {old.state}")
    operation = means.catalogue.get(old.name)
    if operation is None:
        raise TaskNotRetryable(old.id, f"this release has no operation {old.name}")
    steps = await _done(old, operation, means) if again.from_step else ()
    if old.kind is Kind.BULK:
        return lifecycle.submit(_made(old, again, operation, None), steps=steps)
    instance = await means.instances.get(old.project_id, old.instance_id)
    if instance is None:
        raise TaskNotRetryable(old.id, "its instance does not exist any more")
    prepared = operation.prepare(instance, _params(operation, old, means))
    shown = None if prepared is instance else prepared
    return lifecycle.submit(_made(old, again, operation, instance), shown, steps)


def _params(operation: Operation[Any], old: Task, means: Means) -> msgspec.Struct:
    try:
        return typed_params(operation, old, means.vault)
    except msgspec.DecodeError:
        raise TaskNotRetryable(old.id, "an earlier release made it") from None


async def _done(old: Task, operation: Operation[Any], means: Means) -> tuple[StepRecord, ...]:
    kept = {step.name for step in operation.steps if not step.is_undone}
    return tuple(
        step
        for step in (await means.tasks.history(old.id)).steps
        if step.state is StepState.SUCCEEDED and step.name in kept
    )


def _made(old: Task, again: Again, operation: Operation[Any], instance: Instance | None) -> Task:
    is_alone = instance is None or operation.is_read_only
    return following(
        old,
        again.task_id,
        again.at,
        kind=Kind.BULK if old.kind is Kind.BULK else Kind.BACKGROUND,
        user_id=again.user_id,
        user_name=again.user_name,
        lane=again.task_id if is_alone else old.instance_id,
        reason=again.reason,
        request_id=again.request_id,
        before=None if instance is None else instance_view(instance),
    )


async def _retry_tasks(context: StepContext[RetryTasks]) -> None:
    await work_through(context, _STEP, _retry)


async def _retry(context: StepContext[RetryTasks], task_id: TaskId) -> None:
    means, again = means_of(context), _again(context, task_id)
    while await context.tasks.get(again.task_id) is None:
        old = await context.tasks.get(task_id)
        if old is None:
            return
        with suppress(StaleTask):
            try:
                change = await retrial(old, again, means)
                limited = msgspec.structs.replace(change, limits=context.params.limits)
                await context.tasks.write(limited)
            except Refused:
                return  # the count says why


def _again(context: StepContext[RetryTasks], task_id: TaskId) -> Again:
    """The new task's id follows from both: a chunk that runs twice makes none twice."""
    task = context.task
    own = TaskId(sha256(f"{task.id}/{task_id}".encode()).hexdigest()[:32])
    return Again(
        task_id=own,
        at=context.clock.now(),
        user_id=task.user_id,
        user_name=task.user_name,
        from_step=context.params.from_step,
        reason=task.reason,
        request_id=task.request_id,
    )


async def _count_retried(context: StepContext[RetryTasks]) -> object:
    return await tally(context, _why_not)


async def _why_not(context: StepContext[RetryTasks], task_id: TaskId) -> str | None:
    again = _again(context, task_id)
    if await context.tasks.get(again.task_id) is not None:
        return None
    old = await context.tasks.get(task_id)
    if old is None:
        return "its record is gone"
    try:
        await retrial(old, again, means_of(context))
    except TaskNotRetryable as never:
        return never.why
    except Refused as refused:
        return str(refused)
    return "it was refused then, and would not be now"


RETRY_TASKS = Operation(
    name=NAME,
    params=RetryTasks,
    prepare=never_prepared,
    steps=(Step(_STEP, _retry_tasks, 9), Step("count_retried", _count_retried)),
)
