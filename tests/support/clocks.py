"""A clock that tests move: no test waits for real time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from tests.support.builders import NOW

T = TypeVar("T")

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


_on_their_way: set["asyncio.Future[Any]"] = set()


def seen_on_its_way(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Awaitable[T]]:
    """The same, waited for by `settled`: for what goes to another process and back."""

    def begun(*given: Any) -> Awaitable[T]:
        going = asyncio.ensure_future(method(*given))
        _on_their_way.add(going)
        going.add_done_callback(_on_their_way.discard)
        return going

    return begun


async def settled() -> None:
    """Everything that can go on without time passing has gone on (stores without threads only)."""
    quiet_turns = 0
    while quiet_turns < SETTLED_AFTER:
        quiet_turns += 1
        if _on_their_way:
            quiet_turns = 0
            await asyncio.wait(_on_their_way)
        await asyncio.sleep(0)


class JumpingClock(MovedClock):
    """As a machine's clock: who waits waits for as long, wherever the time of day jumps.

    `passed_s` is what has passed in truth.
    """

    def __init__(self, at: datetime = NOW) -> None:
        super().__init__(at)
        self._jumped = timedelta()
        self._begun = at

    @property
    def passed_s(self) -> float:
        return (self._at - self._jumped - self._begun).total_seconds()

    def jump(self, seconds: float) -> None:
        by = timedelta(seconds=seconds)
        self._at += by
        self._jumped += by
        self._timers = [(until + by, timer) for until, timer in self._timers]
