"""The time of day of this machine."""

import asyncio
from datetime import UTC, datetime
from time import time_ns


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
