"""What has run: interop/coverage.json, the comparison with it, and docs/coverage.md."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

RECORD = Path(__file__).with_name("coverage.json")
RAN = "ran"
FAILED = "failed: "
OPEN = "open: "  # nothing to run, and why
AWAY = "away: "  # could not be tried on this machine, and why: never recorded

TERRAFORM = "terraform"
PROGRAMS = (TERRAFORM, "tofu")  # those that run the provider
TITLES: Mapping[str, str] = {
    "python": "Python",
    "java": "Java",
    "go": "Go",
    "nodejs": "Node.js",
    TERRAFORM: "Terraform",
}
GROUPS: Mapping[str, Mapping[str, str]] = {
    "page": {
        "sample": "as printed, project id filled",
        "sample, looked up": "as printed, project id left empty: the SDK asks IAM",
        "sample, refused": "as printed, a task that isn't there",
    },
    "examples": {
        "show": "show a task",
        "list": "list tasks, page by page",
        "progress": "progress of an extension",
        "bind": "bind public IP and wait",
        "reassign": "reassignment and wait",
    },
    "calls": {
        "show": "show: all eight fields",
        "list": "list: order, pages, window of time, total",
        "list, odd": "list with odd parameters: blanks, quotes, `+*~%`, Chinese, emoji",
        "instances, odd": (
            "odd values arrive as sent: by each the server finds the one instance of that name"
        ),
        "progress": "progress",
        "delete": "delete, and gone",
        "bind": "bind public IP and wait",
        "create topic": "create topic, described with all odd values: kept as sent",
        "reassign": "reassign and wait",
        "wrong secret": "error: wrong secret key",
        "missing task": "error: missing task",
        "forbidden": "error: a viewer asks for a change",
        "throttled": "error: throttled, a read",
        "throttled, write": "error: throttled, a write",
        "looked up": "project id looked up through IAM",
        "regions file": "endpoint from regions.yaml",
        "temporary key": "temporary key with its security token, and refused without",
        "https": "https: with the development CA, and refused without",
        "plain http": "plain http",
    },
    "terraform": {
        "plan": "plan of an instance and a topic",
        "apply": "apply: both are there, as asked for",
        "data source": "data source huaweicloud_dms_kafka_background_tasks",
        "plan again": "plan again: nothing to change",
        "destroy": "destroy: both are gone",
    },
}

HEADINGS: Mapping[str, str] = {
    "page": "The page's samples",
    "examples": "Our examples",
    "calls": "Call by call",
    "terraform": "Terraform",
}
WORDS: Mapping[str, str] = {
    "page": (
        "Cut out of the vendor's page for ShowBackgroundTask by the harness, only the placeholders"
        " filled; with nothing but the environment that `backroom env` prints. The page has none"
        " for Node.js."
    ),
    "examples": "The programs below `examples/`; what they printed is what the server stored.",
    "calls": (
        "The programs below `interop/`. A record is compared field by field with the database, a"
        " refusal's status, code, message and request id with what must arrive in the client's own"
        " type of error."
    ),
    "terraform": (
        "The provider of the vendor, with the program `{program}`, against an emulator with virtual"
        " time: a creation and a deletion end once the provider has seen them under way. By hand,"
        " not in CI, since the provider has to be built first"
        " ([how](howto/point-an-sdk-here.md#terraform))."
    ),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Of one client. A cell is RAN, or FAILED, OPEN or AWAY and why; `away` is of a whole row.

    `notes`: what is particular about a cell that ran, or about the client (under "").
    """

    versions: Mapping[str, str] = {}
    cells: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}
    away: str = ""


Rows = Mapping[str, Row]


def read() -> dict[str, Row]:
    if not RECORD.exists():
        return {}
    return msgspec.json.decode(RECORD.read_bytes(), type=dict[str, Row])


def write(before: Rows, now: Rows) -> None:
    """What could not be tried stays as it was."""
    rows = dict(before)
    for name, row in now.items():
        if row.away:
            continue
        kept = before.get(name, Row()).cells
        cells = {
            cell: kept.get(cell, text) if text.startswith(AWAY) else text
            for cell, text in row.cells.items()
        }
        rows[name] = msgspec.structs.replace(row, cells=cells)
    text = json.dumps(msgspec.to_builtins(rows), indent=2, ensure_ascii=False, sort_keys=True)
    RECORD.write_text(text + "\n", "utf-8")


def worse(before: Rows, now: Rows) -> list[str]:
    """Cells that failed, and those that ran before and don't now though they could be tried."""
    return [
        f"{name}, {cell}: {outcome}"
        for name, row in sorted(now.items())
        if not row.away
        for cell, outcome in _outcomes(before.get(name, Row()), row)
    ]


def _outcomes(before: Row, now: Row) -> Iterator[tuple[str, str]]:
    for cell in sorted({*before.cells, *now.cells}):
        outcome = now.cells.get(cell, "was not tried")
        is_lost = before.cells.get(cell) == RAN and not outcome.startswith((RAN, AWAY))
        if is_lost or outcome.startswith(FAILED):
            yield cell, outcome


def page_text(rows: Rows) -> str:
    """docs/coverage.md. Each table is evidence of its own kind; nothing is added up."""
    parts = [_INTRODUCTION, "## Clients\n", _clients(rows)]
    for group, calls in GROUPS.items():
        columns = [name for name in TITLES if _has(rows.get(name), group)]
        if columns:
            parts += [f"## {HEADINGS[group]}\n", _words(rows, group) + "\n"]
            parts.append(_matrix(rows, group, calls, columns))
    return "\n".join(parts)


_INTRODUCTION = """# Coverage

Which official clients have run against Backroom, call by call. `ran`: the client made the call against a real server, and what it printed is what the server stored. Where nothing ran, the reason stands below the table. `./run interop` makes this page anew; CI runs it for Python, Java, Go and Node.js and fails when a call that ran doesn't any more. The tables are different kinds of evidence, and no number sums them up.
"""


def _words(rows: Rows, group: str) -> str:
    versions = rows[TERRAFORM].versions if TERRAFORM in rows else {}
    program = next((name for name in PROGRAMS if name in versions), TERRAFORM)
    return WORDS[group].replace("{program}", program)


def _has(row: Row | None, group: str) -> bool:
    return row is not None and any(cell.startswith(f"{group}: ") for cell in row.cells)


def _clients(rows: Rows) -> str:
    lines = [
        (TITLES[name], ", ".join(f"{part} {text}" for part, text in row.versions.items()))
        for name, row in _ordered(rows)
    ]
    notes = [
        f"- {TITLES[name]}: {row.notes['']}" for name, row in _ordered(rows) if "" in row.notes
    ]
    return _table(("client", "versions that ran"), lines) + "\n" + "\n".join(notes) + "\n"


def _ordered(rows: Rows) -> list[tuple[str, Row]]:
    return [(name, rows[name]) for name in TITLES if name in rows]


def _matrix(rows: Rows, group: str, calls: Mapping[str, str], columns: list[str]) -> str:
    notes: list[str] = []
    lines = []
    for call, title in calls.items():
        cells = [_cell(rows[name], f"{group}: {call}", notes) for name in columns]
        lines.append((title, *cells))
    told = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    table = _table(("call", *(TITLES[name] for name in columns)), lines)
    return table + "\n" + "".join(f"{line}\n" for line in told)


def _cell(row: Row, cell: str, notes: list[str]) -> str:
    outcome = row.cells.get(cell, "open: was not tried")
    word, _, why = outcome.partition(": ")
    note = why or row.notes.get(cell, "")
    if not note:
        return word
    if note not in notes:
        notes.append(note)
    return f"{word} ({notes.index(note) + 1})"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(heads)]
    lines += [("---",) * len(lines[0]), *map(tuple, rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
