"""Wires the commands that work on a whole database: where it is, and which kind."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backroom.bootstrap import CannotServe, is_shared
from backroom.clock import SystemClock
from backroom.domain.ids import ProjectId
from backroom.ports import Journal
from backroom.settings import DATABASE_FILE, Settings
from backroom.store import transfer
from backroom.store.check import problems
from backroom.store.connection import Damaged
from backroom.store.sqlite_journal import SqliteJournal
from backroom.store.sqlite_tables import (
    open_read_only,
    sqlite_filling,
    sqlite_migrated,
    sqlite_snapshot,
)
from backroom.store.tables import Tables

Seen = Callable[[int], None]


@dataclass(frozen=True)
class Ledger:
    """The events of all projects, to be looked at only."""

    journal: Journal
    projects: list[ProjectId]


def missing(settings: Settings) -> Path | None:
    """The file that should hold the records and is not there; None where a server holds them."""
    path = None if is_shared(settings) else _file(settings)
    return None if path is None or path.is_file() else path


@asynccontextmanager
async def ledger(settings: Settings) -> AsyncIterator[Ledger]:
    async with snapshot(settings) as tables:
        await _require_schema(tables)
        select = (
            "SELECT id FROM projects UNION SELECT project_id FROM chains "
            "UNION SELECT project_id FROM events ORDER BY 1"
        )
        found = [ProjectId(row[0]) async for page in tables.rows(select) for row in page]
    async with _journal(settings) as journal:
        yield Ledger(journal, found)


@asynccontextmanager
async def _journal(settings: Settings) -> AsyncIterator[Journal]:
    if is_shared(settings):
        from backroom.store.postgres_connection import Postgres  # noqa: PLC0415  as in bootstrap
        from backroom.store.postgres_journal import PostgresJournal  # noqa: PLC0415

        postgres = Postgres(settings.database or "")
        try:
            yield PostgresJournal(postgres, SystemClock())
        finally:
            postgres.close()
        return
    connection = open_read_only(_file(settings))
    try:
        yield SqliteJournal(connection, SystemClock())
    finally:
        connection.close()


@asynccontextmanager
async def snapshot(settings: Settings) -> AsyncIterator[Tables]:
    """All records as they are at one moment, beside whoever writes."""
    tables: Tables
    if is_shared(settings):
        from backroom.store.postgres_tables import postgres_snapshot  # noqa: PLC0415

        async with postgres_snapshot(settings.database or "") as tables:
            yield tables
        return
    with sqlite_snapshot(_file(settings)) as tables:
        yield tables


@asynccontextmanager
async def filling(settings: Settings) -> AsyncIterator[Tables]:
    """A database with the schema of this release, filled as a whole or not at all."""
    tables: Tables
    if is_shared(settings):
        from backroom.store.postgres_tables import postgres_filling  # noqa: PLC0415

        async with postgres_filling(settings.database or "") as tables:
            yield tables
        return
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with sqlite_filling(_file(settings)) as tables:
        yield tables


async def migrated(settings: Settings) -> tuple[int, int]:
    """The schema's number before and after."""
    if is_shared(settings):
        from backroom.store.postgres_tables import postgres_migrated  # noqa: PLC0415

        return await postgres_migrated(settings.database or "")
    return sqlite_migrated(_file(settings))


async def wrong(settings: Settings, *, quick: bool, seen: Seen) -> list[str]:
    found: list[str] = []
    try:
        async with snapshot(settings) as tables:
            async for text in problems(tables, quick=quick, seen=seen):
                found.append(text)  # noqa: PERF401  what was found before the damage counts
    except Damaged as damage:
        found.append(f"database: {damage}")
    return found


async def exported(
    settings: Settings, now: datetime, write: Callable[[bytes], object], seen: Seen
) -> None:
    async with snapshot(settings) as tables:
        await _require_schema(tables)
        async for part in transfer.dumped(tables, now, seen):
            write(part)


async def filled(settings: Settings, lines: Iterable[bytes]) -> dict[str, int]:
    """How many rows of each table. Raises UnusableDump, NotEmpty; then nothing was kept."""
    async with filling(settings) as tables:
        return await transfer.filled(tables, lines)


async def _require_schema(tables: Tables) -> None:
    schema, wanted = await tables.schema(), tables.newest_schema
    if schema != wanted:
        more = "run: backroom db migrate" if schema < wanted else "use the release that made it"
        raise CannotServe(f"the database is at schema {schema}, this release's is {wanted}; {more}")


def _file(settings: Settings) -> Path:
    url = settings.database
    if url is None:
        return settings.data / DATABASE_FILE
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    scheme, is_url, _ = url.partition("://")  # what is no URL may hold a password
    raise CannotServe(
        f"--database {scheme if is_url else '...'}: only sqlite:///PATH and "
        "postgresql://USER@HOST/NAME"
    )
