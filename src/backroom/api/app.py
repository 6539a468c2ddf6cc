"""The ASGI application: one request in, one answer out, whatever was sent.

Plain ASGI on purpose: signatures need the raw path, query, headers and body, and the v2 calls are
the hot path (docs/adr/0004).
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from backroom.api.authentication import Authentication, shows_any
from backroom.api.errors import bug_response, error_response
from backroom.api.exchange import Headers, Request, Response
from backroom.api.routes import Route, RouteTable, checked
from backroom.domain.account import Identity
from backroom.domain.errors import (
    BackroomError,
    BodyTooLarge,
    HeadersTooLarge,
    ProjectMismatch,
)
from backroom.domain.ids import NOWHERE

MAX_BODY = 1024 * 1024  # bytes
MAX_HEADERS = 64 * 1024  # bytes, all names and values

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CONTENT_TYPE = (b"content-type", b"application/json")
_log = logging.getLogger(__name__)


class ClientGone(Exception):
    pass


class Application:
    def __init__(self, table: RouteTable, authentication: Authentication) -> None:
        self._table = table
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(16)
        try:
            response = await self._answer(scope, receive, request_id)
        except BackroomError as error:
            in_chinese = _wants_chinese(scope["headers"])
            response = error_response(error, request_id, in_chinese=in_chinese)
        except ClientGone:
            return
        except Exception:  # noqa: BLE001  the outermost: whatever it is, the client gets an answer
            _log.exception("request broke", extra={"request_id": request_id})
            response = bug_response(request_id)
        headers: Headers = [(b"x-request-id", request_id.encode()), *response.headers]
        if response.status != 204:  # noqa: PLR2004  No Content
            headers.append(_CONTENT_TYPE)
            headers.append((b"content-length", b"%d" % len(response.body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Response:
        method: str = scope["method"]
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        headers: Headers = scope["headers"]
        route, parameters = self._table.find(method, raw_path)
        request = Request(
            method, raw_path, scope["query_string"], headers, request_id,
            await _body(headers, receive), parameters,
        )  # fmt: skip
        if route.identity == "none" or (route.identity == "optional" and not shows_any(request)):
            return await route.handler(request)
        identity = await self._authentication.identify(request)
        checked(parameters)
        request.identity = _acting_in(identity, parameters, route)
        if method == "GET":
            return await route.handler(request)
        return await self._write(route, request)

    async def _write(self, route: Route, request: Request) -> Response:
        used = await self._authentication.use_once(request)
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


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body. Nothing is read where the headers announce none."""
    size, announced = 0, None
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"content-length":
            announced = value
        elif name == b"transfer-encoding":
            announced = announced or b""
    if size > MAX_HEADERS:
        raise HeadersTooLarge(MAX_HEADERS)
    if announced is None or announced == b"0":
        return b""
    if announced.isdigit() and int(announced) > MAX_BODY:
        raise BodyTooLarge(MAX_BODY)
    return await _read(receive)


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        length += len(part)
        if length > MAX_BODY:
            raise BodyTooLarge(MAX_BODY)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _wants_chinese(headers: Headers) -> bool:
    """[O] clients say so with X-Language: zh-cn or en-us; English where they don't."""
    return any(name == b"x-language" and value.lower().startswith(b"zh") for name, value in headers)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
