"""Use cases on tasks: submit, show, list, delete, progress, schedule. Writes; never runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, require_operator
from backroom.domain.errors import (
    InstanceNotFound,
    InvalidInput,
    ProgressNotAvailable,
    QuotaReached,
    ScheduleClosed,
    StaleTask,
    TaskInFlight,
    TaskNotFound,
)
from backroom.domain.filter import Page, TaskFilter, TaskPage
from backroom.domain.ids import NOWHERE, InstanceId, ProjectId, TaskId, new_task_id
from backroom.domain.instance import Instance
from backroom.domain.task import Change, Kind, State, Task, TaskRecord
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.operations.submission import internal_params
from backroom.ports import Clock, History, InstanceStore, TaskStore, Vault

MAX_QUEUED = 1_000  # waiting tasks of one instance


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. `public` is shown to everybody: no secrets in it."""

    operation: Operation[Any]
    params: msgspec.Struct
    public: Mapping[str, Any]
    request_id: str | None = None
    reason: str | None = None
    execute_at: datetime | None = None


class Progress(msgspec.Struct, frozen=True):
    task: Task
    history: History


class TaskService:
    def __init__(
        self, tasks: TaskStore, instances: InstanceStore, vault: Vault, clock: Clock
    ) -> None:
        self._tasks = tasks
        self._instances = instances
        self._vault = vault
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode

    async def submit(self, identity: Identity, instance_id: InstanceId, order: Order) -> Task:
        """Accept a change to an instance; once this returns, the task survives anything.

        Raises ReadOnlyRole, InstanceNotFound, QuotaReached, or what the operation's `prepare`
        refuses with; then nothing was written.
        """
        require_operator(identity)
        project_id = project_of(identity)
        while True:
            instance = await self._instances.get(project_id, instance_id)
            if instance is None:
                raise InstanceNotFound(instance_id)
            if await self._tasks.queued(instance_id) >= MAX_QUEUED:
                raise QuotaReached("waiting tasks of the instance", MAX_QUEUED)
            is_later = order.execute_at is not None
            prepared = order.operation.prepare(instance, order.params)
            task = self._task(identity, instance, order)
            shown = None if is_later or prepared is instance else prepared
            if await self._is_written(lifecycle.submit(task, shown)):
                return task

    async def submit_new(self, identity: Identity, instance: Instance, order: Order) -> Task:
        """Accept a new instance: it and the task that makes it are there, or neither is."""
        require_operator(identity)
        task = self._task(identity, instance, order)
        await self._tasks.write(lifecycle.submit(task, instance))
        return task

    def _task(self, identity: Identity, instance: Instance, order: Order) -> Task:
        now = self._clock.now()
        task_id = new_task_id()
        is_later = order.execute_at is not None
        return Task(
            id=task_id,
            project_id=instance.project_id,
            instance_id=instance.id,
            kind=Kind.SCHEDULED if is_later else Kind.BACKGROUND,
            name=order.operation.name,
            user_id=identity.user_id,
            user_name=identity.user_name,
            params=self._encode(order.public).decode(),
            internal=internal_params(order.operation, order.params, self._vault),
            state=State.WAITING,
            created_at=now,
            updated_at=now,
            execute_at=order.execute_at,
            due_at=order.execute_at,
            lane=task_id if is_later else instance.id,
            reason=order.reason,
            request_id=order.request_id,
        )

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
        task = await self._owned(project_id, instance_id, task_id, Kind.BACKGROUND)
        operation = CATALOGUE.get(task.name)
        if operation is None or not operation.has_progress:
            raise ProgressNotAvailable(task.id, task.name)
        return Progress(task, await self._tasks.history(task_id))

    async def delete(
        self, identity: Identity, instance_id: InstanceId, task_id: TaskId, kind: Kind
    ) -> None:
        """Clear the record of a task that has ended. Raises TaskNotFound, TaskInFlight."""
        require_operator(identity)
        task = await self._owned(project_of(identity), instance_id, task_id, kind)
        if not task.state.is_final:
            raise TaskInFlight(task_id)
        change = lifecycle.delete(task, self._clock.now(), identity.user_name)
        try:
            await self._tasks.write(change)
        except StaleTask:
            raise TaskNotFound(task_id) from None  # final tasks change only by being deleted

    async def reschedule(
        self, identity: Identity, instance_id: InstanceId, task_id: TaskId, execute_at: datetime
    ) -> None:
        """Raises TaskNotFound, ScheduleClosed once it started, InvalidInput for a past moment."""
        require_operator(identity)
        now = self._clock.now()
        if execute_at <= now:
            raise InvalidInput("execute_at", "must be in the future")
        while True:
            task = await self._open_schedule(project_of(identity), instance_id, task_id)
            change = lifecycle.reschedule(task, now, execute_at, identity.user_name)
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
        task = await self._owned(project_id, instance_id, task_id, Kind.SCHEDULED)
        if task.state is not State.WAITING or task.started_at is not None:
            raise ScheduleClosed(task_id, task.state)
        return task

    async def _owned(
        self, project_id: ProjectId, instance_id: InstanceId, task_id: TaskId, kind: Kind
    ) -> Task:
        task = await self._tasks.get(task_id)
        if (
            task is None
            or task.project_id != project_id
            or task.instance_id != instance_id
            or task.kind is not kind
        ):
            raise TaskNotFound(task_id)
        return task


def project_of(identity: Identity) -> ProjectId:
    """The project that an identity acts in; in that of one scoped to a domain there is nothing."""
    return identity.project_id or NOWHERE
