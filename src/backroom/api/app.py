"""The ASGI application: one request in, one answer out, whatever was sent.

Plain ASGI on purpose: signatures need the raw path, query, headers and body, and the v2 calls are
the hot path (docs/adr/0004).
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

import msgspec

from backroom.api.authentication import Authentication, shows_any
from backroom.api.connections import cut_off
from backroom.api.errors import bug_response, error_response
from backroom.api.exchange import (
    ConnectionDropped,
    Headers,
    Request,
    Response,
    wants_chinese,
)
from backroom.api.measures import Measures
from backroom.api.routes import Route, RouteTable, decode
from backroom.api.streams import pour
from backroom.domain.account import Identity
from backroom.domain.errors import (
    BackroomError,
    BodyTooLarge,
    HeadersTooLarge,
    ProjectMismatch,
)
from backroom.domain.ids import NOWHERE
from backroom.ports import Tracer

INTERNAL_ERROR = 500  # this status and those above
MAX_BODY = 1024 * 1024  # bytes
MAX_DRAINED = 12 * MAX_BODY  # [D] the gateway's limit: a client that is cut off sees no answer
BODILESS = (204, 304)  # No Content, Not Modified
CONSOLE = "/console"
MAX_HEADERS = 64 * 1024  # bytes, all values; the server bounds their number to 100

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Console = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)


class ClientGone(Exception):
    pass


class Application:
    """`console` answers what is below /console: pages for people."""

    def __init__(
        self,
        table: RouteTable,
        authentication: Authentication,
        measures: Measures,
        tracer: Tracer | None = None,
        console: Console | None = None,
    ) -> None:
        self._console = console
        self._table = table
        self._tracer = tracer
        self._measures = measures
        self._authentication = authentication
        self._prefix = secrets.token_hex(10)  # of the request ids of this process
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._console is not None and f"{scope['path']}/".startswith(f"{CONSOLE}/"):
                await self._show(self._console, scope, receive, send)
                return
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    async def _show(self, console: Console, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = perf_counter(), 500

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await console(scope, receive, noted)
        except Exception:  # noqa: BLE001  it has answered, or the client is gone
            _log.exception("page broke")
        self._measures.note("console", status, perf_counter() - began)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        self._served += 1
        request_id = f"{self._prefix}{self._served:012x}"
        if self._tracer is None:
            response = await self._response(scope, receive, request_id)
        else:
            response = await self._traced(self._tracer, scope, receive, request_id)
        if response is None:
            return
        route: Route | None = scope.get("backroom.route")
        operation = "none" if route is None else route.operation
        self._measures.note(operation, response.status, perf_counter() - began)
        headers: Headers = [(b"x-request-id", request_id.encode()), *response.headers]
        if response.stream is not None:
            await pour(response, headers, receive, send)
            return
        if response.status not in BODILESS:
            headers.append((b"content-type", response.content_type))
            headers.append((b"content-length", b"%d" % len(response.body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else response.body  # HTTP/2 breaks on one
        await send({"type": "http.response.body", "body": body})

    async def _traced(
        self, tracer: Tracer, scope: Scope, receive: Receive, request_id: str
    ) -> Response | None:
        """Until the answer is decided: an event stream goes on behind its span."""
        method: str = scope["method"]
        came_with = dict(scope["headers"]).get(b"traceparent")
        facts = {"http.request.method": method, "backroom.request_id": request_id}
        text = None if came_with is None else came_with.decode("latin-1")
        with tracer.request(request_id, facts, text) as span:
            response = await self._response(scope, receive, request_id)
            route: Route | None = scope.get("backroom.route")
            more = {} if route is None else {
                "http.route": route.template, "backroom.call": route.operation,
            }  # fmt: skip
            status = 499 if response is None else response.status
            span.told(
                {"http.response.status_code": status, **more},
                name=method if route is None else f"{method} {route.template}",
                is_error=status >= INTERNAL_ERROR,
            )
        return response

    async def _response(self, scope: Scope, receive: Receive, request_id: str) -> Response | None:
        """None when nobody waits for it any more."""
        try:
            return await self._answer(scope, receive, request_id)
        except BackroomError as error:
            in_chinese = wants_chinese(scope["headers"])
            return error_response(error, request_id, in_chinese=in_chinese)
        except ClientGone:
            return None
        except ConnectionDropped:
            cut_off(scope.get("client"))
            return None
        except Exception:  # noqa: BLE001  the outermost: whatever it is, the client gets an answer
            _log.exception("request broke", extra={"request_id": request_id})
            return bug_response(request_id)

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Response:
        method: str = scope["method"]
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        headers: Headers = scope["headers"]
        fields = dict(headers)
        _bound(headers, fields)
        body = await _body(scope["http_version"], fields, receive)
        route, parameters, is_well_formed = self._table.find(method, raw_path)
        scope["backroom.route"] = route
        request = Request(
            method, raw_path, scope["query_string"], headers, body, fields, request_id, parameters
        )
        if route.identity == "none" or (route.identity == "optional" and not shows_any(request)):
            return await route.handler(request)
        identity = await self._authentication.identify(request)
        if not is_well_formed:
            decode(parameters)
        request.identity = _acting_in(identity, parameters, route)
        if method == "GET":
            return await route.handler(request)
        return await self._write(route, request)

    async def _write(self, route: Route, request: Request) -> Response:
        used = await self._authentication.use_once(
            request, takes_client_token=route.takes_client_token
        )
        try:
            return await route.handler(request)
        except BaseException:
            if used is not None:
                await self._authentication.release(used)
            raise


def _acting_in(identity: Identity, parameters: dict[str, str], route: Route) -> Identity:
    """In another's project there is nothing, whether it exists or not."""
    asked = parameters.get("project_id")
    if asked is None or asked == identity.project_id:
        return identity
    if route.needs_own_project:
        raise ProjectMismatch(asked)
    return msgspec.structs.replace(identity, project_id=NOWHERE)


def _bound(headers: Headers, fields: dict[bytes, bytes]) -> None:
    size = sum(map(len, fields.values()))
    if len(fields) != len(headers):  # some came twice
        size = sum(len(value) for _, value in headers)
    if size > MAX_HEADERS:
        raise HeadersTooLarge(MAX_HEADERS)


async def _body(http_version: str, fields: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. Nothing is read where there is none: HTTP/1 has to announce it."""
    announced = fields.get(b"content-length")
    if announced == b"0":
        return b""
    if announced is None and b"transfer-encoding" not in fields and http_version.startswith("1"):
        return b""
    return await _read(receive)


async def _read(receive: Receive) -> bytes:
    """Too much is read and thrown away, up to MAX_DRAINED, so that the answer arrives."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        length += len(part)
        is_last = not message.get("more_body")
        if length > MAX_BODY:
            parts.clear()
            if is_last or length > MAX_DRAINED:
                raise BodyTooLarge(MAX_BODY)
            continue
        parts.append(part)
        if is_last:
            return b"".join(parts)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
