"""What somebody does to a task that is there: cancel, retry, delete, reschedule."""

from datetime import datetime

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, require_operator
from backroom.domain.errors import (
    InvalidInput,
    ScheduleClosed,
    StaleTask,
    TaskInFlight,
    TaskNotFound,
)
from backroom.domain.ids import InstanceId, ProjectId, TaskId, new_task_id
from backroom.domain.stamps import stamp
from backroom.domain.task import Change, Kind, State, Task
from backroom.operations.cancel_tasks import Ask, cancellation
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.retry_tasks import Again, retrial
from backroom.operations.submission import Means
from backroom.ports import Clock, InstanceStore, TaskStore, Vault
from backroom.service.belonging import project_of, task_of_instance, task_of_project
from backroom.service.submissions import ClientToken, Submissions, Submitted


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`from_step`: steps that are done count, and are not run again."""

    from_step: bool = False
    reason: str | None = None
    request_id: str | None = None
    client_token: ClientToken | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """`seen_version` is that of the task as whoever moves it saw it."""

    execute_at: datetime
    reason: str | None = None
    seen_version: int | None = None


class Actions:
    def __init__(
        self,
        submissions: Submissions,
        tasks: TaskStore,
        instances: InstanceStore,
        vault: Vault,
        clock: Clock,
    ) -> None:
        self._submissions = submissions
        self._tasks = tasks
        self._instances = instances
        self._vault = vault
        self._clock = clock

    async def cancel(self, identity: Identity, task_id: TaskId, reason: str | None) -> Task:
        """At once if it has not begun; else it is asked to stop, and keeps its lane until it has.

        Returns the task as it is then. Raises TaskNotFound, TaskEnded.
        """
        require_operator(identity)
        while True:
            task = await task_of_project(self._tasks, project_of(identity), task_id)
            ask = Ask(self._clock.now(), identity.user_name, reason)
            change = await cancellation(task, ask, self._means)
            if change is None:
                return task
            if await self._is_written(change):
                return change.task

    async def retry(self, identity: Identity, task_id: TaskId, retry: Retry) -> Submitted:
        """Do a task that failed or was cancelled once more, as a new one that names it.

        Raises TaskNotFound, TaskNotRetryable, or what the operation's `prepare` refuses with.
        """
        require_operator(identity)

        async def submit() -> Submitted:
            again = Again(
                task_id=new_task_id(),
                at=self._clock.now(),
                user_id=identity.user_id,
                user_name=identity.user_name,
                from_step=retry.from_step,
                reason=retry.reason,
                request_id=retry.request_id,
            )
            old = await task_of_project(self._tasks, project_of(identity), task_id)
            change = await retrial(old, again, self._means)
            return await self._submissions.write(change, retry.client_token)

        return await self._submissions.once(identity, retry.client_token, submit)

    async def delete(
        self, identity: Identity, instance_id: InstanceId, task_id: TaskId, kind: Kind
    ) -> None:
        """Clear the record of a task that has ended. Raises TaskNotFound, TaskInFlight."""
        require_operator(identity)
        task = await task_of_instance(self._tasks, project_of(identity), instance_id, task_id, kind)
        if not task.state.is_final:
            raise TaskInFlight(task_id)
        change = lifecycle.delete(task, self._clock.now(), identity.user_name)
        try:
            await self._tasks.write(change)
        except StaleTask:
            raise TaskNotFound(task_id) from None  # final tasks change only by being deleted

    async def reschedule(
        self,
        identity: Identity,
        instance_id: InstanceId,
        task_id: TaskId,
        move: Move,
    ) -> None:
        """Sent again it does nothing: the task was changed since it was seen, and has this time.

        Raises TaskNotFound, ScheduleClosed once it started, InvalidInput for a past moment.
        """
        require_operator(identity)
        now = self._clock.now()
        if move.execute_at <= now:
            raise InvalidInput("execute_at", "must be in the future")
        while True:
            task = await self._open_schedule(project_of(identity), instance_id, task_id)
            if _is_moved(task, move):
                return
            change = lifecycle.reschedule(
                task, now, move.execute_at, identity.user_name, move.reason
            )
            if await self._is_written(change):
                return

    async def cancel_schedule(
        self, identity: Identity, instance_id: InstanceId, task_id: TaskId
    ) -> None:
        """Raises TaskNotFound, or ScheduleClosed once it started."""
        require_operator(identity)
        while True:
            task = await self._open_schedule(project_of(identity), instance_id, task_id)
            if await self._is_written(
                lifecycle.cancel(task, self._clock.now(), identity.user_name)
            ):
                return

    async def _is_written(self, change: Change) -> bool:
        try:
            await self._tasks.write(change)
        except StaleTask:
            return False
        return True

    async def _open_schedule(
        self, project_id: ProjectId, instance_id: InstanceId, task_id: TaskId
    ) -> Task:
        task = await task_of_instance(self._tasks, project_id, instance_id, task_id, Kind.SCHEDULED)
        if task.state is not State.WAITING or task.started_at is not None:
            raise ScheduleClosed(task_id, task.state)
        return task

    @property
    def _means(self) -> Means:
        return Means(self._tasks, self._instances, self._vault, CATALOGUE)


def _is_moved(task: Task, move: Move) -> bool:
    is_as_seen = move.seen_version in (None, task.version)
    return (
        not is_as_seen
        and task.execute_at is not None
        and stamp(task.execute_at) == stamp(move.execute_at)
    )
