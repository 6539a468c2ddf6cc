"""One task as people see it: the official record, or all that is stored."""

from typing import Any, Final

import typer

from backroom.cli.calls import Record
from backroom.cli.durations import in_words
from backroom.cli.output import Column, Output
from backroom.cli.session import Session
from backroom.cli.task_lists import OFFICIAL_COLUMNS

STEP_COLUMNS: Final = (
    Column("STEP", "name"),
    Column("STATE", "state"),
    Column("%", "percent"),
    Column("STARTED", "started_at"),
    Column("ENDED", "ended_at"),
    Column("OUTPUT", "output", is_wide=True),
)
ATTEMPT_COLUMNS: Final = (
    Column("ATTEMPT", "number"),
    Column("WORKER", "worker_id"),
    Column("STARTED", "started_at"),
    Column("ENDED", "ended_at"),
    Column("OUTCOME", "outcome"),
    Column("STEP", "step"),
    Column("ERROR", "error"),
)


def show_task(session: Session, task_id: str, instance: str | None, *, is_full: bool) -> None:
    is_known = instance is not None or session.instance_id is not None
    if is_full or not (is_known or not session.calls.client.is_backroom):
        _show_full(session.output, session.calls.full_task(task_id))
        return
    record = session.calls.show_task(session.instance(instance), task_id)
    wide = [column._replace(is_wide=False) for column in OFFICIAL_COLUMNS]
    session.output.record(record, wide)


def _show_full(output: Output, record: Record) -> None:
    if output.is_for_programs:
        output.document(record)
        return
    output.record(record, _full_columns())
    for heads, rows in ((STEP_COLUMNS, record["steps"]), (ATTEMPT_COLUMNS, record["attempts"])):
        if rows:
            typer.echo("")
            output.rows(rows, heads)


def _full_columns() -> list[Column]:
    return [
        Column("TASK", "id"),
        Column("NAME", "name"),
        Column("STATE", "state"),
        Column("INSTANCE", "instance_id"),
        Column("PROGRESS", _progress),
        Column("WAITS", _waits),
        Column("ERROR", _error),
        Column("USER", "user_name"),
        Column("REASON", "reason"),
        Column("RETRIES", "parent_id"),
        Column("CREATED", "created_at"),
        Column("EXECUTE AT", "execute_at"),
        Column("STARTED", "started_at"),
        Column("ENDED", "ended_at"),
        Column("CANCEL ASKED", "cancel_asked_at"),
        Column("PARAMS", "params"),
        Column("CHANGED", lambda record: ", ".join(record["changed"] or ()) or None),
        Column("REQUEST", "request_id", is_wide=True),
        Column("BEFORE", "before", is_wide=True),
        Column("AFTER", "after", is_wide=True),
    ]


def _progress(record: Any) -> str | None:
    progress = record["progress"]
    left = f", ~{in_words(progress['remaining_s'])}" if progress["remaining_s"] else ""
    return f"{progress['percent']}%{left}"


def _waits(record: Any) -> str | None:
    waits = record["waits"]
    if waits is None:
        return None
    holder = waits["holder"]
    parts = [
        waits["why"],
        holder and f"behind {holder['name']} {holder['id']}",
        waits["ahead"] and f"{waits['ahead']} ahead",
        waits["expected_at"] and f"expected {waits['expected_at']}",
    ]
    return ", ".join(filter(None, parts))


def _error(record: Any) -> str | None:
    return " ".join(filter(None, (record["error_code"], record["error_msg"]))) or None
