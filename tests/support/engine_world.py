"""Everything one worker needs, on a clock that tests move and a SQLite in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace
from tests.support import histories
from tests.support.builders import PROJECT, W1, after, make_instance, make_task
from tests.support.clocks import MovedClock, settled
from tests.support.databases import PlainKeyVault, SqliteMemory

from backroom.domain import lifecycle
from backroom.domain.errors import StoreUnavailable
from backroom.domain.ids import InstanceId, TaskId, WorkerId
from backroom.domain.instance import Instance
from backroom.domain.task import Task
from backroom.engine import attempt as attempt_module
from backroom.engine import scheduler as scheduler_module
from backroom.engine import sweeper as sweeper_module
from backroom.engine.attempt import Attempt
from backroom.engine.surroundings import Surroundings
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.submission import internal_params, typed_params
from backroom.platforms.simulated import SimulatedPlatform, Timings
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import ClusterSpec

SPEC = ClusterSpec(broker_count=3, storage_gb=300, kafka_version="2.7")


class NoParams(msgspec.Struct, frozen=True):
    pass


class FlakyStore:
    """A TaskStore that is away for the next `away` calls of each named method."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.away: dict[str, int] = {}
        self.written_but_lost = 0  # writes that are kept although they are answered with an error
        self.before_write: Callable[[], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        async def guarded(*args: Any) -> Any:
            if self.away.get(name, 0) > 0:
                self.away[name] -= 1
                raise StoreUnavailable(f"{name}: away")
            if name == "write" and self.before_write is not None:
                hook, self.before_write = self.before_write, None
                await hook()
            result = await method(*args)
            if name in {"write", "claim"} and self.written_but_lost > 0:
                self.written_but_lost -= 1
                raise StoreUnavailable(f"{name}: connection lost")
            return result

        return guarded


class World:
    def __init__(self, clock: MovedClock | None = None) -> None:
        self.clock = clock or MovedClock()
        self._under_way: asyncio.Task[None] | None = None
        self.database = SqliteMemory()
        self.stores = self.database.open()
        self.tasks = FlakyStore(self.stores.tasks)
        self.finder = self.stores.finder
        self.journal = self.stores.journal
        self.instances = self.stores.instances
        self.vault = PlainKeyVault()
        self.platform = SimulatedPlatform(self.stores.clusters, self.clock, Timings())
        self.kafka: Any = SimulatedKafka(
            self.stores.clusters, self.platform, self.clock, KafkaTimings()
        )
        self.around = Surroundings(
            self.tasks, self.instances, self.platform, self.clock, self.vault, asyncio.Event(),
            self.kafka,
        )  # fmt: skip

    def neighbour(self) -> Surroundings:
        """What another process on the same store has."""
        return Surroundings(
            self.stores.tasks, self.instances, self.platform, self.clock, self.vault,
            asyncio.Event(), self.kafka,
        )  # fmt: skip

    async def add_instance(self, number: int = 1, **given: Any) -> Instance:
        """A running one with brokers."""
        instance = make_instance(number, **given)
        cluster = await self.platform.adopt_cluster(instance.id, SPEC)
        instance = msgspec.structs.replace(instance, brokers=cluster.brokers)
        await self.instances.save(instance)
        return instance

    async def submit(self, operation: Operation, params: Any = None, number: int = 1) -> Task:
        task = make_task(
            number, self.clock.now(), name=operation.name,
            internal=internal_params(operation, params or NoParams(), self.vault),
        )  # fmt: skip
        await self.stores.tasks.write(lifecycle.submit(task))
        return task

    async def claim(self, worker_id: WorkerId = W1) -> Attempt:
        (task,) = await self.stores.tasks.claim(worker_id, 1, self.clock.now())
        return Attempt(task, self.around)

    async def attempt(self, worker_id: WorkerId = W1) -> None:
        """One go at the task that is ready."""
        await self.begin(worker_id)
        await self.finish()

    async def begin(self, worker_id: WorkerId = W1) -> None:
        """Its first look: it goes on waiting with the lease in hand if that is not enough."""
        self._under_way = asyncio.create_task((await self.claim(worker_id)).run())
        await settled()

    async def finish(self) -> None:
        """Let time pass until the go that has begun is over."""
        if self._under_way is not None:
            running, self._under_way = self._under_way, None
            await self.clock.pass_until(running.done)
            await running

    async def run_to_end(self, task_id: TaskId, limit_s: float = 3_600) -> Task:
        """Go after go, with time passing from due moment to due moment."""
        end = after(limit_s)
        while True:
            await self.finish()
            task = await self.get(task_id)
            if task.state.is_final:
                return task
            due_at = await self.stores.tasks.next_due()
            assert due_at is not None, "nothing is due, and it has not ended"
            assert due_at <= end, f"not ended after {limit_s} s"
            self.clock.move(max(0.0, (due_at - self.clock.now()).total_seconds()))
            await self.attempt()

    async def get(self, task_id: TaskId) -> Task:
        task = await self.stores.tasks.get(task_id)
        assert task is not None
        return task

    async def history(self, task_id: TaskId) -> Any:
        return await self.stores.tasks.history(task_id)

    async def verbs(self, task_id: TaskId) -> list[str]:
        return [event.verb for event in (await self.history(task_id)).events]

    async def shown(self, instance_id: InstanceId) -> Instance | None:
        return await self.instances.get(PROJECT, instance_id)

    def context(self, operation: Operation, task: Task, outputs: dict | None = None) -> StepContext:
        return StepContext(
            task=task, params=typed_params(operation, task, self.vault), outputs=outputs or {},
            platform=self.platform, instances=self.instances, tasks=self.tasks,
            clock=self.clock, kafka=self.kafka, vault=self.vault, catalogue=CATALOGUE,
        )  # fmt: skip

    def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
        self.database.close()


def make_operation(*runs: Callable[[StepContext], Awaitable[Any]], **given: Any) -> Operation:
    """Steps `step_0`, `step_1`, ... that do what they are given."""
    timeout_s = given.pop("timeout_s", 60.0)
    steps = tuple(Step(f"step_{at}", run, timeout_s=timeout_s) for at, run in enumerate(runs))
    about = {
        "name": "testOperation", "params": NoParams, "steps": steps,
        "prepare": lambda instance, _params: instance,
    }  # fmt: skip
    return Operation(**about | given)


@contextmanager
def catalogue_with(*operations: Operation):
    """The engine and the history checker know these operations too."""
    known = dict(CATALOGUE) | {operation.name: operation for operation in operations}
    modules: tuple[Any, ...] = (attempt_module, scheduler_module, sweeper_module, histories)
    kept = attempt_module.CATALOGUE
    for module in modules:
        module.CATALOGUE = known
    try:
        yield
    finally:
        for module in modules:
            module.CATALOGUE = kept


class Steps:
    """Steps that note when they run; `then` says how each run of one ends."""

    def __init__(self, *then: Any) -> None:
        self.runs: list[str] = []
        self._then = [list(one) if isinstance(one, list) else [one] for one in then]

    def operation(self, **given: Any) -> Operation:
        return make_operation(*(self._step(at) for at in range(len(self._then))), **given)

    def _step(self, at: int):
        async def run(context: StepContext) -> Any:
            self.runs.append(f"step_{at}")
            ends = self._then[at]
            end = ends.pop(0) if len(ends) > 1 else ends[0]
            if isinstance(end, BaseException):
                raise end
            return await end(context) if callable(end) else end

        return run


def doubled(operation: Operation) -> Operation:
    """The same, but each step does its work twice before it is believed."""

    def twice(step: Step) -> Step:
        async def run(context: Any) -> Any:
            first = await step.run(context)
            assert await step.run(context) == first
            return first

        return replace(step, run=run)

    return replace(operation, steps=tuple(map(twice, operation.steps)))
