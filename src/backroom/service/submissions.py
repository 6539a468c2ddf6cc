"""Accepting tasks: from then on they survive anything. What a client token was answered, too."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, require_operator
from backroom.domain.errors import (
    ClientTokenReused,
    ClientTokenTaken,
    InstanceNotFound,
    Refused,
    StaleTask,
)
from backroom.domain.ids import InstanceId, TaskId, new_task_id
from backroom.domain.instance import Instance, changed, instance_view
from backroom.domain.task import Change, Kind, QueueLimits, Receipt, State, Task
from backroom.operations.operation import Operation
from backroom.operations.submission import internal_params
from backroom.ports import Clock, InstanceStore, TaskFinder, TaskStore, Vault
from backroom.service.belonging import project_of

LIMITS: Final = QueueLimits(instance=1_000, project=200_000)
RECEIPT_KEPT: Final = timedelta(hours=24)

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


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


class Submissions:
    def __init__(
        self,
        tasks: TaskStore,
        finder: TaskFinder,
        instances: InstanceStore,
        vault: Vault,
        clock: Clock,
        limits: QueueLimits,
    ) -> None:
        self._tasks = tasks
        self._finder = finder
        self._instances = instances
        self._vault = vault
        self._clock = clock
        self.limits = limits

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
            return await self.write(submission, order.client_token)

        is_bound = order.only_at_version is not None
        return await self.once(identity, order.client_token, submit, is_new=is_bound)

    async def submit_new(self, identity: Identity, instance: Instance, order: Order) -> Submitted:
        """Accept a new instance: it and the task that makes it are there, or neither is."""
        require_operator(identity)

        async def submit() -> Submitted:
            submission = lifecycle.submit(self._task(identity, instance, order), instance)
            return await self.write(submission, order.client_token)

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

    async def write(self, submission: Change, client_token: ClientToken | None) -> Submitted:
        """A task's first change, within the limits; its client token is used up by it."""
        task = submission.task
        await self._tasks.write(
            msgspec.structs.replace(
                submission, limits=self.limits, receipt=_receipt(task, client_token)
            )
        )
        _log.info("task accepted", extra=_fields(task))
        return Submitted(task.id, task.instance_id)

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
            params=_encode(order.public).decode(),
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


def _shown_from_now(instance: Instance, prepared: Instance, order: Order) -> Instance | None:
    """The instance's next version, where the submit makes one."""
    if order.only_at_version is not None:
        if instance.version != order.only_at_version:
            raise StaleTask(instance.id, order.only_at_version)
        return changed(instance)
    is_later = order.execute_at is not None
    return None if is_later or prepared is instance else prepared


def _fields(task: Task) -> dict[str, Any]:
    return {
        "request_id": task.request_id,
        "task_id": task.id,
        "instance_id": task.instance_id,
        "operation": task.name,
    }


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
