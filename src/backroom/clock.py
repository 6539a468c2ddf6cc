"""The time of day of this machine."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

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
