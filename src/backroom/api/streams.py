"""Server-Sent Events: a project's journal as a stream that can be resumed without loss."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any, Final

import msgspec

from backroom.api.exchange import Headers, Response
from backroom.api.following import Tail, Tails
from backroom.api.watching import Watch
from backroom.domain.chain import SealedEvent
from backroom.domain.errors import StoreUnavailable, TooManyStreams
from backroom.domain.filter import EventFilter
from backroom.wire.native import event_text

STREAMS_MOST: Final = 1_000  # of this process
QUIET_S: Final = 15.0  # until a comment says that the connection lives
WELCOME_S: Final = 30.0  # until it is asked again whether the client may be here; with QUIET_S 45
BATCH: Final = 100  # events of one look
CONTENT_TYPE: Final = b"text/event-stream"
OPENING: Final = b"retry: 1000\n\n"  # ms; and the headers go out at once
KEEP_ALIVE: Final = b": still here\n\n"

_HEADERS: Final[Headers] = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
IsWelcome = Callable[[], Awaitable[bool]]

_log = logging.getLogger(__name__)


class EventStreams:
    def __init__(self, tails: Tails, watch: Watch, most: int = STREAMS_MOST) -> None:
        self._tails = tails
        self._watch = watch
        self._most = most
        self._open = 0

    async def open(
        self, wanted: EventFilter, is_welcome: IsWelcome, *, is_over: bool = False
    ) -> Response:
        """All events from there on, as long as the client is welcome.

        A task's stream ends behind its last event; `is_over`: that one has been written.
        Raises TooManyStreams.
        """
        if self._open >= self._most:
            raise TooManyStreams(self._most)
        stream = self._texts(wanted, is_welcome, is_over=is_over)
        opening = await anext(stream)  # from here on its end is noticed, whatever comes
        return Response(200, opening, _HEADERS, CONTENT_TYPE, stream)

    async def _texts(
        self, wanted: EventFilter, is_welcome: IsWelcome, *, is_over: bool
    ) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            yield OPENING
            with self._tails.following(wanted.project_id) as tail, suppress(StoreUnavailable):
                # the client comes back, with where it was
                stream = _Stream(tail, self._watch, wanted, is_over=is_over)
                async with aclosing(stream.texts(is_welcome)) as texts:
                    async for text in texts:
                        yield text
        finally:
            self._open -= 1


class _Stream:
    def __init__(self, tail: Tail, watch: Watch, wanted: EventFilter, *, is_over: bool) -> None:
        self._tail = tail
        self._watch = watch
        self._wanted = wanted
        self._is_over = is_over
        self._quiet_until = watch.in_seconds(QUIET_S)
        self._welcome_until = watch.in_seconds(WELCOME_S)

    async def texts(self, is_welcome: IsWelcome) -> AsyncGenerator[bytes, None]:
        while not self._watch.is_over and await self._is_welcome(is_welcome):
            rung = self._watch.rung
            look = await self._tail.look(self._wanted, BATCH)
            self._wanted = msgspec.structs.replace(self._wanted, after=look.position)
            for sealed in look.events:
                yield event_text(sealed)
            if look.events:
                self._is_over = self._is_last(look.events[-1])
                self._quiet_until = self._watch.in_seconds(QUIET_S)
            elif self._is_over:
                return
            elif not await self._watch.news(rung, self._quiet_until) and not self._watch.is_over:
                yield KEEP_ALIVE
                self._quiet_until = self._watch.in_seconds(QUIET_S)

    async def _is_welcome(self, is_welcome: IsWelcome) -> bool:
        if not self._watch.has_come(self._welcome_until):
            return True
        self._welcome_until = self._watch.in_seconds(WELCOME_S)
        return await is_welcome()

    def _is_last(self, sealed: SealedEvent) -> bool:
        """Of a task in a final state there is nothing more to tell but that its record went."""
        if self._wanted.task_id is None:
            return False
        state = sealed.event.to_state
        return state is None or state.is_final


async def pour(response: Response, headers: Headers, receive: Receive, send: Send) -> None:
    """Send a stream to its end, or until the client is gone."""
    assert response.stream is not None  # noqa: S101  for the type: who calls has looked
    headers.append((b"content-type", response.content_type))
    pouring = asyncio.ensure_future(_pour(response, headers, send))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((pouring, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        pouring.cancel()
        leaving.cancel()
        outcome, _ = await asyncio.gather(pouring, leaving, return_exceptions=True)
        await response.stream.aclose()
    if isinstance(outcome, Exception):
        _log.error("stream broke", exc_info=outcome)


async def _pour(response: Response, headers: Headers, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if response.stream is not None:
        async for text in response.stream:
            await send({"type": "http.response.body", "body": text, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
