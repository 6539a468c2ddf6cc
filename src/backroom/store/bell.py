"""Tells those who wait in this process that events may have been written."""

import asyncio
from datetime import datetime

from backroom.ports import Clock


class Bell:
    """`rung` grows with each ring; all on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_ring = asyncio.Event()
        self.rung = 0

    def ring(self) -> None:
        self.rung += 1
        self._next_ring.set()
        self._next_ring = asyncio.Event()

    async def wait(self, rung: int, until: datetime) -> None:
        """Return once `rung` is another than this, or at `until`."""
        while self.rung == rung and self._clock.now() < until:
            await self._clock.wait(self._next_ring, until)
