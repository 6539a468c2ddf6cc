"""The task that clears the records of many tasks that have ended."""

from contextlib import suppress

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask
from backroom.domain.ids import TaskId
from backroom.operations.bulk import BulkParams, never_prepared, tally, work_through
from backroom.operations.operation import Operation, Step, StepContext

NAME = "bulkDelete"
_STEP = "delete_tasks"


class DeleteTasks(BulkParams, frozen=True):
    pass


async def _delete_tasks(context: StepContext[DeleteTasks]) -> None:
    await work_through(context, _STEP, _delete)


async def _delete(context: StepContext[DeleteTasks], task_id: TaskId) -> None:
    task = await context.tasks.get(task_id)
    if task is None or not task.state.is_final:
        return
    change = lifecycle.delete(task, context.clock.now(), context.task.user_name)
    with suppress(StaleTask):  # somebody else deleted it: nothing else happens to a final task
        await context.tasks.write(change)


async def _count_deleted(context: StepContext[DeleteTasks]) -> object:
    """What is gone counts as done, whoever deleted it."""
    return await tally(context, _why_not)


async def _why_not(context: StepContext[DeleteTasks], task_id: TaskId) -> str | None:
    task = await context.tasks.get(task_id)
    return None if task is None else f"it is {task.state}"


DELETE_TASKS = Operation(
    name=NAME,
    params=DeleteTasks,
    prepare=never_prepared,
    steps=(Step(_STEP, _delete_tasks, 9), Step("count_deleted", _count_deleted)),
)
