"""What a test does to a whole Backroom: it moves time, and puts back what was stored."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Protocol

from backroom.domain.ids import ProjectId, TaskId
from backroom.domain.seed import Seed
from backroom.domain.transition import TransitionPlan
from backroom.emulator.faults import Faults
from backroom.emulator.seeding import Seeding
from backroom.emulator.transitions import Transitions
from backroom.emulator.unread import Unread
from backroom.ports import AdjustableClock, OpenTask, Snapshot, TaskStore, WholeStore

ACCOUNTS = frozenset({"access_keys", "projects", "users"})
NOTHING = Snapshot({})
SETTLES_WITHIN_S = 2.0  # real ones; a bound for what goes on without end


class Engine(Protocol):
    def is_idle(self, waiting: Collection[str]) -> bool:
        """Whether nothing goes on before time does."""

    def at_rest(self) -> AbstractAsyncContextManager[None]:
        """Within, nothing runs or is claimed; what ran was cut off."""


class Emulator:
    """Each of `forget` is called when everything that is stored becomes something else.

    Each of `on_reset` is called, too, when all is to be as at the start.
    """

    def __init__(
        self,
        clock: AdjustableClock,
        transitions: Transitions,
        tasks: TaskStore,
        whole: WholeStore,
        seeding: Seeding,
        faults: Faults,
    ) -> None:
        self.clock = clock
        self.faults = faults
        self.unread = Unread()
        self.transitions = transitions
        self.forget: list[Callable[[], None]] = [transitions.forget]
        self.on_reset: list[Callable[[], None]] = [
            clock.restart,
            transitions.restart,
            faults.restart,
            self.unread.clear,
        ]
        self._tasks = tasks
        self._whole = whole
        self._seeding = seeding
        self._empty = self._start = NOTHING
        self._engine: Engine | None = None
        self._loops: frozenset[str] = frozenset()
        self._moving = asyncio.Lock()

    def attach(self, engine: Engine, loops: Collection[str]) -> None:
        """`loops` are names of the asyncio tasks that run beside it, and wait when all is done."""
        self._engine = engine
        self._loops = frozenset(loops)

    async def begin(self, seed: Seed | None) -> None:
        """Once, when all is stored that a first start stores."""
        await self._tasks.hurry(self.clock.now())  # time may have been moved in a former life
        self._start = await self._whole.take()
        kept = {name: rows for name, rows in self._start.tables.items() if name in ACCOUNTS}
        self._empty = Snapshot(kept)
        if seed is not None:
            await self.seed(seed)

    async def seed(self, seed: Seed) -> None:
        """All that is stored are the first accounts and this, or, if it fails, what was before."""
        async with self._at_rest():
            before = await self._whole.take()
            try:
                await self._put_back(self._empty)
                await self._seeding.fill(seed)
            except BaseException:
                await self._put_back(before)
                raise
            self._start = await self._whole.take()

    async def reset(self, *, to_empty: bool = False) -> None:
        """To what the start, or the last seed, stored, or to the first accounts alone.

        Time, transitions and all else that can be told to an emulator are as at the start.
        """
        async with self._at_rest():
            for restart in self.on_reset:
                restart()
            await self._put_back(self._empty if to_empty else self._start)

    async def made_task_ids(self) -> list[TaskId]:
        """Those that no seed made, oldest first."""
        seeded = {row[1] for row in self._start.tables.get("tasks", ())}
        return [task_id for task_id in await self._whole.task_ids() if task_id not in seeded]

    async def _put_back(self, snapshot: Snapshot) -> None:
        await self._whole.put_back(snapshot)
        for forget in self.forget:
            forget()

    def _at_rest(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._engine is None else self._engine.at_rest()

    async def settle(self) -> None:
        """Return when nothing goes on before time does."""
        if self.is_settled():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLES_WITHIN_S):
                while not self.is_settled():
                    await self.clock.next_wait()

    @property
    def waits_for_reads(self) -> bool:
        return self.transitions.holds_any

    def is_settled(self) -> bool:
        """Whether nothing goes on before time does."""
        waiting = self.clock.waiting
        if not self._loops.issubset(waiting):
            return False
        return self._engine is None or self._engine.is_idle(waiting)

    async def advance(self, seconds: float) -> None:
        """From one moment that somebody waits for to the next, each time until all is settled."""
        async with self._standing():
            target = self.clock.now() + timedelta(seconds=seconds)
            await self.settle()
            while (upcoming := self.clock.next_timer) is not None and upcoming <= target:
                self.clock.move_to(upcoming)
                await self.settle()
            self.clock.move_to(target)

    async def run_until_idle(self) -> list[OpenTask]:
        """Let time jump until all tasks have ended but those for later, and those to be read.

        Returns what can't go on by itself: tasks that wait to be read, and those behind them.
        """
        async with self._standing():
            while True:
                await self.settle()
                left = [task for task in await self._whole.open_tasks() if not task.is_scheduled]
                upcoming = self.clock.next_timer
                held = self.transitions.held
                moves = any(task.id not in held and not task.is_behind for task in left)
                if not moves or upcoming is None:
                    return left
                self.clock.move_to(upcoming)

    @asynccontextmanager
    async def _standing(self) -> AsyncIterator[None]:
        """Time stands but for whoever is within."""
        async with self._moving:
            was_frozen = self.clock.is_frozen
            self.clock.freeze()
            try:
                yield
            finally:
                if not was_frozen:
                    self.clock.resume(self.clock.speed)

    async def note_read(
        self, project_id: ProjectId, instance_id: str | None, task_id: str | None
    ) -> None:
        """Somebody is about to look at a task: what waits to be read goes on first."""
        if self.transitions.note_read(project_id, instance_id, task_id):
            await self._tasks.hurry(self.clock.now())
            await self.settle()
            await self._let_go()

    async def _let_go(self) -> None:
        """Tasks that ended otherwise than by reads are waited for no more."""
        for task_id in self.transitions.held:
            task = await self._tasks.get(task_id)
            if task is None or task.state.is_final:
                self.transitions.let_go(task_id)

    async def plan(self, plan: TransitionPlan) -> None:
        """From now on, for tasks under way, too."""
        self.transitions.plan = plan
        await self._tasks.hurry(self.clock.now())
        await self.settle()
