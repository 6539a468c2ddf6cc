"""Following the journal: the last events of a project, read once for all who wait for them here."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec

from backroom.api.watching import Watch
from backroom.domain.chain import SealedEvent
from backroom.domain.filter import EventFilter
from backroom.domain.ids import ProjectId
from backroom.ports import Journal

KEPT: Final = 1_000  # events of a project that somebody follows; who is further behind asks alone
READ: Final = 1_000  # events of one query


class Look(msgspec.Struct, frozen=True):
    """What is wanted up to `position`: nothing up to there will ever be added."""

    events: list[SealedEvent]
    position: int


class Tail:
    """A project's last events. However many look, each ring of the journal costs one query."""

    def __init__(self, journal: Journal, watch: Watch, project_id: ProjectId, kept: int) -> None:
        self._journal = journal
        self._watch = watch
        self._project_id = project_id
        self._events: deque[SealedEvent] = deque(maxlen=kept)  # no gaps, up to `_position`
        self._position = 0
        self._rung = -1  # of the journal when it was read last; so far, never
        self._reading: asyncio.Future[None] | None = None
        self.followers = 0

    async def position(self) -> int:
        """The sequence of the last event there is."""
        await self._read_to(self._watch.rung)
        return self._position

    async def look(self, wanted: EventFilter, most: int) -> Look:
        """The next events behind `wanted.after`. Raises StoreUnavailable."""
        last = await self.position()
        if wanted.after >= last - len(self._events):
            found = list(islice(self._behind(wanted), most))
        else:
            found = await self._journal.events(wanted, most)
        if len(found) == most:
            return Look(found, found[-1].sequence)
        return Look(found, max(last, wanted.after, *(one.sequence for one in found[-1:])))

    async def next(self, wanted: EventFilter, until: datetime) -> int | None:
        """Wait for an event that is wanted: its sequence. None at `until` or when all is over."""
        while True:
            rung = self._watch.rung
            look = await self.look(wanted, 1)
            if look.events:
                return look.position
            wanted = msgspec.structs.replace(wanted, after=look.position)
            if not await self._watch.news(rung, until):
                return None

    def _behind(self, wanted: EventFilter) -> Iterator[SealedEvent]:
        count = max(0, self._position - wanted.after)
        for sealed in reversed(list(islice(reversed(self._events), count))):
            if wanted.task_id not in (None, sealed.task_id):
                continue
            if wanted.instance_id in (None, sealed.instance_id):
                yield sealed

    async def _read_to(self, rung: int) -> None:
        """One reads for all; who gives up waiting for it doesn't stop it."""
        while self._rung < rung:
            if self._reading is None:
                self._reading = asyncio.ensure_future(self._read())
                self._reading.add_done_callback(_note_error)
            await asyncio.shield(self._reading)

    async def _read(self) -> None:
        rung = self._watch.rung
        try:
            if self._rung < 0:
                self._position = (await self._journal.head(self._project_id)).sequence
            else:
                await self._read_on()
            self._rung = rung
        finally:
            self._reading = None

    async def _read_on(self) -> None:
        while True:
            wanted = EventFilter(project_id=self._project_id, after=self._position)
            found = await self._journal.events(wanted, READ)
            if found:
                self._events += found
                self._position = found[-1].sequence
            if len(found) < READ:
                return


def _note_error(reading: "asyncio.Future[None]") -> None:
    """Whoever waits for it gets it; that nobody does any more is no error."""
    if not reading.cancelled():
        reading.exception()


class Tails:
    """The tails of this process; a project that nobody follows has none."""

    def __init__(self, journal: Journal, watch: Watch, kept: int = KEPT) -> None:
        self._journal = journal
        self._watch = watch
        self._kept = kept
        self._tails: dict[ProjectId, Tail] = {}

    @contextmanager
    def following(self, project_id: ProjectId) -> Iterator[Tail]:
        tail = self._tails.get(project_id)
        if tail is None:
            tail = Tail(self._journal, self._watch, project_id, self._kept)
            self._tails[project_id] = tail
        tail.followers += 1
        try:
            yield tail
        finally:
            tail.followers -= 1
            if tail.followers == 0:
                del self._tails[project_id]
