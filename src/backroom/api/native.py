"""The native API: full records, searches, cancel, retry, bulk actions, events and their streams."""

from functools import partial
from typing import Any

import msgspec

from backroom.api.authentication import Authentication
from backroom.api.conditions import matches
from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.api.orders import client_token
from backroom.api.streams import CONTENT_TYPE, EventStreams
from backroom.domain.account import Role
from backroom.domain.errors import InstanceNotFound, InvalidInput
from backroom.domain.filter import EventFilter
from backroom.domain.task import State
from backroom.ports import Clock, InstanceStore, Journal
from backroom.service import Bulk, Full, Retry, TaskService
from backroom.wire import native as wire


class NativeTaskHandlers:
    def __init__(self, service: TaskService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def search_tasks(self, request: Request) -> Response:
        query = request.query()
        wanted = wire.decode_search(query, request.project_id)
        limit = wire.decode_limit(query, wire.DEFAULT_LIMIT, wire.MAX_LIMIT)
        after = wire.decode_cursor(query.get("cursor"), wanted)
        found = await self._service.search(wanted, after, limit)
        return json_response(wire.encode_found(found, wanted))

    async def show_task(self, request: Request) -> Response:
        full = await self._service.full(request.project_id, request.task_id)
        answer = json_response(self._encoded(full, is_admin=request.who.role is Role.ADMIN))
        tag = wire.entity_tag(answer.body)
        if matches(request.header(b"if-none-match"), tag):
            return Response(304, headers=[(b"etag", tag)])
        answer.headers = [(b"etag", tag)]
        return answer

    def _encoded(self, full: Full, *, is_admin: bool) -> wire.FullTaskBody:
        task, waits = full.progress.task, None
        if full.waits is not None:
            now = self._clock.now()
            waits = wire.encode_waits(task, full.waits.place, full.waits.expected_at, now)
        progress = full.progress
        return wire.encode_task(task, progress.history, progress.estimate, waits, is_admin=is_admin)

    async def cancel_task(self, request: Request) -> Response:
        body = _optional(request, wire.CancelBody)
        reason = wire.decode_reason(body.reason)
        task = await self._service.cancel(request.who, request.task_id, reason)
        return json_response(wire.encode_cancelled(task), 202)

    async def retry_task(self, request: Request) -> Response:
        body = _optional(request, wire.RetryBody)
        retry = Retry(
            from_step=body.from_step,
            reason=wire.decode_reason(body.reason),
            request_id=request.request_id,
            client_token=client_token(request),
        )
        submitted = await self._service.retry(request.who, request.task_id, retry)
        return json_response(wire.SubmittedBody(submitted.task_id), 202)

    async def bulk_cancel_tasks(self, request: Request) -> Response:
        body = request.json(wire.BulkCancelBody)
        return await self._submit_bulk(request, body, (State.WAITING, State.RUNNING))

    async def bulk_retry_tasks(self, request: Request) -> Response:
        body = request.json(wire.BulkRetryBody)
        return await self._submit_bulk(request, body, (State.FAILED, State.CANCELLED))

    async def bulk_delete_tasks(self, request: Request) -> Response:
        body = request.json(wire.BulkDeleteBody)
        return await self._submit_bulk(
            request, body, (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        )

    async def _submit_bulk(
        self,
        request: Request,
        body: wire.BulkCancelBody | wire.BulkRetryBody | wire.BulkDeleteBody,
        states: tuple[State, ...],
    ) -> Response:
        wanted, public = wire.decode_filter(body.filter, request.project_id, states)
        bulk = Bulk(
            wanted=wanted,
            public=public,
            retry=isinstance(body, wire.BulkRetryBody),
            delete=isinstance(body, wire.BulkDeleteBody),
            from_step=isinstance(body, wire.BulkRetryBody) and body.from_step,
            most=body.most,
            reason=wire.decode_reason(body.reason),
            request_id=request.request_id,
            client_token=client_token(request),
        )
        submitted = await self._service.submit_bulk(request.who, bulk)
        return json_response(wire.SubmittedBody(submitted.task_id), 202)


class NativeEventHandlers:
    def __init__(
        self,
        service: TaskService,
        instances: InstanceStore,
        journal: Journal,
        streams: EventStreams,
        authentication: Authentication,
    ) -> None:
        self._service = service
        self._instances = instances
        self._journal = journal
        self._streams = streams
        self._authentication = authentication

    async def list_project_events(self, request: Request) -> Response:
        return await self._answer(request, EventFilter(project_id=request.project_id))

    async def list_instance_events(self, request: Request) -> Response:
        wanted = EventFilter(project_id=request.project_id, instance_id=request.instance_id)
        instance = await self._instances.get(request.project_id, request.instance_id)
        if instance is None and not await self._journal.events(wanted, 1):
            raise InstanceNotFound(request.instance_id)
        return await self._answer(request, wanted)

    async def list_task_events(self, request: Request) -> Response:
        project_id, task_id = request.project_id, request.task_id
        state = await self._service.state_of(project_id, task_id)
        wanted = EventFilter(project_id=project_id, task_id=task_id)
        return await self._answer(request, wanted, is_over=state.is_final)

    async def _answer(
        self, request: Request, wanted: EventFilter, *, is_over: bool = False
    ) -> Response:
        query = request.query()
        is_stream = CONTENT_TYPE in (request.header(b"accept") or b"")
        last_id = request.header(b"last-event-id") if is_stream else None
        after = wire.decode_after(query, last_id)
        if after > (await self._journal.head(request.project_id)).sequence:
            raise InvalidInput("after", "is ahead of the last event there is")
        wanted = msgspec.structs.replace(wanted, after=after)
        if not is_stream:
            limit = wire.decode_limit(query, wire.EVENTS_DEFAULT_LIMIT, wire.EVENTS_MAX_LIMIT)
            events = await self._journal.events(wanted, limit)
            return json_response(wire.encode_events(events, after))
        if is_over and not await self._journal.events(wanted, 1):
            return NO_CONTENT  # the word for "do not come back" in an event stream
        is_welcome = partial(self._authentication.is_still_welcome, request)
        return await self._streams.open(wanted, is_welcome, is_over=is_over)


def _optional(request: Request, kind: type[Any]) -> Any:
    """The body, or what it is when there is none."""
    return request.json(kind) if request.body.strip() else kind()
