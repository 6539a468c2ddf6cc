"""Use cases on tasks: submit, look, cancel, retry, delete, schedule. Writes; never runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, require_operator
from backroom.domain.errors import (
    ClientTokenReused,
    ClientTokenTaken,
    InstanceNotFound,
    InvalidInput,
    ProgressNotAvailable,
    Refused,
    ScheduleClosed,
    StaleTask,
    TaskInFlight,
    TaskNotFound,
)
from backroom.domain.estimate import Estimate, estimate
from backroom.domain.filter import Found, Page, Position, TaskFilter, TaskPage, TaskSearch
from backroom.domain.ids import NOWHERE, InstanceId, ProjectId, TaskId, new_task_id
from backroom.domain.instance import Instance, changed, instance_view
from backroom.domain.task import Change, Kind, QueueLimits, Receipt, State, Task, TaskRecord
from backroom.operations.bulk import BULK_MOST, BulkParams
from backroom.operations.cancel_tasks import CANCEL_TASKS, Ask, CancelTasks, cancellation
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.operations.retry_tasks import RETRY_TASKS, Again, RetryTasks, retrial
from backroom.operations.submission import Means, internal_params
from backroom.ports import Clock, History, InstanceStore, Place, TaskFinder, TaskStore, Vault

LIMITS = QueueLimits(instance=1_000, project=200_000)
RECEIPT_KEPT = timedelta(hours=24)
USUAL_KEPT = timedelta(seconds=10)  # how long what was learnt of a name is not asked for again
SEARCHED = 1_000  # tasks of one page of a search for many


class ClientToken(msgspec.Struct, frozen=True):
    """What a client sent to be able to repeat its request. `digest` is of all that it asked."""

    token: str
    digest: bytes


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. `public` is shown to everybody: no secrets in it.

    `only_at_version`: it was decided on what was there when the instance had that version, and of
    all orders of this kind only one may follow from it, whichever process takes them.
    """

    operation: Operation[Any]
    params: msgspec.Struct
    public: Mapping[str, Any]
    request_id: str | None = None
    reason: str | None = None
    execute_at: datetime | None = None
    client_token: ClientToken | None = None
    only_at_version: int | None = None


class Submitted(msgspec.Struct, frozen=True):
    """What an answer is made of: the same for the first submit and for its repetitions."""

    task_id: TaskId
    instance_id: InstanceId


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


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """`from_step`: steps that are done count, and are not run again."""

    from_step: bool = False
    reason: str | None = None
    request_id: str | None = None
    client_token: ClientToken | None = None


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """What to do to all tasks that are found. `public` is the search as it was asked for."""

    wanted: TaskSearch
    public: Mapping[str, Any]
    retry: bool
    from_step: bool = False
    reason: str | None = None
    request_id: str | None = None
    client_token: ClientToken | None = None


class TaskService:
    def __init__(
        self,
        tasks: TaskStore,
        finder: TaskFinder,
        instances: InstanceStore,
        vault: Vault,
        clock: Clock,
        limits: QueueLimits = LIMITS,
    ) -> None:
        self._tasks = tasks
        self._finder = finder
        self._instances = instances
        self._vault = vault
        self._clock = clock
        self._limits = limits
        self._usual: dict[str, tuple[datetime, float]] = {}
        self._encode = msgspec.json.Encoder().encode

    def forget_usual(self) -> None:
        """What tasks took that are not stored any more."""
        self._usual.clear()

    async def submit(self, identity: Identity, instance_id: InstanceId, order: Order) -> Submitted:
        """Accept a change to an instance; once this returns, the task survives anything.

        Raises ReadOnlyRole, InstanceNotFound, QuotaReached, ClientTokenReused, or what the
        operation's `prepare` refuses with; then nothing was written. StaleTask where the order is
        for another version of the instance: decide anew.
        """
        require_operator(identity)
        project_id = project_of(identity)

        async def submit() -> Submitted:
            instance = await self._instances.get(project_id, instance_id)
            if instance is None:
                raise InstanceNotFound(instance_id)
            prepared = order.operation.prepare(instance, order.params)
            shown = _shown_from_now(instance, prepared, order)
            submission = lifecycle.submit(self._task(identity, instance, order), shown)
            return await self._write_submission(submission, order.client_token)

        is_bound = order.only_at_version is not None
        return await self.once(identity, order.client_token, submit, is_new=is_bound)

    async def submit_new(self, identity: Identity, instance: Instance, order: Order) -> Submitted:
        """Accept a new instance: it and the task that makes it are there, or neither is."""
        require_operator(identity)

        async def submit() -> Submitted:
            submission = lifecycle.submit(self._task(identity, instance, order), instance)
            return await self._write_submission(submission, order.client_token)

        return await self.once(identity, order.client_token, submit, is_new=True)

    async def once(
        self,
        identity: Identity,
        client_token: ClientToken | None,
        submit: Callable[[], Awaitable[Submitted]],
        *,
        is_new: bool = False,
    ) -> Submitted:
        """What was answered to this token first, or else what `submit` returns.

        `is_new`: it looks at nothing that was there, or looked before: it can't look again.
        """
        while True:
            before = await self.submitted_before(identity, client_token)
            if before is not None:
                return before
            try:
                return await submit()
            except ClientTokenTaken:
                continue
            except StaleTask:  # somebody else wrote first: look again
                if is_new:
                    raise
            except Refused:
                before = await self.submitted_before(identity, client_token)
                if before is None:
                    raise
                return before  # refused because its twin was accepted in between

    async def _write_submission(
        self, submission: Change, client_token: ClientToken | None
    ) -> Submitted:
        task = submission.task
        await self._tasks.write(
            msgspec.structs.replace(
                submission, limits=self._limits, receipt=_receipt(task, client_token)
            )
        )
        return Submitted(task.id, task.instance_id)

    async def submitted_before(
        self, identity: Identity, client_token: ClientToken | None
    ) -> Submitted | None:
        """What was answered to this token first. Raises ClientTokenReused for another request."""
        if client_token is None:
            return None
        receipt = await self._finder.receipt(
            project_of(identity), client_token.token, self._clock.now()
        )
        if receipt is None:
            return None
        if receipt.digest != client_token.digest:
            raise ClientTokenReused
        return Submitted(receipt.task_id, receipt.instance_id)

    def _task(self, identity: Identity, instance: Instance, order: Order) -> Task:
        now = self._clock.now()
        task_id = new_task_id()
        is_later = order.execute_at is not None
        is_alone = is_later or order.operation.is_read_only
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
            lane=task_id if is_alone else instance.id,
            reason=order.reason,
            request_id=order.request_id,
            before=instance_view(instance),
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
        progress = await self._progress(await self._of_project(project_id, task_id))
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

    async def cancel(self, identity: Identity, task_id: TaskId, reason: str | None) -> Task:
        """At once if it has not begun; else it is asked to stop, and keeps its lane until it has.

        Returns the task as it is then. Raises TaskNotFound, TaskEnded.
        """
        require_operator(identity)
        while True:
            task = await self._of_project(project_of(identity), task_id)
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
            old = await self._of_project(project_of(identity), task_id)
            change = await retrial(old, again, self._means)
            return await self._write_submission(change, retry.client_token)

        return await self.once(identity, retry.client_token, submit)

    async def submit_bulk(self, identity: Identity, bulk: Bulk) -> Submitted:
        """A task that cancels or retries all that is found now, whatever comes later.

        Raises InvalidInput where more than BULK_MOST match.
        """
        require_operator(identity)

        async def submit() -> Submitted:
            task_ids = await self._matching(bulk.wanted)
            change = lifecycle.submit(self._bulk_task(identity, bulk, task_ids))
            return await self._write_submission(change, bulk.client_token)

        return await self.once(identity, bulk.client_token, submit)

    async def _matching(self, wanted: TaskSearch) -> tuple[TaskId, ...]:
        task_ids: list[TaskId] = []
        after: Position | None = None
        while True:
            found = await self._finder.search(wanted, after, SEARCHED)
            task_ids += (task.id for task in found.tasks)
            if len(task_ids) > BULK_MOST:
                raise InvalidInput("filter", f"must match at most {BULK_MOST} tasks")
            if found.position is None:
                return tuple(task_ids)
            after = found.position
            await asyncio.sleep(0)  # reads never wait: others must have their turn

    def _bulk_task(self, identity: Identity, bulk: Bulk, task_ids: tuple[TaskId, ...]) -> Task:
        params: BulkParams = CancelTasks(task_ids)
        if bulk.retry:
            params = RetryTasks(task_ids, self._limits, bulk.from_step)
        operation: Operation[Any] = RETRY_TASKS if bulk.retry else CANCEL_TASKS
        now, task_id = self._clock.now(), new_task_id()
        public = {"filter": bulk.public, "task_count": len(task_ids)}
        return Task(
            id=task_id,
            project_id=project_of(identity),
            instance_id=InstanceId(project_of(identity)),
            kind=Kind.BULK,
            name=operation.name,
            user_id=identity.user_id,
            user_name=identity.user_name,
            params=self._encode(public).decode(),
            internal=internal_params(operation, params, self._vault),
            state=State.WAITING,
            created_at=now,
            updated_at=now,
            lane=task_id,
            reason=bulk.reason,
            request_id=bulk.request_id,
        )

    @property
    def _means(self) -> Means:
        return Means(self._tasks, self._instances, self._vault, CATALOGUE)

    async def _of_project(self, project_id: ProjectId, task_id: TaskId) -> Task:
        task = await self._tasks.get(task_id)
        if task is None or task.project_id != project_id:
            raise TaskNotFound(task_id)
        return task

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


def _shown_from_now(instance: Instance, prepared: Instance, order: Order) -> Instance | None:
    """The instance's next version, where the submit makes one."""
    if order.only_at_version is not None:
        if instance.version != order.only_at_version:
            raise StaleTask(instance.id, order.only_at_version)
        return changed(instance)
    is_later = order.execute_at is not None
    return None if is_later or prepared is instance else prepared


def _receipt(task: Task, client_token: ClientToken | None) -> Receipt | None:
    if client_token is None:
        return None
    return Receipt(
        project_id=task.project_id,
        token=client_token.token,
        digest=client_token.digest,
        task_id=task.id,
        instance_id=task.instance_id,
        until=task.created_at + RECEIPT_KEPT,
    )


def project_of(identity: Identity) -> ProjectId:
    """The project that an identity acts in; in that of one scoped to a domain there is nothing."""
    return identity.project_id or NOWHERE
