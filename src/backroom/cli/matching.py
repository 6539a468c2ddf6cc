"""What `--matching` does: one bulk task of the native API for all that a search finds."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import typer

from backroom.cli import exits
from backroom.cli.calls import Record
from backroom.cli.durations import seconds_of
from backroom.cli.exits import TooManyMatches
from backroom.cli.output import Column, warn
from backroom.cli.progress import progress
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.task_lists import Wanted, search_query
from backroom.cli.waiting import Manner, wait_for
from backroom.operations.bulk import BULK_MOST

# what the native API takes for meant where no state or kind is said
STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "cancel": ("waiting", "running"),
    "retry": ("failed", "cancelled"),
    "delete": ("succeeded", "failed", "cancelled"),
}
BAD_REQUEST: Final = 400
KINDS: Final = "background,scheduled"
QUESTIONS: Final = {
    "cancel": "confirm bulk cancel",
    "retry": "confirm bulk retry",
    "delete": "confirm bulk delete",
}
SUBMITTED_COLUMNS: Final = (Column("TASK", "task_id"), Column("TASKS", "matched"))
SKIPPED_COLUMNS: Final = (Column("SKIPPED", "task_id"), Column("WHY", "why"))


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """`action` is cancel, retry or delete; `more` are fields of its body."""

    action: str
    more: Mapping[str, Any] = {}
    is_sure: bool
    is_awaited: bool
    timeout: str | None


def act_on_matching(session: Session, wanted: Wanted, deed: Deed) -> None:
    """Raises TooManyMatches, and typer.Exit with the outcome of the bulk task."""
    timeout_s = seconds_of(deed.timeout, "--timeout")
    _check_states(wanted.state, deed.action)
    if not deed.is_sure:
        session.require_yes_in_a_pipe()
    session.calls.require_native(f"{deed.action} --matching")
    matching = {
        "state": ",".join(STATES[deed.action]),
        "kind": KINDS,
        **search_query(session, wanted),
    }
    count = _count(session, matching, 1 if deed.is_sure else BULK_MOST + 1)
    if not count:
        warn(tell("none"))
        return
    if count > BULK_MOST:
        raise TooManyMatches(tell("too many matches", most=BULK_MOST))
    said = ", ".join(f"{name}={text}" for name, text in matching.items())
    session.confirm(tell(QUESTIONS[deed.action], count=count, filter=said), is_sure=deed.is_sure)
    task_id = _submitted(session, matching, deed)
    if not deed.is_awaited:
        row = {"task_id": task_id, "matched": _matched(session.calls.full_task(task_id))}
        session.output.rows([row], SUBMITTED_COLUMNS)
        return
    _await(session, task_id, timeout_s)


def _check_states(state: str | None, action: str) -> None:
    strange = set(filter(None, (state or "").split(","))) - set(STATES[action])
    if strange:
        raise typer.BadParameter(f"may be {' or '.join(STATES[action])} here", param_hint="--state")


def _count(session: Session, matching: Mapping[str, str], most: int) -> int:
    """Of all that match, as far as `most`."""
    count = 0
    with progress("tasks") as seen:
        for page, _has_more in session.calls.search_pages(matching, most):
            count += len(page)
            seen(count)
            if count >= most:
                break
    return count


def _submitted(session: Session, matching: Mapping[str, str], deed: Deed) -> str:
    try:
        return session.calls.act_on_matching(deed.action, matching, deed.more)
    except exits.CallRefused as error:
        if error.status == BAD_REQUEST and f"{BULK_MOST} tasks" in str(error):
            raise TooManyMatches(tell("too many matches", most=BULK_MOST)) from None
        raise


def _await(session: Session, task_id: str, timeout_s: float | None) -> None:
    code = exits.SUCCEEDED
    try:
        wait_for(session, [task_id], Manner(timeout_s=timeout_s, is_outcome_told=False))
    except typer.Exit as outcome:
        code = outcome.exit_code
    if code != exits.INTERRUPTED:
        _tell(session, session.calls.full_task(task_id))
    if code:
        raise typer.Exit(code)


def _tell(session: Session, record: Record) -> None:
    tally = _tally(record)
    if session.output.is_for_programs:
        told = {name: record[name] for name in ("name", "state")}
        session.output.document({"task_id": record["id"], **told, **tally})
    elif tally["done"] is not None:
        typer.echo(
            tell("bulk done", done=tally["done"], count=tally["matched"], skipped=tally["skipped"])
        )
        session.output.rows(tally["reasons"], SKIPPED_COLUMNS)


def _tally(record: Record) -> dict[str, Any]:
    """Of its last step; None as long as there is none. `reasons` are those of the first ones."""
    outputs = [step.get("output") for step in record["steps"]]
    last = outputs[-1] if outputs and isinstance(outputs[-1], dict) else {}
    reasons = last.get("reasons")
    return {
        "matched": _matched(record),
        "done": last.get("done"),
        "skipped": last.get("skipped"),
        "reasons": reasons if isinstance(reasons, list) else [],
    }


def _matched(record: Record) -> Any:
    params = record.get("params")
    return params.get("task_count") if isinstance(params, dict) else None
