"""Tables of a SQLite file."""

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw

from backroom.store.connection import (
    BUSY_TIMEOUT_MS,
    connect,
    migrate,
    migrations,
    translated,
)
from backroom.store.tables import Column, Row, Table, Type

PAGE = 1000  # rows in memory at once

_LOCAL = {("events", "id")}  # only the order of the rows

_TYPES: dict[str, Type] = {"INTEGER": "integer", "TEXT": "text", "BLOB": "bytes"}


class SqliteTables:
    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def newest_schema(self) -> int:
        return len(migrations())

    async def schema(self) -> int:
        return int(self._connection.pragma("user_version"))

    async def tables(self) -> list[Table]:
        names = (
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
            "ESCAPE '\\' ORDER BY name"
        )
        return [self._table(str(name)) for (name,) in self._execute(names).fetchall()]

    def _table(self, name: str) -> Table:
        read = "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY name"
        found: Any = self._execute(read, (name,)).fetchall()
        columns = (Column(column, _TYPES[declared]) for column, declared, _ in found)
        keys = sorted((place, column) for column, _, place in found if place)
        return Table(
            name,
            tuple(column for column in columns if (name, column.name) not in _LOCAL),
            tuple(column for _, column in keys),
        )

    async def rows(self, select: str) -> AsyncIterator[list[Row]]:
        cursor = self._execute(select)
        while page := self._page(cursor):
            yield page

    def _page(self, cursor: apsw.Cursor) -> list[Row]:
        try:
            return [row for _, row in zip(range(PAGE), cursor, strict=False)]
        except apsw.Error as error:
            raise translated(error) from error

    async def insert(self, table: Table, rows: Sequence[Row]) -> None:
        names = ", ".join(column.name for column in table.columns)
        marks = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  names are ours
        try:
            self._connection.executemany(statement, rows)
        except apsw.Error as error:
            raise translated(error) from error

    async def damage(self, *, quick: bool) -> list[str]:
        check = "quick_check" if quick else "integrity_check"
        found = [str(text) for (text,) in self._execute(f"PRAGMA {check}")]
        return [] if found == ["ok"] else found

    def _execute(self, statement: str, bindings: Any = None) -> apsw.Cursor:
        try:
            return self._connection.execute(statement, bindings)
        except apsw.Error as error:
            raise translated(error) from error


def open_read_only(path: Path) -> apsw.Connection:
    """For a look beside whoever writes; nothing is changed, not even the schema."""
    with _translating():
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(_uri(path), flags=flags)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return connection


def _uri(path: Path) -> str:
    """Where nobody can write, SQLite need not look for whoever does: for that it makes a file."""
    wal = path.with_name(f"{path.name}-wal")
    is_left_alone = not os.access(path.parent, os.W_OK) and not wal.exists()
    return f"{path.absolute().as_uri()}{'?immutable=1' if is_left_alone else ''}"


@contextmanager
def sqlite_snapshot(path: Path) -> Iterator[SqliteTables]:
    """As it is at one moment, whatever others write meanwhile."""
    with _translating(), closing(open_read_only(path)) as connection:
        connection.execute("BEGIN")
        yield SqliteTables(connection)


@contextmanager
def sqlite_filling(path: Path) -> Iterator[SqliteTables]:
    """Under the write lock; kept only where the context ends without an exception."""
    path.touch(mode=0o600)
    with _translating(), closing(connect(path)) as connection:
        migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield SqliteTables(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def sqlite_migrated(path: Path) -> tuple[int, int]:
    """The schema's number before and after."""
    with _translating(), closing(connect(path)) as connection:
        before = int(connection.pragma("user_version"))
        migrate(connection)
        return before, int(connection.pragma("user_version"))


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise translated(error) from error
