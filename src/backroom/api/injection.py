"""What a test makes calls meet: faults and limits; and what it can be told of what clients sent."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator

import msgspec

from backroom.api.emulator import EMULATOR
from backroom.api.exchange import NO_CONTENT, ConnectionDropped, Request, Response, json_response
from backroom.api.rate_limit import RateLimit
from backroom.api.routes import Handler, Route
from backroom.domain.errors import InvalidInput
from backroom.domain.fault import CallFault
from backroom.emulator.faults import Faults
from backroom.emulator.unread import Unread, unread_paths
from backroom.wire import faults as wire

INJECTED = b"x-backroom-injected"


class Injected:
    """Meets the call with the fault that a rule has for it. Delays are real: the client waits."""

    def __init__(self, faults: Faults, stopping: asyncio.Event) -> None:
        self._faults = faults
        self._stopping = stopping

    def __call__(self, route: Route, request: Request, handler: Handler) -> Awaitable[Response]:
        found = self._faults.of_call(route.operation)
        return handler(request) if found is None else self._meet(*found, request, handler)

    async def _meet(
        self, rule_id: str, fault: CallFault, request: Request, handler: Handler
    ) -> Response:
        await self._delay(fault.delay_s)
        if fault.drops:
            raise ConnectionDropped
        marked = [(INJECTED, rule_id.encode())]
        if fault.status is None:
            answered = await handler(request)
            return msgspec.structs.replace(answered, headers=[*answered.headers, *marked])
        if fault.retry_after_s is not None:
            marked.append((b"retry-after", b"%d" % fault.retry_after_s))
        return json_response(_error(fault, request.request_id), fault.status, marked)

    async def _delay(self, delay_s: float) -> None:
        if delay_s > 0:
            try:
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()
            except TimeoutError:
                return


def _error(fault: CallFault, request_id: str) -> dict[str, str]:
    return {
        "error_code": fault.error_code, "error_msg": fault.error_msg, "request_id": request_id,
    }  # fmt: skip


class UnreadNoted:
    def __init__(self, unread: Unread) -> None:
        self._unread = unread

    def __call__(self, route: Route, request: Request, handler: Handler) -> Awaitable[Response]:
        if request.raw_query or request.body:
            self._unread.note(route.operation, _unread(route, request))
        return handler(request)


def _unread(route: Route, request: Request) -> Iterator[str]:
    yield from (f"?{name}" for name in request.query() if name not in route.query)
    if route.body is None or not request.body.strip():
        return
    try:
        value = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError):  # the handler tells what is wrong
        return
    yield from unread_paths(value, route.body)


class InjectionHandlers:
    """`operations`: those of all routes, known when the first request comes."""

    def __init__(
        self,
        faults: Faults,
        limit: RateLimit,
        unread: Unread,
        operations: Callable[[], Collection[str]],
    ) -> None:
        self._faults = faults
        self._limit = limit
        self._unread = unread
        self._operations = operations

    async def list_faults(self, _request: Request) -> Response:
        rules = [wire.encode_rule(rule) for rule in self._faults.rules]
        return json_response(wire.RulesBody(rules))

    async def add_fault(self, request: Request) -> Response:
        body = request.json(wire.FaultBody)
        fault = wire.decode_fault(body, self._operations())
        return json_response(wire.encode_rule(self._faults.add(fault, body.first, body.last)), 201)

    async def delete_faults(self, request: Request) -> Response:
        """One, by `id`, or all."""
        rule_id = request.query().get("id")
        if rule_id is None:
            self._faults.clear()
        elif not self._faults.remove(rule_id):
            raise InvalidInput("id", "is none of the faults in force")
        return NO_CONTENT

    async def show_rate_limit(self, _request: Request) -> Response:
        burst = None if self._limit.per_s is None else self._limit.burst
        return json_response(wire.RateLimitBody(per_s=self._limit.per_s, burst=burst))

    async def update_rate_limit(self, request: Request) -> Response:
        self._limit.change(*wire.decode_rate(request.json(wire.RateLimitBody)))
        return await self.show_rate_limit(request)

    async def show_unread(self, _request: Request) -> Response:
        return json_response(wire.UnreadBody(self._unread.found))


def injection_routes(handlers: InjectionHandlers) -> tuple[Route, ...]:
    return (
        Route(
            "GET", EMULATOR + "/faults", "ListFaults", handlers.list_faults, answer=wire.RulesBody
        ),
        Route(
            "POST", EMULATOR + "/faults", "AddFault", handlers.add_fault, body=wire.FaultBody,
            answer=wire.RuleBody, status=201,
        ),
        Route(
            "DELETE", EMULATOR + "/faults", "DeleteFaults", handlers.delete_faults,
            query=("id",), status=204,
        ),
        Route(
            "GET", EMULATOR + "/rate-limit", "ShowRateLimit", handlers.show_rate_limit,
            answer=wire.RateLimitBody,
        ),
        Route(
            "PUT", EMULATOR + "/rate-limit", "UpdateRateLimit", handlers.update_rate_limit,
            body=wire.RateLimitBody, answer=wire.RateLimitBody,
        ),
        Route(
            "GET", EMULATOR + "/unread", "ShowUnread", handlers.show_unread,
            answer=wire.UnreadBody,
        ),
    )  # fmt: skip
