"""The time of day of this machine, and a virtual one that starts from it."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from time import monotonic, time_ns
from typing import Any


class SystemClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if until is None:
            return await event.wait()
        delay_s = (until - datetime.now(UTC)).total_seconds()
        if event.is_set() or delay_s <= 0:
            return event.is_set()
        try:
            async with asyncio.timeout(delay_s):
                return await event.wait()
        except TimeoutError:
            return False


class VirtualClock:
    """One timer of the event loop stands for all that wait, whatever the speed."""

    def __init__(self, speed: float = 1.0, *, is_frozen: bool = False) -> None:
        self._began = (speed, is_frozen)
        self._base = SystemClock().now()
        self._since_s = monotonic()
        self._speed = speed
        self._is_frozen = is_frozen
        self._timers: dict[asyncio.Future[None], tuple[datetime, str]] = {}
        self._waiting: set[str] = set()
        self._entered = asyncio.Event()
        self._armed: tuple[datetime, asyncio.TimerHandle] | None = None

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def is_frozen(self) -> bool:
        return self._is_frozen

    @property
    def next_timer(self) -> datetime | None:
        return min((until for until, _ in self._timers.values()), default=None)

    @property
    def waiting(self) -> Collection[str]:
        return self._waiting

    def now(self) -> datetime:
        exact = self._exact()
        return exact - timedelta(microseconds=exact.microsecond % 1000)

    def freeze(self) -> None:
        self._set(self.now(), is_frozen=True, speed=self._speed)

    def resume(self, speed: float) -> None:
        self._set(self._exact(), is_frozen=False, speed=speed)

    def move_to(self, moment: datetime) -> None:
        self._set(max(moment, self.now()), is_frozen=self._is_frozen, speed=self._speed)
        self._fire()

    def restart(self) -> None:
        speed, is_frozen = self._began
        self._set(SystemClock().now(), is_frozen=is_frozen, speed=speed)

    async def next_wait(self) -> None:
        self._entered.clear()
        await self._entered.wait()

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if event.is_set():
            return True
        if until is not None:
            until += timedelta(microseconds=-until.microsecond % 1000)  # now() is in milliseconds
            if until <= self.now():
                return False
        me, timer = _name(asyncio.current_task()), asyncio.get_running_loop().create_future()
        rings = asyncio.ensure_future(event.wait())
        if until is not None:
            self._timers[timer] = (until, me)
            self._arm()
        self._waiting.add(me)
        self._entered.set()
        try:
            await asyncio.wait((timer, rings), return_when=asyncio.FIRST_COMPLETED)
            return event.is_set()
        finally:
            self._waiting.discard(me)
            self._timers.pop(timer, None)
            rings.cancel()

    def _exact(self) -> datetime:
        if self._is_frozen:
            return self._base
        return self._base + timedelta(seconds=(monotonic() - self._since_s) * self._speed)

    def _set(self, base: datetime, *, is_frozen: bool, speed: float) -> None:
        self._base, self._since_s = base, monotonic()
        self._is_frozen, self._speed = is_frozen, speed
        self._disarm()
        self._arm()

    def _arm(self) -> None:
        upcoming = self.next_timer
        if upcoming is None or self._is_frozen:
            return
        if self._armed is not None and self._armed[0] <= upcoming:
            return
        self._disarm()
        delay_s = (upcoming - self._exact()).total_seconds() / self._speed
        handle = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._rang)
        self._armed = (upcoming, handle)

    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed[1].cancel()
            self._armed = None

    def _rang(self) -> None:
        self._armed = None
        self._fire()
        self._arm()

    def _fire(self) -> None:
        now = self.now()
        for timer, (until, waiter) in list(self._timers.items()):
            if until <= now:
                del self._timers[timer]
                self._waiting.discard(waiter)
                if not timer.done():
                    timer.set_result(None)


def _name(task: "asyncio.Task[Any] | None") -> str:
    return "" if task is None else task.get_name()
