"""A database as tables of rows, the same for every kind of database."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

Row = tuple[Any, ...]
Type = Literal["integer", "text", "bytes"]


class Column(msgspec.Struct, frozen=True, array_like=True):
    name: str
    type: Type


class Table(msgspec.Struct, frozen=True):
    """`columns` by name, without those that only this database knows; `order` sorts its rows."""

    name: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]


class Tables(Protocol):
    """One transaction: what is read is of one moment, what is written is kept as a whole or not."""

    @property
    def newest_schema(self) -> int:
        """The schema of this release."""

    async def schema(self) -> int:
        """The number of the migration it has seen last; 0 for none."""

    async def tables(self) -> list[Table]:
        """Those that hold records, by name; not where a database keeps its schema's number."""

    def rows(self, select: str) -> AsyncIterator[list[Row]]:
        """In pages, however many there are. Bytes are `bytes`."""

    async def insert(self, table: Table, rows: Sequence[Row]) -> None: ...

    async def damage(self, *, quick: bool) -> list[str]:
        """What the database itself finds wrong with its files."""
