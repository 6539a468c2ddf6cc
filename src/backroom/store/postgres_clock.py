"""The database's time of day, so that what several hosts write compares on one clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic

from backroom.store.postgres_connection import Link
from backroom.store.queries import load

_SQL = load("postgres/deployment")


class DatabaseClock:
    """The database's clock as last asked, plus the time that passed here since.

    A jump of this host's clock doesn't matter. Until it was asked once, it is this host's.
    """

    def __init__(self) -> None:
        self._at = datetime.now(UTC)
        self._since_s = monotonic()

    async def ask(self, link: Link) -> None:
        """The answer was true at some moment of the round trip: take the middle if need be."""
        before_s = monotonic()
        at: datetime = await link.fetchval(_SQL.now)
        after_s = monotonic()
        if not self._then(before_s) <= at <= self._then(after_s):
            self._at, self._since_s = at, (before_s + after_s) / 2

    def now(self) -> datetime:
        moment = self._then(monotonic())
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def _then(self, moment_s: float) -> datetime:
        return self._at + timedelta(seconds=moment_s - self._since_s)

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if until is None:
            return await event.wait()
        delay_s = (until - self._then(monotonic())).total_seconds()
        if event.is_set() or delay_s <= 0:
            return event.is_set()
        return await is_set_within(event, delay_s)


async def is_set_within(event: asyncio.Event, delay_s: float) -> bool:
    try:
        async with asyncio.timeout(delay_s):
            return await event.wait()
    except TimeoutError:
        return False
