"""Server-Sent Events: a project's journal as a stream that can be resumed without loss."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any, Final

import msgspec

from backroom.api.exchange import Headers, Response
from backroom.api.watching import Watch
from backroom.domain.errors import StoreUnavailable, TooManyStreams
from backroom.domain.filter import EventFilter
from backroom.ports import Journal
from backroom.wire.native import event_text

STREAMS_MOST: Final = 1_000  # of this process
QUIET_S: Final = 15.0  # until a comment says that the connection lives
BATCH: Final = 100  # events of one look
CONTENT_TYPE: Final = b"text/event-stream"
OPENING: Final = b"retry: 1000\n\n"  # ms; and the headers go out at once
KEEP_ALIVE: Final = b": still here\n\n"

_HEADERS: Final[Headers] = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
IsOver = Callable[[], Awaitable[bool]]

_log = logging.getLogger(__name__)


async def _never() -> bool:
    return False


class EventStreams:
    def __init__(self, journal: Journal, watch: Watch, most: int = STREAMS_MOST) -> None:
        self._journal = journal
        self._watch = watch
        self._most = most
        self._open = 0

    async def open(self, wanted: EventFilter, is_over: IsOver = _never) -> Response:
        """All events from there on, until nothing is left once `is_over`.

        Raises TooManyStreams.
        """
        if self._open >= self._most:
            raise TooManyStreams(self._most)
        stream = self._texts(wanted, is_over)
        opening = await anext(stream)  # from here on its end is noticed, whatever comes
        return Response(200, opening, _HEADERS, CONTENT_TYPE, stream)

    async def _texts(self, wanted: EventFilter, is_over: IsOver) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            yield OPENING
            with suppress(StoreUnavailable):  # the client comes back, with where it was
                async with aclosing(self._events(wanted, is_over)) as events:
                    async for text in events:
                        yield text
        finally:
            self._open -= 1

    async def _events(self, wanted: EventFilter, is_over: IsOver) -> AsyncGenerator[bytes, None]:
        until = self._watch.in_seconds(QUIET_S)
        while not self._watch.is_over:
            rung, is_last = self._watch.rung, await is_over()
            found = await self._journal.events(wanted, BATCH)
            for sealed in found:
                yield event_text(sealed)
            if found:
                wanted = msgspec.structs.replace(wanted, after=found[-1].sequence)
                until = self._watch.in_seconds(QUIET_S)
            elif is_last:
                return
            elif not await self._watch.news(rung, until) and not self._watch.is_over:
                yield KEEP_ALIVE
                until = self._watch.in_seconds(QUIET_S)


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
