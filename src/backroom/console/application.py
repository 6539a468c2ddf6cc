"""The console's ASGI application: routes, what guards them, and what is shown when one fails."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backroom.console.actions import ActionPages
from backroom.console.bulk import BulkPages
from backroom.console.exports import ExportPages
from backroom.console.forms import FormPages
from backroom.console.instances import InstancePages
from backroom.console.live import LiveStreams
from backroom.console.overview import OverviewPages
from backroom.console.rendering import compile_all, rendered
from backroom.console.sessions import COOKIE, Sessions
from backroom.console.signing_in import SignInPages
from backroom.console.surroundings import Surroundings
from backroom.console.tasks import TaskPages
from backroom.console.visits import HOME, Handler, NotFromHere, shared, signed_in, text_of
from backroom.domain.errors import (
    BackroomError,
    BodyTooLarge,
    Forbidden,
    InvalidInput,
    KafkaUnavailable,
    NotFound,
    StoreUnavailable,
    TooManyStreams,
)

CONTENT_POLICY = "; ".join(  # noqa: FLY002  one a line
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",  # for browsers that don't know frame-ancestors
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
KEPT = "public, max-age=31536000, immutable"

_STATUSES: tuple[tuple[type[BackroomError], int], ...] = (
    (InvalidInput, 400), (NotFound, 404), (Forbidden, 403), (BodyTooLarge, 413),
    (StoreUnavailable, 503), (KafkaUnavailable, 503), (TooManyStreams, 503),
)  # fmt: skip

_log = logging.getLogger(__name__)


def console(around: Surroundings) -> ASGIApp:
    compile_all()
    sessions = Sessions(around)
    entry = SignInPages(around, sessions)
    tasks, bulk = TaskPages(around), BulkPages(around)
    instances, forms = InstancePages(around), FormPages(around)

    def page(path: str, handler: Handler, *methods: str) -> Route:
        return Route(f"/console{path}", signed_in(sessions, handler), methods=methods or ("GET",))

    async def home(_request: Request) -> Response:
        return RedirectResponse(HOME, 303)

    static = Path(str(files("backroom.console").joinpath("static")))
    routes = [
        Route("/console", home),
        Route("/console/", home),
        Mount("/console/static", StaticFiles(directory=static)),
        Route("/console/sign-in", entry.show, methods=["GET"]),
        Route("/console/sign-in", entry.sign_in, methods=["POST"]),
        Route("/console/preferences", entry.prefer, methods=["POST"]),
        page("/sign-out", entry.sign_out, "POST"),
        page("/tasks", tasks.list),
        page("/tasks/total", tasks.total),
        page("/tasks/export", ExportPages(around).export),
        page("/tasks/bulk", bulk.confirm),
        page("/tasks/bulk", bulk.submit, "POST"),
        page("/tasks/selected", bulk.selected, "POST"),
        page("/tasks/{task_id}", tasks.show),
        page("/tasks/{task_id}/raw", tasks.raw),
        page("/tasks/{task_id}/{action}", ActionPages(around).confirm),
        page("/tasks/{task_id}/{action}", ActionPages(around).act, "POST"),
        page("/instances", instances.list),
        page("/instances/new", forms.show_new),
        page("/instances/new", forms.submit_new, "POST"),
        page("/instances/{instance_id}", instances.show),
        page("/instances/{instance_id}/{form}", forms.show),
        page("/instances/{instance_id}/{form}", forms.submit, "POST"),
        page("/overview", OverviewPages(around).show),
        page("/live", LiveStreams(around, sessions).open),
    ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        BackroomError: _Failures(around, sessions).refused,
        HTTPException: _Failures(around, sessions).missing,
        NotFromHere: _Failures(around, sessions).foreign,
        ClientDisconnect: _gone,
        Exception: _Failures(around, sessions).broken,
    }
    application = Starlette(routes=routes, exception_handlers=handlers)
    application.router.redirect_slashes = False  # it would lead to whatever the Host header says
    return Guard(application)


class Guard:
    """Gives every answer its headers, and every request an id."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(16)
        scope["backroom.request_id"] = request_id
        is_static = scope["path"].startswith("/console/static/")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["x-request-id"] = request_id
                headers["cache-control"] = (
                    KEPT if is_static and message["status"] == 200 else "no-store"  # noqa: PLR2004
                )
            await send(message)

        await self._application(scope, receive, guarded)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


class _Failures:
    def __init__(self, around: Surroundings, sessions: Sessions) -> None:
        self._texts = around.error_texts
        self._sessions = sessions

    async def refused(self, request: Request, error: BackroomError) -> Response:
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 409)
        t = text_of(request)
        code, text = self._texts(error, in_chinese=t.language == "zh")
        return await self._page(request, status, code, text)

    async def missing(self, request: Request, error: HTTPException) -> Response:
        text = text_of(request)("no_such_page")
        return await self._page(request, error.status_code, str(error.status_code), text)

    async def foreign(self, request: Request, _error: NotFromHere) -> Response:
        return await self._page(request, 403, "403", text_of(request)("form_not_from_here"))

    async def broken(self, request: Request, error: Exception) -> Response:
        request_id = request.scope["backroom.request_id"]
        _log.error("page broke", exc_info=error, extra={"request_id": request_id})
        t = text_of(request)
        context = {**shared(request, t, None), "code": "500", "text": t("page_broke")}
        return rendered("failure.html", context, 500)

    async def _page(self, request: Request, status: int, code: str, text: str) -> Response:
        session = None
        with suppress(StoreUnavailable):
            session = await self._sessions.current(request.cookies.get(COOKIE))
        context = {**shared(request, text_of(request), session), "code": code, "text": text}
        return rendered("failure.html", context, status)
