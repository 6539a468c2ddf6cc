"""Puts right what the undo of a task had to leave: what it could not reach may be reached now."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec

from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.ids import ProjectId, TaskId
from backroom.domain.task import State, Task
from backroom.engine import log_fields
from backroom.engine.call import Call
from backroom.engine.contexts import context_of, outputs_of
from backroom.engine.surroundings import Surroundings
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.submission import typed_params
from backroom.ports import AccountStore, TaskFinder

EVERY = timedelta(minutes=1)  # while anything is left
SETTLED = timedelta(minutes=1)  # after the end of a task; before, what is seen may be old
LOOKED_BACK = timedelta(days=7)
SWEEP_TIMEOUT_S = 60.0
PAGE = 100

_log = logging.getLogger(__name__)


class Sweeper:
    """Looks at all tasks that failed or were cancelled when it starts, and when a worker died.

    In between it looks at those whose undo gave up in this process. Two may sweep at once.
    """

    def __init__(self, around: Surroundings, finder: TaskFinder, accounts: AccountStore) -> None:
        self._around = around
        self._finder = finder
        self._accounts = accounts

    async def run(self) -> None:
        clock, left = self._around.clock, self._around.leftovers
        while not self._around.stopping.is_set():
            left.noted.clear()
            try:
                await self.round()
            except StoreUnavailable as error:
                left.is_complete = False
                _log.warning("store away: %s", error)
            is_waiting = left.task_ids or not left.is_complete
            await clock.wait(left.noted, clock.now() + EVERY if is_waiting else None)

    async def round(self) -> int:
        """Returns how many tasks still leave something, or may."""
        left = self._around.leftovers
        if not left.is_complete:
            left.is_complete = True
            async for task_id in self._ended_badly():
                left.task_ids.add(task_id)
        for task_id in tuple(left.task_ids):
            if self._around.stopping.is_set():
                break
            if await self._is_clean(task_id):
                left.task_ids.discard(task_id)
        return len(left.task_ids)

    async def _ended_badly(self) -> AsyncIterator[TaskId]:
        names = frozenset(name for name, one in CATALOGUE.items() if one.sweep is not None)
        for project in await self._accounts.projects():
            async for task in self._found(project.id, names):
                yield task.id

    async def _found(self, project_id: ProjectId, names: frozenset[str]) -> AsyncIterator[Task]:
        wanted = TaskSearch(
            project_id=project_id,
            states=frozenset({State.FAILED, State.CANCELLED}),
            names=names,
            created_from=self._around.clock.now() - LOOKED_BACK,
        )
        after: Position | None = None
        while not self._around.stopping.is_set():
            found = await self._finder.search(wanted, after, PAGE)
            for task in found.tasks:
                yield task
            if found.position is None:
                return
            after = found.position
            await asyncio.sleep(0)  # others first

    async def _is_clean(self, task_id: TaskId) -> bool:
        task = await self._around.tasks.get(task_id)
        if task is None or CATALOGUE.get(task.name) is None or task.started_at is None:
            return True
        if task.ended_at is None or await self._has_successor(task):
            return False
        if await self._around.instances.get(task.project_id, task.instance_id) is None:
            return True
        is_swept = await self._is_swept(task)
        return is_swept and self._around.clock.now() - task.ended_at >= SETTLED

    async def _has_successor(self, task: Task) -> bool:
        """What looks left behind may be what another task of the kind has just set."""
        current = await self._around.tasks.current(task.lane)
        return current is not None and current.name == task.name

    async def _is_swept(self, task: Task) -> bool:
        operation = CATALOGUE[task.name]
        if operation.sweep is None:
            return True
        about = log_fields.of_task(task)
        try:
            params = typed_params(operation, task, self._around.vault)
        except msgspec.DecodeError:
            _log.warning("params of a task that ended can't be read", extra=about)
            return True
        history = await self._around.tasks.history(task.id)
        context = context_of(self._around, CATALOGUE, task, params, outputs_of(history.steps))
        call = Call(operation.sweep, context, self._around.threads)
        try:
            is_swept: bool = await call.result(SWEEP_TIMEOUT_S, _never)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is tried again
            _log.warning("sweep faulted: %s", type(error).__name__, extra=about)
            return False
        if not is_swept:
            _log.info("something was left by a task that ended", extra=about)
        return is_swept


async def _never() -> bool:
    return False
