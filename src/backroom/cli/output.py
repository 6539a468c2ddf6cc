"""What commands print: tables for people, JSON and YAML for programs, picked by JMESPath.

The tables are our own: a library for them would take a fifth of the time to the first output.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum, unique
from typing import Any, Final, NamedTuple

import typer

Row = Mapping[str, Any]

_COLOURS: Final[Mapping[str, str]] = {
    "SUCCESS": typer.colors.GREEN,
    "succeeded": typer.colors.GREEN,
    "RUNNING": typer.colors.GREEN,
    "ok": typer.colors.GREEN,
    "FAILED": typer.colors.RED,
    "failed": typer.colors.RED,
    "broken": typer.colors.RED,
    "ERROR": typer.colors.RED,
    "CANCELLED": typer.colors.YELLOW,
    "cancelled": typer.colors.YELLOW,
    "warning": typer.colors.YELLOW,
    "EXECUTING": typer.colors.CYAN,
    "running": typer.colors.CYAN,
}


@unique
class Format(StrEnum):
    TABLE = "table"
    WIDE = "wide"  # a table with all columns, nothing cut off
    JSON = "json"
    YAML = "yaml"


class Column(NamedTuple):
    """`of` is a key of a row, or makes the cell of it."""

    head: str
    of: str | Callable[[Row], Any]
    is_wide: bool = False

    def cell(self, row: Row) -> str:
        return shown(row.get(self.of) if isinstance(self.of, str) else self.of(row))


class Output(NamedTuple):
    format: Format = Format.TABLE
    query: str | None = None

    @property
    def is_for_programs(self) -> bool:
        return self.format in {Format.JSON, Format.YAML} or self.query is not None

    def rows(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        if self.is_for_programs:
            self.document(list(rows))
        elif rows:
            wanted = [column for column in columns if self._is_wanted(column)]
            _print_table(
                [[column.head for column in wanted]]
                + [[column.cell(row) for column in wanted] for row in rows],
                is_cut=self.format is not Format.WIDE,
            )

    def record(self, record: Row, columns: Sequence[Column]) -> None:
        """One thing: a line for each column that has something to tell."""
        if self.is_for_programs:
            self.document(record)
            return
        wanted = (column for column in columns if self._is_wanted(column))
        lines = [[column.head, cell] for column in wanted if (cell := column.cell(record))]
        _print_table(lines, is_cut=False)

    def document(self, document: Any) -> None:
        found = document if self.query is None else queried(self.query, document)
        if self.format is Format.YAML:
            typer.echo(_yaml(found), nl=False)
        elif self.format is Format.JSON:
            typer.echo(json_text(found, indent=2))
        else:
            _print_found(found)

    def _is_wanted(self, column: Column) -> bool:
        return self.format is Format.WIDE or not column.is_wide


def queried(query: str, document: Any) -> Any:
    """Raises typer.BadParameter for what can't be applied to this document."""
    import jmespath  # noqa: PLC0415  few need it
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415

    try:
        return jmespath.compile(query).search(document)
    except JMESPathError as error:
        raise typer.BadParameter(" ".join(str(error).split()), param_hint="--query") from None


def query_problem(query: str) -> str | None:
    """What is wrong with it; None if nothing is."""
    import jmespath  # noqa: PLC0415
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415

    try:
        jmespath.compile(query)
    except JMESPathError as error:
        return " ".join(str(error).split())
    return None


def shown(value: Any) -> str:
    """One line, without anything that a terminal obeys."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return printable(str(value)).replace("\n", "\\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """For people's eyes, too: what a terminal would obey, or can't be written, is escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )


def printable(text: str) -> str:
    # what comes from strangers may hold escape sequences: none may reach the terminal
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def warn(text: str) -> None:
    """Beside what is printed: for people, never in a pipe."""
    typer.echo(text, err=True)


def coloured(word: str) -> str:
    colour = _COLOURS.get(word)
    if colour is None or not _has_colours():
        return word
    return typer.style(word, fg=colour)


def _has_colours() -> bool:
    return _is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _print_found(found: Any) -> None:
    """A scalar as it is, so that a shell can take it; lists a line each."""
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        heads = list(dict.fromkeys(key for item in found for key in item))
        _print_table([heads] + [[shown(item.get(head)) for head in heads] for item in found])
        return
    if isinstance(found, dict):
        _print_table([[key, shown(value)] for key, value in found.items()], is_cut=False)
        return
    for item in found if isinstance(found, list) else [found]:
        if item is not None:
            typer.echo(shown(item))


def _print_table(lines: Iterable[Sequence[str]], *, is_cut: bool = True) -> None:
    lines = list(lines)
    if not lines:
        return
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    room = _columns() if is_cut and _is_terminal() else None
    for line in lines:
        cells = [_padded(cell, width) for cell, width in zip(line, widths, strict=True)]
        plain = "  ".join(cells).rstrip()
        if room is not None and _width(plain) > room:
            typer.echo(_cut(plain, room))
        else:
            typer.echo("  ".join(map(_painted, cells)).rstrip())


def _painted(cell: str) -> str:
    word = cell.rstrip()
    return coloured(word) + cell[len(word) :]


def _columns() -> int:
    import shutil  # noqa: PLC0415

    return shutil.get_terminal_size().columns


def _cut(text: str, room: int) -> str:
    while _width(text) > room - 1:
        text = text[:-1]
    return text + "…"


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _width(cell))


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _yaml(document: Any) -> str:
    import yaml  # noqa: PLC0415  few need it

    plain = json.loads(json.dumps(document))  # YAML knows no kinds of dict but dict
    text: str = yaml.safe_dump(plain, allow_unicode=True, sort_keys=False)
    if all(letter.isprintable() or letter == "\n" for letter in text):
        return text
    escaped: str = yaml.safe_dump(plain, allow_unicode=False, sort_keys=False)
    return escaped
