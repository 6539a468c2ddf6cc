"""What bulk tasks have in common: the ids frozen at submit, worked through in chunks.

A bulk task keeps no list of what it has done: it reads that from the tasks it acted on, so that a
chunk may run twice, and counts at the end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from backroom.domain.errors import InvalidInput, StepNotReady
from backroom.domain.ids import TaskId
from backroom.domain.instance import Instance
from backroom.operations.operation import StepContext

BULK_MOST: Final = 10_000  # tasks of one bulk task
CHUNK: Final = 200  # between two looks at whether to stop, and two tellings of the progress
TOLD_MOST: Final = 100  # of the skipped ones, with their reasons
SOON_S: Final = 0.001

P = TypeVar("P", bound="BulkParams")


class BulkParams(msgspec.Struct, frozen=True):
    task_ids: tuple[TaskId, ...]


class Skipped(msgspec.Struct, frozen=True):
    task_id: TaskId
    why: str


class Tally(msgspec.Struct, frozen=True):
    """`skipped` counts them all, `reasons` names the first TOLD_MOST."""

    done: int
    skipped: int
    reasons: tuple[Skipped, ...]


def never_prepared(_instance: Instance, _params: BulkParams) -> Instance:
    raise InvalidInput("instance_id", "is of no use: a bulk task acts on no instance")


async def work_through(
    context: StepContext[P], step: str, treat: Callable[[StepContext[P], TaskId], Awaitable[None]]
) -> None:
    """The next chunk; raises StepNotReady while there are more."""
    ids = context.params.task_ids
    begin = await _position(context, step, len(ids))
    end = begin + CHUNK
    for task_id in ids[begin:end]:
        await treat(context, task_id)
    if end < len(ids):
        raise StepNotReady(SOON_S, percent=100 * end // len(ids))


async def _position(context: StepContext[Any], step: str, count: int) -> int:
    """Where to go on, from the percent that was told: at most a hundredth is treated again."""
    history = await context.tasks.history(context.task.id)
    percent = next((one.percent for one in history.steps if one.name == step), 0)
    return -(-percent * count // 100)


async def tally(
    context: StepContext[P],
    why_not: Callable[[StepContext[P], TaskId], Awaitable[str | None]],
) -> Any:
    """Counts each task as done, or as skipped for the reason that `why_not` gives."""
    skipped: list[Skipped] = []
    for at, task_id in enumerate(context.params.task_ids):
        why = await why_not(context, task_id)
        if why is not None:
            skipped.append(Skipped(task_id, why))
        if at % CHUNK == 0:
            await asyncio.sleep(0)  # reads never wait: others must have their turn
    done = len(context.params.task_ids) - len(skipped)
    return msgspec.to_builtins(Tally(done, len(skipped), tuple(skipped[:TOLD_MOST])))
