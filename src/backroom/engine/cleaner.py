"""Clears the records of tasks that ended long ago, and of instances that keep too many."""

import asyncio
import logging
from datetime import datetime, timedelta

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask, StoreUnavailable
from backroom.domain.task import Task
from backroom.engine.surroundings import Surroundings
from backroom.ports import TaskFinder

RETENTION_DAYS = 30  # after the end
KEEP_MOST = 100_000  # ended tasks of one instance and kind
EVERY = timedelta(minutes=10)
GROUP = 100  # records in one transaction: others must not wait long for the writer
ACTOR = "retention"

_log = logging.getLogger(__name__)


class Cleaner:
    """A task in flight is never touched. Events stay: they are the audit's. 0 means no limit."""

    def __init__(
        self,
        around: Surroundings,
        finder: TaskFinder,
        retention_days: float = RETENTION_DAYS,
        keep_most: int = KEEP_MOST,
        every: timedelta = EVERY,
    ) -> None:
        self._around = around
        self._finder = finder
        self._retention = timedelta(days=retention_days)
        self._keep_most = keep_most
        self._every = every

    async def run(self) -> None:
        clock = self._around.clock
        while not self._around.stopping.is_set():
            try:
                await self.round()
            except StoreUnavailable as error:
                _log.warning("store away: %s", error)
            await clock.wait(self._around.stopping, clock.now() + self._every)

    async def round(self) -> int:
        """Returns how many records were cleared."""
        now = self._around.clock.now()
        await self._finder.forget_receipts(now)
        cleared = 0
        while not self._around.stopping.is_set():
            due = await self._due(now)
            cleared += (removed := await self._clear(due, now))
            if len(due) < GROUP or removed == 0:
                break
            await asyncio.sleep(0)  # others first
        if cleared:
            _log.info("records cleared", extra={"count": cleared})
        return cleared

    async def _due(self, now: datetime) -> list[Task]:
        due: list[Task] = []
        if self._retention:
            due = await self._finder.ended(now - self._retention, GROUP)
        if not due and self._keep_most:
            due = await self._finder.surplus(self._keep_most, GROUP)
        return due

    async def _clear(self, due: list[Task], now: datetime) -> int:
        changes = [lifecycle.delete(task, now, ACTOR) for task in due]
        try:
            await self._around.tasks.write(*changes)
        except StaleTask:  # somebody deleted one of them just now: one by one then
            return sum([await self._is_cleared(task, now) for task in due])
        return len(changes)

    async def _is_cleared(self, task: Task, now: datetime) -> bool:
        try:
            await self._around.tasks.write(lifecycle.delete(task, now, ACTOR))
        except StaleTask:
            return False
        return True
