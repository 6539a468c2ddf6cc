"""A clock that tests move: no test waits for real time."""

import asyncio
from datetime import datetime, timedelta

from tests.support.builders import NOW

SETTLED_AFTER = 30  # turns of the event loop in which nothing of ours is still on its way


class MovedClock:
    def __init__(self, at: datetime = NOW) -> None:
        self._at = at
        self._timers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._at

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if until is None:
            return await event.wait()
        if event.is_set() or until <= self._at:
            await asyncio.sleep(0)
            return event.is_set()
        timer = asyncio.get_running_loop().create_future()
        self._timers.append((until, timer))
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({timer, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return event.is_set()
        finally:
            waiting.cancel()
            self._timers = [one for one in self._timers if one[1] is not timer]

    def move(self, seconds: float) -> None:
        """Forward or back; who waited until a moment that has come goes on."""
        self._at += timedelta(seconds=seconds)
        for until, timer in self._timers:
            if until <= self._at and not timer.done():
                timer.set_result(None)

    @property
    def next_timer(self) -> datetime | None:
        return min((until for until, timer in self._timers if not timer.done()), default=None)

    async def pass_until(self, is_there, limit_s: float = 3_600) -> None:
        """Let time jump from timer to timer until `is_there()`; fails after `limit_s` of it."""
        end = self._at + timedelta(seconds=limit_s)
        while True:
            await settled()
            if is_there():
                return
            upcoming = self.next_timer
            assert upcoming is not None, "nothing waits for time, and it is not there"
            assert upcoming <= end, f"not there after {limit_s} s"
            self.move((upcoming - self._at).total_seconds())


async def settled() -> None:
    """Everything that can go on without time passing has gone on (in-memory stores only)."""
    for _ in range(SETTLED_AFTER):
        await asyncio.sleep(0)
