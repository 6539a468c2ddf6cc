"""Controls of an emulator, and what stands around every other call while there is one.

Without an emulator none of these routes is in the table: they look like any missing route.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.api.routes import Handler, Route
from backroom.domain.account import require_admin
from backroom.domain.errors import EmptyBody, Forbidden
from backroom.domain.seed import Seed
from backroom.emulator.controls import Emulator
from backroom.wire import emulator as wire
from backroom.wire.seed import decode_seed

EMULATOR = "/backroom/v1/emulator"

Interceptor = Callable[[Route, Request, Handler], Awaitable[Response]]


# a client that polls with any of these learns how a task is doing
READS = frozenset(
    {
        "ShowBackgroundTask", "ShowBackgroundTaskProgress", "ListBackgroundTasks", "ShowTask",
        "ShowInstance",
    }
)  # fmt: skip


class InOrder:
    """Each call finds done all that is due, so that two runs of a test see the same."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def __call__(self, route: Route, request: Request, handler: Handler) -> Awaitable[Response]:
        emulator = self._emulator
        if emulator.is_settled() and not (route.operation in READS and emulator.waits_for_reads):
            return handler(request)
        return self._in_order(route, request, handler)

    async def _in_order(self, route: Route, request: Request, handler: Handler) -> Response:
        await self._emulator.settle()
        if route.operation in READS:
            asked = request.parameters
            await self._emulator.note_read(
                request.project_id, asked.get("instance_id"), asked.get("task_id")
            )
        return await handler(request)


class EmulatorHandlers:
    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def show_clock(self, _request: Request) -> Response:
        return self._clock()

    async def update_clock(self, request: Request) -> Response:
        body, clock = request.json(wire.ClockChangeBody), self._emulator.clock
        speed = clock.speed if body.speed is None else wire.decode_speed(body.speed)
        is_frozen = clock.is_frozen if body.frozen is None else body.frozen
        clock.resume(speed)
        if is_frozen:
            clock.freeze()
        return self._clock()

    async def advance_clock(self, request: Request) -> Response:
        body = request.json(wire.ClockMoveBody)
        now = self._emulator.clock.now()
        await self._emulator.advance(wire.decode_advance_s(body.advance_s, now))
        return self._clock()

    async def run_until_idle(self, _request: Request) -> Response:
        left = await self._emulator.run_until_idle()
        return json_response(wire.encode_idle(left, self._emulator.clock))

    async def show_transitions(self, _request: Request) -> Response:
        return json_response(wire.encode_plan(self._emulator.transitions.plan))

    async def update_transitions(self, request: Request) -> Response:
        await self._emulator.plan(wire.decode_plan(request.json(wire.TransitionsBody)))
        return await self.show_transitions(request)

    async def seed(self, request: Request) -> Response:
        if not request.body.strip():
            raise EmptyBody("body", "is empty")
        await self._emulator.seed(decode_seed(request.body))
        return NO_CONTENT

    async def reset(self, request: Request) -> Response:
        body = request.json(wire.ResetBody) if request.body.strip() else wire.ResetBody()
        await self._emulator.reset(to_empty=body.to == "empty")
        return NO_CONTENT

    def _clock(self) -> Response:
        return json_response(wire.encode_clock(self._emulator.clock))


def emulator_routes(handlers: EmulatorHandlers, *, is_open: bool) -> tuple[Route, ...]:
    """`is_open`: anybody's who can reach the port; else an admin's."""
    routes = (
        Route(
            "GET", EMULATOR + "/clock", "ShowClock", handlers.show_clock, answer=wire.ClockBody
        ),
        Route(
            "PUT", EMULATOR + "/clock", "UpdateClock", handlers.update_clock,
            body=wire.ClockChangeBody, answer=wire.ClockBody,
        ),
        Route(
            "POST", EMULATOR + "/clock", "AdvanceClock", handlers.advance_clock,
            body=wire.ClockMoveBody, answer=wire.ClockBody,
        ),
        Route(
            "POST", EMULATOR + "/idle", "RunUntilIdle", handlers.run_until_idle,
            answer=wire.IdleBody,
        ),
        Route(
            "GET", EMULATOR + "/transitions", "ShowTransitions", handlers.show_transitions,
            answer=wire.TransitionsBody,
        ),
        Route(
            "PUT", EMULATOR + "/transitions", "UpdateTransitions", handlers.update_transitions,
            body=wire.TransitionsBody, answer=wire.TransitionsBody,
        ),
        Route("POST", EMULATOR + "/seed", "Seed", handlers.seed, body=Seed, status=204),
        Route(
            "POST", EMULATOR + "/reset", "Reset", handlers.reset, body=wire.ResetBody,
            body_is_optional=True, status=204,
        ),
    )  # fmt: skip
    return tuple(guarded(route, is_open=is_open) for route in routes)


def guarded(route: Route, *, is_open: bool) -> Route:
    """A control that is anybody's who can reach the port, or an admin's."""
    identity: Literal["none", "required"] = "none" if is_open else "required"
    if is_open:
        return intercepted(msgspec.structs.replace(route, identity=identity), (no_web_page,))

    async def admin_only(_route: Route, request: Request, handler: Handler) -> Response:
        require_admin(request.who)
        return await handler(request)

    return intercepted(route, (admin_only,))


async def no_web_page(_route: Route, request: Request, handler: Handler) -> Response:
    """What is anybody's must not be that of any page that a browser here happens to show."""
    if request.header(b"origin") is not None:
        raise Forbidden("an open emulator takes no requests of web pages")
    return await handler(request)


def intercepted(route: Route, interceptors: Sequence[Interceptor]) -> Route:
    """The same route; each interceptor may answer instead of the handler. The first is outermost.

    They run once it is known who asks. One with nothing to do returns what the handler returns:
    to await it would cost every call.
    """
    handler = route.handler
    for interceptor in reversed(interceptors):
        handler = _around(interceptor, route, handler)
    return msgspec.structs.replace(route, handler=handler)


def _around(interceptor: Interceptor, route: Route, inner: Handler) -> Handler:
    def handler(request: Request) -> Awaitable[Response]:
        return interceptor(route, request, inner)

    handler.__name__ = inner.__name__
    return handler
