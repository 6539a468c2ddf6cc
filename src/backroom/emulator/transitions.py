"""When a task ends: at once, after so many seconds, after so many reads, or as the brokers take.

Where a transition is set, steps do their work in a world that takes no time, and this module says
when: each step has the share of the whole that its weight says.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

import msgspec

from backroom.domain.errors import StepNotReady
from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.task import Task
from backroom.domain.transition import Transition, TransitionPlan
from backroom.operations.operation import Operation, Step, StepContext, StepWrapper
from backroom.ports import AdjustableClock, Clock, KafkaAdmin, Platform

PARTS = 20  # of the whole time: after each, progress is told
LOOKS = 200  # of one step that is not ready although nothing takes time: then time must pass
UNTIL_READ_S = 86_400.0  # a read comes before that, or it is looked at once more in vain


class _Reads(msgspec.Struct):
    project_id: ProjectId
    instance_id: InstanceId
    count: int = 0


class Transitions:
    """`platform` and `kafka` are those of a world in which nothing takes time."""

    def __init__(
        self,
        plan: TransitionPlan,
        clock: AdjustableClock,
        platform: Platform,
        kafka: KafkaAdmin,
        inner: StepWrapper,
    ) -> None:
        self.plan = self._planned = plan
        self._clock = clock
        self._platform = platform
        self._kafka = kafka
        self._inner = inner
        self._reads: dict[TaskId, _Reads] = {}

    def forget(self) -> None:
        self._reads.clear()

    def restart(self) -> None:
        self.plan = self._planned

    @property
    def holds_any(self) -> bool:
        return bool(self._reads)

    @property
    def held(self) -> frozenset[TaskId]:
        """Tasks that wait to be read."""
        return frozenset(self._reads)

    def let_go(self, task_id: TaskId) -> None:
        self._reads.pop(task_id, None)

    def note_read(
        self, project_id: ProjectId, instance_id: str | None, task_id: str | None
    ) -> bool:
        """Of one task, or of all that are under way on an instance. True: one of them goes on."""
        found = [
            reads
            for held_id, reads in self._reads.items()
            if reads.project_id == project_id
            and (held_id == task_id if task_id is not None else reads.instance_id == instance_id)
        ]
        for reads in found:
            reads.count += 1
        return bool(found)

    def wrap_step(self, step: Step[Any]) -> Step[Any]:
        inner = self._inner(step)
        wrapped = self._awaiting if iscoroutinefunction(inner.run) else self._blocking
        return msgspec.structs.replace(step, run=wrapped(inner))

    def _awaiting(self, step: Step[Any]) -> Callable[[StepContext[Any]], Any]:
        async def run(context: StepContext[Any]) -> Any:
            at_once = self._begun(step, context)
            if at_once is None:
                return await step.run(context)
            for _ in range(LOOKS):
                try:
                    return self._ended(step, context, await step.run(at_once.context))
                except StepNotReady as wait:
                    last = at_once.skip(wait)
            raise last

        return run

    def _blocking(self, step: Step[Any]) -> Callable[[StepContext[Any]], Any]:
        def run(context: StepContext[Any]) -> Any:
            at_once = self._begun(step, context)
            if at_once is None:
                return step.run(context)
            for _ in range(LOOKS):
                try:
                    return self._ended(step, context, step.run(at_once.context))
                except StepNotReady as wait:
                    last = at_once.skip(wait)
            raise last

        return run

    def _begun(self, step: Step[Any], context: StepContext[Any]) -> "_AtOnce | None":
        """None: as the brokers take. Raises StepNotReady as long as it is too early."""
        transition, task = self.plan.of(context.task), context.task
        if transition.is_simulated:
            return None
        begins, ends = _span(context.catalogue[task.name], step)
        passed = self._passed(transition, task)
        if passed < ends:
            done = max(0.0, passed - begins) / (ends - begins)
            raise StepNotReady(_delay_s(transition, passed, ends), int(100 * done))
        clock = _HastyClock(self._clock)
        around = context.fence.around
        world = msgspec.structs.replace(
            context, platform=around(self._platform), kafka=around(self._kafka), clock=clock
        )
        return _AtOnce(world, clock)

    def _ended(self, step: Step[Any], context: StepContext[Any], output: Any) -> Any:
        if step.name == context.catalogue[context.task.name].steps[-1].name:
            self.let_go(context.task.id)
        return output

    def _passed(self, transition: Transition, task: Task) -> float:
        """The share of the whole, 1 at its end."""
        if transition.after_s is not None:
            began = task.started_at or task.created_at
            lived_s = (self._clock.now() - began).total_seconds()
            return min(1.0, lived_s / transition.after_s) if transition.after_s else 1.0
        if not transition.after_reads:
            return 1.0
        reads = self._reads.setdefault(task.id, _Reads(task.project_id, task.instance_id))
        return min(1.0, reads.count / (transition.after_reads + 1))


class _AtOnce(NamedTuple):
    """What a step sees in a world that takes no time."""

    context: StepContext[Any]
    clock: "_HastyClock"

    def skip(self, wait: StepNotReady) -> StepNotReady:
        self.clock.skip(wait.delay_s)
        return wait


class _HastyClock:
    """For one step in a world without time: whoever waits finds that it has passed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skipped = timedelta()

    def skip(self, delay_s: float) -> None:
        self._skipped += timedelta(seconds=delay_s)

    def now(self) -> datetime:
        return self._clock.now() + self._skipped

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if until is None:
            return await event.wait()
        self._skipped += max(timedelta(), until - self.now())
        return event.is_set()


def _span(operation: Operation[Any], step: Step[Any]) -> tuple[float, float]:
    """Where a step begins and ends in the whole, which is 1."""
    weights = [one.weight for one in operation.steps]
    names = [one.name for one in operation.steps]
    before = sum(weights[: names.index(step.name)])
    return before / sum(weights), (before + step.weight) / sum(weights)


def _delay_s(transition: Transition, passed: float, ends: float) -> float:
    if transition.after_s is None:
        return UNTIL_READ_S
    part = (int(passed * PARTS + 1e-9) + 1) / PARTS
    return max(0.001, (min(part, ends) - passed) * transition.after_s)
