"""Tables of a PostgreSQL database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from backroom.store.postgres_connection import (
    LOCK,
    LOST,
    MIGRATE_S,
    Link,
    Postgres,
    migrate,
    migrations,
    translating,
)
from backroom.store.postgres_rows import escaped, restored
from backroom.store.queries import load
from backroom.store.tables import Column, Row, Table, Type

PAGE = 1000  # rows in memory at once
NOT_RECORDS = ["schema_versions", "deployment"]

_SQL = load("postgres/tables")
_TYPES: dict[str, Type] = {
    "bigint": "integer",
    "integer": "integer",
    "text": "text",
    "bytea": "bytes",
}


class PostgresTables:
    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def newest_schema(self) -> int:
        return max(migrations())

    async def schema(self) -> int:
        if await self._link.fetchval(_SQL.has_versions) is None:
            return 0
        return int(await self._link.fetchval(_SQL.version))

    async def tables(self) -> list[Table]:
        columns: dict[str, list[Column]] = {}
        keys: dict[str, list[str]] = {}
        for table, column, declared in await self._link.fetch(_SQL.columns, NOT_RECORDS):
            columns.setdefault(table, []).append(Column(column, _TYPES[declared]))
        for table, column in await self._link.fetch(_SQL.keys, NOT_RECORDS):
            keys.setdefault(table, []).append(column)
        return [Table(name, tuple(columns[name]), tuple(keys[name])) for name in sorted(columns)]

    async def rows(self, select: str) -> AsyncIterator[list[Row]]:
        cursor = await self._link.cursor(select)
        while page := await cursor.fetch(PAGE):
            yield [restored(row) for row in page]

    async def insert(self, table: Table, rows: Sequence[Row]) -> None:
        await self._link.copy_records_to_table(
            table.name,
            records=[tuple(map(_held, row)) for row in rows],
            columns=[column.name for column in table.columns],
        )

    async def damage(self, *, quick: bool) -> list[str]:  # noqa: ARG002  the server watches its own files
        return []


def _held(value: Any) -> Any:
    return escaped(value) if isinstance(value, str) else value


@asynccontextmanager
async def postgres_snapshot(url: str) -> AsyncIterator[PostgresTables]:
    """As it is at one moment, whatever others write meanwhile."""
    async with _linked(url) as link, link.transaction(isolation="repeatable_read", readonly=True):
        yield PostgresTables(link)


@asynccontextmanager
async def postgres_filling(url: str) -> AsyncIterator[PostgresTables]:
    """While nobody else writes; kept only where the context ends without an exception."""
    await postgres_migrated(url)
    async with _linked(url) as link, link.transaction():
        tables = PostgresTables(link)
        await link.execute(_SQL.alone, LOCK + 1)
        names = ", ".join(table.name for table in await tables.tables())
        await link.execute(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
        yield tables
        for table, column in await link.fetch(_SQL.identities):
            await link.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column}))"  # noqa: S608  names of the schema
                f" FROM {table} HAVING count(*) > 0"
            )


async def postgres_migrated(url: str) -> tuple[int, int]:
    """The schema's number before and after."""
    async with _linked(url) as link:
        before = await PostgresTables(link).schema()
    postgres = Postgres(url)
    try:
        await migrate(postgres)
    finally:
        postgres.close()
    return before, max(migrations())


@asynccontextmanager
async def _linked(url: str) -> AsyncIterator[Link]:
    """A connection that may pause as long as a file or a pipe does."""
    with translating(MIGRATE_S):
        link = await Postgres(url).connect()
        try:
            await link.execute(_SQL.patient)
            yield link
        finally:
            await _ended(link)


async def _ended(link: Link) -> None:
    try:
        await link.close(timeout=1.0)
    except (TimeoutError, *LOST):
        link.terminate()
