"""Drawings and tables that show how the code is made: layers, tables of the database, metrics."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import apsw

from backroom.api.health import Figures, families
from backroom.api.measures import BOUNDS_S, Measures
from backroom.ports import Load

ROOT = Path(__file__).resolve().parent.parent
MIGRATIONS = ROOT / "src" / "backroom" / "store" / "migrations"

# What a column of that name points at. The schema declares no foreign keys: rows are cleared
# apart from each other.
_POINTS_AT = {
    "project_id": "projects",
    "instance_id": "instances",
    "task_id": "tasks",
    "parent_id": "tasks",
    "worker_id": "workers",
    "user_id": "users",
    "lane": "lanes",
}
_MEANT_OTHERWISE = {("lanes", "lane")}


def layers() -> str:
    """The contract that import-linter proves, from the top down."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (c for c in read["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    rows = [layer.split(" | ") for layer in contract["layers"]]
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    floor{n}["{" · ".join(row)}"]' for n, row in enumerate(rows)]
    lines.append("    " + " --> ".join(f"floor{n}" for n in range(len(rows))))
    return "\n".join([*lines, "```", ""])


def tables() -> str:
    """What SQLite holds after all migrations: keys, columns that point elsewhere, and the rest."""
    connection = apsw.Connection(":memory:")
    for script in sorted(MIGRATIONS.glob("*.sql")):
        connection.execute(script.read_text("utf-8"))
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
        )
    ]
    columns = {
        name: [
            (str(column), str(kind), bool(key))
            for _, column, kind, _, _, key in connection.execute(f"PRAGMA table_info({name})")
        ]
        for name in names
    }
    connection.close()
    return "\n".join(
        ["```mermaid", "erDiagram", *_relations(columns), *_entities(columns), "```", ""]
    )


def _relations(columns: dict[str, list[tuple[str, str, bool]]]) -> Iterator[str]:
    for table, kept in columns.items():
        for column, _, is_key in kept:
            target = _POINTS_AT.get(column)
            if target in {None, table} or (table, column) in _MEANT_OTHERWISE:
                continue
            many = "||" if is_key and sum(key for _, _, key in kept) == 1 else "o{"
            yield f"    {target} ||--{many} {table} : {column}"


def _entities(columns: dict[str, list[tuple[str, str, bool]]]) -> Iterator[str]:
    for table, kept in columns.items():
        yield f"    {table} {{"
        for column, kind, is_key in kept:
            yield f"        {kind} {column}{' PK' if is_key else ''}"
        yield "    }"


def metrics() -> str:
    """Name, kind, labels and meaning of each metric."""
    none = Load((), 0, 0, oldest_claim_at=None, oldest_beat_at=None, overdue_since=None)
    rows = [
        f"| `{family.name}{'_total' if family.type == 'counter' else ''}` | {family.type} | "
        f"{', '.join(f'`{label}`' for label in family._labelnames)} | {family.documentation} |"  # noqa: SLF001
        for family in families(Measures(), Figures(none, {}, {}), datetime(1970, 1, 1, tzinfo=UTC))
    ]
    return "\n".join(
        (
            "# Metrics\n",
            "What `GET /metrics` shows, in the text format of Prometheus. A histogram has",
            "`_bucket`, `_count` and `_sum` behind its name. What each is good for, and whose",
            "figures they are: [health and metrics](../howto/health-and-metrics.md).\n",
            "| name | kind | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "\nUpper bounds of the buckets, in seconds: "
            + ", ".join(f"{bound:g}" for bound in BOUNDS_S)
            + ", and beyond.",
        )
    )
