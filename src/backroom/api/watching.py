"""Waiting for news in the journal, without asking again and again; over when the server stops."""

import asyncio
from datetime import datetime, timedelta

from backroom.ports import Clock, Journal


class Watch:
    """`rung` is read before looking at what may be new, and then given to `news`."""

    def __init__(self, journal: Journal, clock: Clock, stopping: asyncio.Event) -> None:
        self._journal = journal
        self._clock = clock
        self._stopping = stopping

    @property
    def rung(self) -> int:
        return self._journal.rung

    @property
    def is_over(self) -> bool:
        return self._stopping.is_set()

    def in_seconds(self, delay_s: float) -> datetime:
        return self._clock.now() + timedelta(seconds=delay_s)

    def has_come(self, moment: datetime) -> bool:
        return self._clock.now() >= moment

    async def news(self, rung: int, until: datetime) -> bool:
        """Whether there may be any; False at `until`, and when the server stops."""
        if self.is_over:
            return False
        ring = asyncio.ensure_future(self._journal.wait(rung, until))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((ring, stop), return_when=asyncio.FIRST_COMPLETED)
            if ring.done():
                ring.result()
        finally:
            ring.cancel()
            stop.cancel()
        return self._journal.rung != rung and not self.is_over
