"""Hears what other processes did, and asks for the time, on a connection of its own."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from backroom.domain.errors import StoreUnavailable
from backroom.store.postgres_clock import DatabaseClock, is_set_within
from backroom.store.postgres_connection import CONNECT_S, Link, Postgres, translating

ASK_S = 2.0  # how often the time is asked; it also finds out that the connection is dead
RETRY_S = 0.5

_log = logging.getLogger(__name__)


class Listener:
    """`bells` are by channel, and are told what was said there.

    After each connect all are rung with nothing: something may have been missed. `heard` is set
    once it listened for the first time.
    """

    def __init__(
        self, postgres: Postgres, clock: DatabaseClock, bells: Mapping[str, Callable[[str], None]]
    ) -> None:
        self._postgres = postgres
        self._clock = clock
        self._bells = bells
        self.heard = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                with translating(CONNECT_S):
                    await self._listen()
            except StoreUnavailable as error:
                _log.warning("not listening to the database: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        link = await self._postgres.connect()
        try:
            lost = asyncio.Event()
            link.add_termination_listener(lambda _: lost.set())
            async with asyncio.timeout(CONNECT_S):
                for channel in self._bells:
                    await link.add_listener(channel, self._heard)
            for ring in self._bells.values():
                ring("")
            while not lost.is_set():
                async with asyncio.timeout(CONNECT_S):
                    await self._clock.ask(link)
                self.heard.set()
                await is_set_within(lost, ASK_S)
            raise StoreUnavailable("the connection was lost")
        finally:
            link.terminate()

    def _heard(self, _link: Link, pid: int, channel: str, payload: str) -> None:
        if not self._postgres.is_own(pid):  # its own work has rung already
            self._bells[channel](payload)
