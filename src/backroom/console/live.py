"""Server-Sent Events for pages: that something changed, so that they look again."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

from backroom.console.sessions import COOKIE, Sessions
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit
from backroom.domain.errors import StoreUnavailable, TooManyStreams
from backroom.domain.filter import EventFilter
from backroom.domain.ids import InstanceId, TaskId

STREAMS_MOST: Final = 200  # of this process
QUIET_S: Final = (
    15.0  # until a comment says that the connection lives, and the session is looked at
)
BATCH: Final = 1_000


class LiveStreams:
    def __init__(self, around: Surroundings, sessions: Sessions) -> None:
        self._around = around
        self._sessions = sessions
        self._open = 0

    async def open(self, visit: Visit) -> Response:
        """Raises TooManyStreams."""
        if visit.request.method == "HEAD":
            return Response(media_type="text/event-stream")
        query = dict(visit.query)
        wanted = EventFilter(
            project_id=visit.project_id,
            after=(await self._around.journal.head(visit.project_id)).sequence,
            instance_id=InstanceId(query["instance"]) if query.get("instance") else None,
            task_id=TaskId(query["task"]) if query.get("task") else None,
        )
        if wanted.instance_id is not None and wanted.task_id is not None:
            wanted = msgspec.structs.replace(wanted, instance_id=None)
        cookie = visit.request.cookies.get(COOKIE)
        if self._open >= STREAMS_MOST:
            raise TooManyStreams(STREAMS_MOST)
        texts = self._texts(wanted, cookie)
        opening = await anext(texts)  # from here on it counts, whatever comes
        return StreamingResponse(
            _behind(opening, texts),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def _texts(self, wanted: EventFilter, cookie: str | None) -> AsyncGenerator[bytes, None]:
        self._open += 1
        try:
            yield b"retry: 2000\n\n"
            with suppress(StoreUnavailable):  # the page comes back, and looks again then
                async for text in self._changes(wanted, cookie):
                    yield text
        finally:
            self._open -= 1

    async def _changes(self, wanted: EventFilter, cookie: str | None) -> AsyncIterator[bytes]:
        news = self._around.news
        until = news.in_seconds(QUIET_S)
        while not news.is_over:
            if news.has_come(until):
                if await self._sessions.current(cookie) is None:
                    yield b"event: over\ndata: 0\n\n"
                    return
                yield b": still here\n\n"
                until = news.in_seconds(QUIET_S)
            rung = news.rung
            found = await self._around.journal.events(wanted, BATCH)
            if found:
                wanted = msgspec.structs.replace(wanted, after=found[-1].sequence)
                yield b"id: %d\ndata: %d\n\n" % (wanted.after, len(found))
            else:
                await news.news(rung, until)


async def _behind(
    opening: bytes, texts: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(texts):
        yield opening
        async for text in texts:
            yield text
