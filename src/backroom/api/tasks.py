"""Background and scheduled tasks: show, list, progress, delete, change of a schedule."""

import math
from datetime import datetime
from typing import Final

from backroom.api.conditions import matches, wait_s
from backroom.api.exchange import NO_CONTENT, Headers, Request, Response, json_response
from backroom.api.following import Tails
from backroom.api.watching import Watch
from backroom.domain.filter import EventFilter
from backroom.domain.task import Kind, State, TaskRecord
from backroom.operations.catalogue import CATALOGUE
from backroom.service import Move, TaskService
from backroom.wire import tasks as wire

IN_FLIGHT: Final = frozenset({State.WAITING.value, State.RUNNING.value})
RETRY_AFTER_MOST_S: Final = 60  # an end that comes early is not missed for longer
WAITING_MOST: Final = 1_000  # requests of this process that wait at once; others are not let wait


class TaskHandlers:
    def __init__(
        self, service: TaskService, tails: Tails, watch: Watch, waiting_most: int = WAITING_MOST
    ) -> None:
        self._service = service
        self._tails = tails
        self._watch = watch
        self._waiting_most = waiting_most
        self._waiting = 0

    async def show_background_task(self, request: Request) -> Response:
        """With what clients of old take no notice of: ETag, Retry-After and Prefer: wait."""
        fields = request.fields or {}
        record = await self._service.show(request.project_id, request.instance_id, request.task_id)
        headers: Headers = []
        if b"prefer" in fields:
            record, headers = await self._awaited(request, record)
        shown = wire.encode_task(record)
        tag = wire.entity_tag(shown)
        headers.append((b"etag", tag))
        if record.state in IN_FLIGHT:
            remaining_s = await self._service.remaining_s(record)
            again_s = min(max(math.ceil(remaining_s), 1), RETRY_AFTER_MOST_S)
            headers.append((b"retry-after", b"%d" % again_s))
        if b"if-none-match" in fields and matches(fields[b"if-none-match"], tag):
            return Response(304, headers=headers)
        return json_response(wire.encode_one(shown), headers=headers)

    async def _awaited(self, request: Request, record: TaskRecord) -> tuple[TaskRecord, Headers]:
        """The record once the task has ended or is another than the client has, or time is up."""
        delay_s = wait_s(request.header(b"prefer"))
        if delay_s is None or self._waiting >= self._waiting_most:
            return record, []
        self._waiting += 1
        try:
            until = self._watch.in_seconds(delay_s)
            record = await self._changed(request, until)
        finally:
            self._waiting -= 1
        return record, [(b"preference-applied", b"wait=%d" % delay_s)]

    async def _changed(self, request: Request, until: datetime) -> TaskRecord:
        """The task is looked at when it has an event, not at each ring."""
        known = request.header(b"if-none-match")
        with self._tails.following(request.project_id) as tail:
            position: int | None = await tail.position()
            while True:
                record = await self._service.show(
                    request.project_id, request.instance_id, request.task_id
                )
                is_new = known is not None and not matches(
                    known, wire.entity_tag(wire.encode_task(record))
                )
                if is_new or position is None or record.state not in IN_FLIGHT:
                    return record
                wanted = EventFilter(
                    project_id=request.project_id, task_id=request.task_id, after=position
                )
                position = await tail.next(wanted, until)

    async def list_background_tasks(self, request: Request) -> Response:
        wanted, page = wire.decode_list(
            request.query(), request.project_id, request.instance_id, Kind.BACKGROUND
        )
        return json_response(wire.encode_page(await self._service.list(wanted, page)))

    async def delete_background_task(self, request: Request) -> Response:
        await self._service.delete(
            request.who, request.instance_id, request.task_id, Kind.BACKGROUND
        )
        return NO_CONTENT

    async def show_background_task_progress(self, request: Request) -> Response:
        found = await self._service.progress(
            request.project_id, request.instance_id, request.task_id
        )
        operation = CATALOGUE[found.task.name]
        times = str if wire.reads_times_as_text(request.header(b"user-agent")) else int
        return json_response(wire.encode_progress(operation, found.history, found.estimate, times))

    async def list_scheduled_tasks(self, request: Request) -> Response:
        wanted, page = wire.decode_list(
            request.query(), request.project_id, request.instance_id, Kind.SCHEDULED
        )
        return json_response(wire.encode_scheduled_page(await self._service.list(wanted, page)))

    async def update_scheduled_task(self, request: Request) -> Response:
        update = wire.decode_schedule_update(request.query())
        if update.execute_at is None:
            await self._service.cancel_schedule(request.who, request.instance_id, request.task_id)
        else:
            await self._service.reschedule(
                request.who,
                request.instance_id,
                request.task_id,
                Move(execute_at=update.execute_at),
            )
        return NO_CONTENT

    async def delete_scheduled_task(self, request: Request) -> Response:
        await self._service.delete(
            request.who, request.instance_id, request.task_id, Kind.SCHEDULED
        )
        return NO_CONTENT
