"""All stores of one process on one PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from backroom.domain.errors import StoreUnavailable
from backroom.ports import Clock, Vault
from backroom.store.postgres_accounts import PostgresAccountStore
from backroom.store.postgres_clock import DatabaseClock
from backroom.store.postgres_connection import LOCK, MIGRATE_S, Postgres, migrate, within
from backroom.store.postgres_figures import PostgresTaskFigures
from backroom.store.postgres_finder import PostgresTaskFinder
from backroom.store.postgres_instances import PostgresClusterStore, PostgresInstanceStore
from backroom.store.postgres_journal import PostgresJournal
from backroom.store.postgres_listener import Listener
from backroom.store.postgres_tasks import PostgresTaskStore
from backroom.store.queries import load

MARK = b"backroom"  # what every process of a deployment must be able to unseal
HEARD_WITHIN_S = 10.0
READY, EVENTS, ACCOUNTS = "backroom_ready", "backroom_events", "backroom_accounts"  # channels

_SQL = load("postgres/deployment")


class OtherKey(StoreUnavailable):
    """The database belongs to processes that have another secret.key."""


class PostgresStores:
    """Nothing connects before `opened`; `on_ready` is called when a lane may be ready.

    `on_new`: see PostgresTaskStore. `clock`: another one than the database's. Of what other
    processes do, only what `hears` says is heard: a worker waits for READY, and who follows the
    journal for EVENTS.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        on_ready: Callable[[], None],
        clock: Clock | None = None,
        *,
        on_new: Callable[[], None] | None = None,
        hears: Collection[str] = (READY, EVENTS),
    ) -> None:
        self._postgres = postgres = Postgres(url)
        self._beats = Postgres(url, most=1)
        self._vault = vault
        database_clock = DatabaseClock()
        self.clock = clock or database_clock
        self.journal = PostgresJournal(postgres, self.clock)
        self.tasks = PostgresTaskStore(postgres, self._beats, on_ready, self.journal.ring, on_new)
        self.finder = PostgresTaskFinder(postgres)
        self.figures = PostgresTaskFigures(postgres)
        self.instances = PostgresInstanceStore(postgres)
        self.clusters = PostgresClusterStore(postgres)
        self.accounts = PostgresAccountStore(postgres, vault)
        bells = {
            READY: self.tasks.told,
            EVENTS: lambda _: self.journal.ring(),
            ACCOUNTS: lambda _: self.accounts.forget(),
        }
        heard = {name: ring for name, ring in bells.items() if name in (*hears, ACCOUNTS)}
        self._listener = Listener(postgres, database_clock, heard)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The schema is up to date and the clock is the database's. Raises OtherKey."""
        try:
            await migrate(self._postgres)
            await self._check_key()
            async with self._listening():
                yield
        finally:
            self.close()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        listening = asyncio.create_task(self._listener.run())
        try:
            async with within(HEARD_WITHIN_S):
                await self._listener.heard.wait()
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _check_key(self) -> None:
        await self._postgres.change(_SQL.put_seal, self._vault.seal(MARK))
        row = await self._postgres.first(_SQL.seal)
        try:
            is_ours = row is not None and self._vault.unseal(row[0]) == MARK
        except StoreUnavailable:
            is_ours = False
        if not is_ours:
            raise OtherKey("the database was sealed under another key file")

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While it lasts, no other process is in here."""
        async with within(MIGRATE_S):
            link = await self._postgres.connect()
            await link.execute(_SQL.lock_session, LOCK + 1)
        try:
            yield
        finally:
            link.terminate()  # with the session, the lock is gone

    def close(self) -> None:
        self._postgres.close()
        self._beats.close()
