"""Background and scheduled tasks: show, list, progress, delete, change of a schedule."""

import math
from typing import Final

from backroom.api.conditions import matches, wait_s
from backroom.api.exchange import NO_CONTENT, Headers, Request, Response, json_response
from backroom.api.watching import Watch
from backroom.domain.task import Kind, State, TaskRecord
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import Clock
from backroom.service import TaskService
from backroom.wire import tasks as wire

IN_FLIGHT: Final = frozenset({State.WAITING.value, State.RUNNING.value})
RETRY_AFTER_MOST_S: Final = 60  # an end that comes early is not missed for longer


class TaskHandlers:
    def __init__(self, service: TaskService, clock: Clock, watch: Watch) -> None:
        self._service = service
        self._clock = clock
        self._watch = watch

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
        if delay_s is None:
            return record, []
        known, until = request.header(b"if-none-match"), self._watch.in_seconds(delay_s)
        is_late = False
        while True:
            rung = self._watch.rung
            record = await self._service.show(
                request.project_id, request.instance_id, request.task_id
            )
            is_new = known is not None and not matches(
                known, wire.entity_tag(wire.encode_task(record))
            )
            if is_new or is_late or record.state not in IN_FLIGHT:
                return record, [(b"preference-applied", b"wait=%d" % delay_s)]
            is_late = not await self._watch.news(rung, until)

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
                request.who, request.instance_id, request.task_id, update.execute_at
            )
        return NO_CONTENT

    async def delete_scheduled_task(self, request: Request) -> Response:
        await self._service.delete(
            request.who, request.instance_id, request.task_id, Kind.SCHEDULED
        )
        return NO_CONTENT
