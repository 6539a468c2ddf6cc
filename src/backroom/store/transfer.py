"""All records of a database into one file, and from there into an empty database of any kind.

The file is JSON lines: a Header, then for each table a Section and its rows as arrays, values in
the order of the section's columns, bytes in base64; at the end a Trailer over all lines before it.
Secrets stay sealed as they are: the key that opens them is not in it.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from types import GenericAlias
from typing import Any, TypeVar

import msgspec

from backroom.domain.errors import BackroomError
from backroom.domain.stamps import stamp
from backroom.store.tables import Column, Row, Table, Tables

FORMAT = "backroom-dump/1"
BATCH = 1000  # rows inserted at once

T = TypeVar("T")

Seen = Callable[[int], None]


class UnusableDump(BackroomError):
    """Not a dump, cut off, changed, or with other tables or columns; nothing of it was kept."""


class NotEmpty(BackroomError):
    pass


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    schema: int
    made_at: str
    tables: tuple[str, ...]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    table: str
    columns: tuple[Column, ...]


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    counts: dict[str, int]
    sha256: str


_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(Header)
_section = msgspec.json.Decoder(Section)
_trailer = msgspec.json.Decoder(Trailer)


async def dumped(
    tables: Tables, now: datetime, seen: Seen = lambda _count: None
) -> AsyncIterator[bytes]:
    """The file, part by part; `seen` is told how many rows are in it so far."""
    content = sha256()
    counts: dict[str, int] = {}
    found = await tables.tables()
    names = tuple(table.name for table in found)
    part = _encode(Header(FORMAT, await tables.schema(), stamp(now), names)) + b"\n"
    content.update(part)
    yield part
    for table in found:
        part = _encode(Section(table.name, table.columns)) + b"\n"
        content.update(part)
        yield part
        counts[table.name] = 0
        async for page in tables.rows(_select(table)):
            part = b"".join(_encode(row) + b"\n" for row in page)
            content.update(part)
            yield part
            counts[table.name] += len(page)
            seen(sum(counts.values()))
    yield _encode(Trailer(counts, content.hexdigest())) + b"\n"


async def filled(tables: Tables, lines: Iterable[bytes]) -> dict[str, int]:
    """Insert all rows of a dump, within the transaction of `tables`; how many of each table.

    Raises UnusableDump, NotEmpty: then the transaction must not be kept.
    """
    known = {table.name: table for table in await tables.tables()}
    await _require_empty(tables, known.values())
    dump = _Dump(lines)
    header = dump.header()
    if sorted(header.tables) != sorted(known):
        others = ", ".join(sorted(set(header.tables) ^ set(known)) or header.tables)
        raise UnusableDump(_other_release(f"tables ({others})"))
    while (section := dump.section()) is not None:
        table = known.get(section.table)
        if table is None or section.columns != table.columns:
            raise UnusableDump(_other_release(f"columns of {section.table}"))
        for batch in dump.batches(table):
            await tables.insert(table, batch)
    dump.check_end(header)
    return dump.counts


def _select(table: Table) -> str:
    names = ", ".join(column.name for column in table.columns)
    order = ", ".join(table.order)
    return f"SELECT {names} FROM {table.name} ORDER BY {order}"  # noqa: S608  names of the schema


async def _require_empty(tables: Tables, known: Iterable[Table]) -> None:
    for table in known:
        async for _ in tables.rows(f"SELECT 1 FROM {table.name} LIMIT 1"):  # noqa: S608  as above
            raise NotEmpty(f"the database is not empty: there are {table.name}; choose another one")


def _other_release(differing: str) -> str:
    """Schema numbers say nothing here: SQLite and PostgreSQL count their own migrations."""
    return (
        f"its {differing} are not those of this release: import it with the release that wrote it, "
        "and migrate then"
    )


class _Dump:
    """Reads the lines of a dump in their order. What was read must not be kept before the end."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._content = sha256()
        self._ahead: bytes = next(self._lines, b"")
        self._number = 1
        self.counts: dict[str, int] = {}

    def header(self) -> Header:
        header = self._read(self._ahead, _header)
        if header.format != FORMAT:
            raise UnusableDump(f"its format is {header.format}, not {FORMAT}")
        self._next()
        return header

    def section(self) -> Section | None:
        """The section that begins here; None at the trailer."""
        if not self._ahead.startswith(b'{"table":'):
            return None
        section = self._read(self._ahead, _section)
        if section.table in self.counts:
            raise UnusableDump(f"line {self._number}: {section.table} again")
        self._next()
        return section

    def batches(self, table: Table) -> Iterator[list[Row]]:
        decoder = _decoder(table)
        self.counts[table.name] = 0
        batch: list[Row] = []
        while self._ahead.startswith(b"["):
            batch.append(self._read(self._ahead, decoder))
            self.counts[table.name] += 1
            self._next()
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def check_end(self, header: Header) -> None:
        if not self._ahead:
            raise UnusableDump("it has no end: it was cut off")
        trailer = self._read(self._ahead, _trailer)
        if next(self._lines, b""):
            raise UnusableDump(f"line {self._number + 1}: something comes after the end")
        if trailer.sha256 != self._content.hexdigest():
            raise UnusableDump("its SHA-256 is another one than it states: it was changed")
        if trailer.counts != self.counts or set(header.tables) != set(self.counts):
            raise UnusableDump("it holds another number of rows than it states")

    def _next(self) -> None:
        self._content.update(self._ahead)
        self._ahead = next(self._lines, b"")
        self._number += 1

    def _read(self, line: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnusableDump(f"line {self._number}: {error}") from None


def _decoder(table: Table) -> "msgspec.json.Decoder[Row]":
    values = tuple(_VALUES[column.type] for column in table.columns)
    return msgspec.json.Decoder(GenericAlias(tuple, values))


_VALUES: dict[str, Any] = {"integer": int | None, "text": str | None, "bytes": bytes | None}
