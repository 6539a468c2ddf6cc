"""Looking at tasks: nothing is written, and nothing is logged as done."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from backroom.domain.errors import InstanceNotFound, ProgressNotAvailable, TaskNotFound
from backroom.domain.estimate import Estimate, estimate
from backroom.domain.filter import Found, Page, Position, TaskFilter, TaskPage, TaskSearch
from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.task import Kind, State, Task, TaskRecord
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import Clock, History, InstanceStore, Place, TaskFinder, TaskStore
from backroom.service.belonging import task_of_instance, task_of_project

USUAL_KEPT: Final = timedelta(seconds=10)  # how long what was learnt of a name is not asked again


class Progress(msgspec.Struct, frozen=True):
    task: Task
    history: History
    estimate: Estimate


class Waits(msgspec.Struct, frozen=True):
    """Where a waiting task is; `expected_at` when it should begin, None where nobody can know."""

    place: Place
    expected_at: datetime | None


class Full(msgspec.Struct, frozen=True):
    progress: Progress
    waits: Waits | None


class Looking:
    def __init__(
        self, tasks: TaskStore, finder: TaskFinder, instances: InstanceStore, clock: Clock
    ) -> None:
        self._tasks = tasks
        self._finder = finder
        self._instances = instances
        self._clock = clock
        self._usual: dict[str, tuple[datetime, float]] = {}

    def forget_usual(self) -> None:
        """What tasks took that are not stored any more."""
        self._usual.clear()

    async def show(
        self, project_id: ProjectId, instance_id: InstanceId, task_id: TaskId
    ) -> TaskRecord:
        """Raises TaskNotFound for a missing task and for somebody else's alike."""
        record = await self._tasks.record(task_id)
        if (
            record is None
            or record.instance_id != instance_id
            or record.project_id != project_id
            or record.kind != Kind.BACKGROUND
        ):
            raise TaskNotFound(task_id)
        return record

    async def list(self, wanted: TaskFilter, page: Page) -> TaskPage:
        """Raises InstanceNotFound when there is neither such an instance nor a task of it."""
        found = await self._tasks.find(wanted, page)
        if found.total == 0:
            instance = await self._instances.get(wanted.project_id, wanted.instance_id)
            if instance is None and not await self._has_tasks(wanted):
                raise InstanceNotFound(wanted.instance_id)
        return found

    async def _has_tasks(self, wanted: TaskFilter) -> bool:
        """Tasks outlive their instance: people may still look at them."""
        for kind in Kind:
            anything = TaskFilter(
                project_id=wanted.project_id, instance_id=wanted.instance_id, kind=kind
            )
            if (await self._tasks.find(anything, Page(0, 1))).total > 0:
                return True
        return False

    async def progress(
        self, project_id: ProjectId, instance_id: InstanceId, task_id: TaskId
    ) -> Progress:
        """Raises TaskNotFound, or ProgressNotAvailable for a kind without official progress."""
        task = await task_of_instance(
            self._tasks, project_id, instance_id, task_id, Kind.BACKGROUND
        )
        operation = CATALOGUE.get(task.name)
        if operation is None or not operation.has_progress:
            raise ProgressNotAvailable(task.id, task.name)
        return await self._progress(task)

    async def _progress(self, task: Task) -> Progress:
        operation = CATALOGUE.get(task.name)
        steps = () if operation is None else operation.steps
        weights = {step.name: step.weight for step in steps}
        history = await self._tasks.history(task.id)
        durations = await self._finder.durations(task.name)
        now = self._clock.now()
        return Progress(task, history, estimate(task, weights, history.steps, durations, now))

    async def full(self, project_id: ProjectId, task_id: TaskId) -> Full:
        """All there is about a task of any kind. Raises TaskNotFound."""
        progress = await self._progress(await task_of_project(self._tasks, project_id, task_id))
        return Full(progress, await self._waits(progress.task))

    async def state_of(self, project_id: ProjectId, task_id: TaskId) -> State:
        """Of a task of any kind: one look-up. Raises TaskNotFound."""
        record = await self._tasks.record(task_id)
        if record is None or record.project_id != project_id:
            raise TaskNotFound(task_id)
        return State(record.state)

    async def _waits(self, task: Task) -> Waits | None:
        if task.state is not State.WAITING:
            return None
        place = await self._finder.place(task)
        return Waits(place, await self._expected_at(task, place))

    async def _expected_at(self, task: Task, place: Place) -> datetime | None:
        """When those before it should be done; None where one of them never was before."""
        now = self._clock.now()
        delays_s = [await self._usual_s(name, now) for name in place.ahead]
        if place.holder is not None:
            delays_s.append((await self._progress(place.holder)).estimate.remaining_s)
        if not all(delays_s):
            return None
        ready_at = task.due_at if delays_s else place.ready_at
        return max(now, ready_at or now) + timedelta(seconds=sum(delays_s))

    async def remaining_s(self, record: TaskRecord) -> float:
        """Of a task in flight, cheap: what tasks of its name usually take, less its age."""
        now = self._clock.now()
        age = now - datetime.fromisoformat(record.created_at)
        return await self._usual_s(record.name, now) - age.total_seconds()

    async def _usual_s(self, name: str, now: datetime) -> float:
        """Seconds that tasks of this name take; 0 where none has succeeded yet."""
        learnt_at, usual_s = self._usual.get(name, (now, None))
        if usual_s is None or abs(now - learnt_at) >= USUAL_KEPT:
            usual_s = sum((await self._finder.durations(name)).values())
            self._usual[name] = (now, usual_s)
        return usual_s

    async def search(self, wanted: TaskSearch, after: Position | None, limit: int) -> Found:
        """Tasks of any kind in the project of the search, newest first."""
        return await self._finder.search(wanted, after, limit)
