"""Tasks that cancel, retry or delete many: what they act on is settled when they are accepted."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, require_operator
from backroom.domain.errors import InvalidInput
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.ids import InstanceId, TaskId, new_task_id
from backroom.domain.task import Kind, State, Task
from backroom.operations.bulk import BULK_MOST, BulkParams
from backroom.operations.cancel_tasks import CANCEL_TASKS, CancelTasks
from backroom.operations.delete_tasks import DELETE_TASKS, DeleteTasks
from backroom.operations.operation import Operation
from backroom.operations.retry_tasks import RETRY_TASKS, RetryTasks
from backroom.operations.submission import internal_params
from backroom.ports import Clock, TaskFinder, Vault
from backroom.service.belonging import project_of
from backroom.service.submissions import ClientToken, Submissions, Submitted

SEARCHED: Final = 1_000  # tasks of one page of a search for many

_encode = msgspec.json.Encoder().encode


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """What to do to all tasks that are found, cancel them by default.

    `public` is the search as it was asked for; `most` is how many may match, as whoever asks
    counted them.
    """

    wanted: TaskSearch
    public: Mapping[str, Any]
    retry: bool
    delete: bool = False
    from_step: bool = False
    most: int | None = None
    reason: str | None = None
    request_id: str | None = None
    client_token: ClientToken | None = None


class BulkTasks:
    def __init__(
        self, submissions: Submissions, finder: TaskFinder, vault: Vault, clock: Clock
    ) -> None:
        self._submissions = submissions
        self._finder = finder
        self._vault = vault
        self._clock = clock

    async def submit_bulk(self, identity: Identity, bulk: Bulk) -> Submitted:
        """A task that cancels, retries or deletes all that is found now, whatever comes later.

        Raises InvalidInput where more match than BULK_MOST, or than were counted.
        """
        require_operator(identity)

        async def submit() -> Submitted:
            task_ids = await self._matching(bulk.wanted, bulk.most)
            change = lifecycle.submit(self._bulk_task(identity, bulk, task_ids))
            return await self._submissions.write(change, bulk.client_token)

        return await self._submissions.once(identity, bulk.client_token, submit)

    async def _matching(self, wanted: TaskSearch, most: int | None) -> tuple[TaskId, ...]:
        task_ids: list[TaskId] = []
        after: Position | None = None
        while True:
            found = await self._finder.search(wanted, after, SEARCHED)
            task_ids += (task.id for task in found.tasks)
            if len(task_ids) > BULK_MOST:
                raise InvalidInput("filter", f"must match at most {BULK_MOST} tasks")
            if most is not None and len(task_ids) > most:
                raise InvalidInput("most", f"is {most}, and more tasks match")
            if found.position is None:
                return tuple(task_ids)
            after = found.position
            await asyncio.sleep(0)  # reads never wait: others must have their turn

    def _bulk_task(self, identity: Identity, bulk: Bulk, task_ids: tuple[TaskId, ...]) -> Task:
        params: BulkParams = CancelTasks(task_ids)
        operation: Operation[Any] = CANCEL_TASKS
        if bulk.retry:
            params = RetryTasks(task_ids, self._submissions.limits, bulk.from_step)
            operation = RETRY_TASKS
        elif bulk.delete:
            params, operation = DeleteTasks(task_ids), DELETE_TASKS
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
            params=_encode(public).decode(),
            internal=internal_params(operation, params, self._vault),
            state=State.WAITING,
            created_at=now,
            updated_at=now,
            lane=task_id,
            reason=bulk.reason,
            request_id=bulk.request_id,
        )
