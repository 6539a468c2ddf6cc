"""Takes ready lanes and runs the task at the head of each, many at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask, StoreUnavailable
from backroom.domain.ids import TaskId, WorkerId
from backroom.domain.task import Task
from backroom.engine import log_fields
from backroom.engine.attempt import Attempt
from backroom.engine.surroundings import Surroundings
from backroom.engine.wakeup import Wakeup

SLOTS = 64  # tasks at once: they wait for brokers, not for the processor
SLOTS_PER_SPARE = 8  # for so many slots there is one more, for who comes anew (docs/adr/0026)
POLL_S = 5.0  # safety net for a lost wake-up or a clock that jumped
STORE_RETRY_S = 0.5
CLAIMED_AT_ONCE = 16  # one transaction: who comes meanwhile waits for its end
RESCUED_AT_ONCE = 50  # they share a commit

_log = logging.getLogger(__name__)


class Worker:
    """`poll_s` None: there is no safety net. For virtual time, where it would be a busy loop."""

    def __init__(
        self,
        worker_id: WorkerId,
        around: Surroundings,
        wakeup: Wakeup,
        slots: int = SLOTS,
        poll_s: float | None = POLL_S,
    ) -> None:
        self.id = worker_id
        self._poll_s = poll_s
        self._loop: asyncio.Task[None] | None = None
        self._claiming = asyncio.Lock()  # the loop's own claim; `welcome` has one beside it
        self._welcoming: asyncio.Future[list[Task]] | None = None
        self._asked = 0  # places that claims under way may fill
        self._around = around
        self._wakeup = wakeup
        self._slots = slots
        self._running: dict[asyncio.Task[None], TaskId] = {}
        self._is_recovered = False
        wakeup.tell(self.welcome)

    async def run(self) -> None:
        """Until `stopping` is set; then what runs is left to finish its current step."""
        self._loop = asyncio.current_task()
        while not self._around.stopping.is_set():
            self._wakeup.clear()
            try:
                async with self._claiming:
                    if not self._is_recovered:
                        await self._welcomed()
                        await self.recover()
                        self._is_recovered = True
                    is_more = await self.round()
                await asyncio.sleep(0)  # what was just claimed begins before the next look
                if is_more:
                    continue
                # a newcomer's claim that is under way wakes the loop when it ends
                is_full = len(self._running) + self._asked >= self._slots
                due_at = None if is_full else await self._around.tasks.next_due()
            except StoreUnavailable as error:
                _log.warning("store away: %s", error)
                # a claim may have been kept although its answer was lost
                self._is_recovered = False
                due_at = self._around.clock.now() + timedelta(seconds=STORE_RETRY_S)
            await self._around.clock.wait(self._wakeup, self._until(due_at))
        await self._welcomed()

    def _until(self, due_at: datetime | None) -> datetime | None:
        if self._poll_s is None:
            return due_at
        net = self._around.clock.now() + timedelta(seconds=self._poll_s)
        return net if due_at is None else min(due_at, net)

    def is_idle(self, waiting: Collection[str]) -> bool:
        """Whether nothing goes on before time does: `waiting` are names of those that wait for it.

        What an attempt calls has the attempt's name.
        """
        if self._loop is None or self._wakeup.is_set() or self._loop.get_name() not in waiting:
            return False
        if self._welcoming is not None:
            return False
        return not self._running or all(one.get_name() in waiting for one in self._running)

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """Within, nothing runs or is claimed; what ran was cut off and has written nothing since.

        For somebody who replaces all that is stored.
        """
        async with self._claiming:
            self._is_recovered = False  # what is stored then may be held by this worker
            await self._welcomed()
            for running in self._running:
                running.cancel()
            if self._running:
                await asyncio.wait(self._running)
            try:
                yield
            finally:
                self._wakeup.set()

    async def recover(self) -> None:
        """Take back at once what this worker holds but doesn't run: a former life left it."""
        held = await self._around.tasks.held(self.id)
        runs = set(self._running.values())
        await rescue(self._around, [task for task in held if task.id not in runs], self.id)

    async def round(self) -> bool:
        """Claim what there are free slots for, or as much as may be, and start it.

        Of the spare ones, which are for tasks on instances that had nothing to do, half is left to
        those that come meanwhile. True: as many were found as were asked for, there may be more.
        """
        asked, claiming = self._claim(spare_parts=2)
        return 0 < asked == len(await claiming)

    def welcome(self) -> bool:
        """Claim for a task that just came: one that is under way may not see it, or began before.

        False: there is such a claim already, or none may be made. Then it is the loop's turn, as it
        is after the claim: what else got ready meanwhile was told to nobody.
        """
        if self._welcoming is not None or not self._is_recovered or self._around.stopping.is_set():
            return False
        try:
            _, self._welcoming = self._claim(spare_parts=1)
        except StoreUnavailable:
            return False
        self._welcoming.add_done_callback(self._welcome_ended)
        return True

    def _welcome_ended(self, welcoming: asyncio.Future[list[Task]]) -> None:
        self._welcoming = None
        problem = None if welcoming.cancelled() else welcoming.exception()
        if problem is not None:
            self._is_recovered = False  # it may have been kept although its answer was lost
            if isinstance(problem, StoreUnavailable):
                _log.warning("store away: %s", problem)
            else:
                _log.error("claim broke", exc_info=problem)
        if welcoming.cancelled() or problem is not None or not welcoming.result():
            self._wakeup.set()
        else:  # a turn later: the first step of what was claimed begins before the next look
            asyncio.get_running_loop().call_soon(self._wakeup.set)

    async def _welcomed(self) -> None:
        if self._welcoming is not None:
            await asyncio.wait({self._welcoming})

    def _claim(self, spare_parts: int) -> tuple[int, asyncio.Future[list[Task]]]:
        """How many it asks for, and the claim."""
        free = self._slots - len(self._running) - self._asked
        limit = min(max(0, free), CLAIMED_AT_ONCE)
        spare = max(0, self._slots // SLOTS_PER_SPARE + min(0, free))
        spare = min(-(-spare // spare_parts), CLAIMED_AT_ONCE - limit)
        claiming = asyncio.ensure_future(
            self._around.tasks.claim(self.id, limit, self._around.clock.now(), spare)
        )
        self._asked += limit + spare
        claiming.add_done_callback(partial(self._claimed, limit + spare))
        return limit + spare, claiming

    def _claimed(self, asked: int, claiming: asyncio.Future[list[Task]]) -> None:
        self._asked -= asked
        if not claiming.cancelled() and claiming.exception() is None:
            for task in claiming.result():
                self._start(task)

    def _start(self, task: Task) -> None:
        running = asyncio.create_task(Attempt(task, self._around).run(), name=f"attempt {task.id}")
        self._running[running] = task.id
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._running.pop(running, None)
        self._wakeup.set()
        if not running.cancelled() and (problem := running.exception()) is not None:
            _log.error("attempt broke", exc_info=problem)
            self._is_recovered = False  # its task is still ours by the store: take it back

    async def drain(self, grace_s: float) -> None:
        """Wait for the steps under way; those that take longer are cut off, their lanes given back.

        They run again later, here or elsewhere.
        """
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=grace_s)
        for running in late:
            running.cancel()
        if late:
            await asyncio.wait(late)
            with suppress(StoreUnavailable):  # then the leases run out
                await self.recover()


async def rescue(around: Surroundings, tasks: Sequence[Task], by: WorkerId) -> int:
    """Give these back to their lanes. Returns how many had not moved on by themselves."""
    count = 0
    for first in range(0, len(tasks), RESCUED_AT_ONCE):
        some = tasks[first : first + RESCUED_AT_ONCE]
        done = await asyncio.gather(
            *(_rescued(around, task, by) for task in some), return_exceptions=True
        )
        for one in done:
            if isinstance(one, BaseException):
                raise one
            count += one
    return count


async def _rescued(around: Surroundings, task: Task, by: WorkerId) -> bool:
    try:
        await around.tasks.write(lifecycle.rescue(task, around.clock.now(), by))
    except StaleTask:
        return False
    _log.warning("task rescued", extra=log_fields.of_task(task))
    return True
