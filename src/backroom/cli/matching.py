"""What `--matching` does: one bulk task of the native API for all that a search finds."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import typer

from backroom.cli import exits
from backroom.cli.calls import Record
from backroom.cli.durations import seconds_of
from backroom.cli.exits import TooManyMatches, WrongInstance
from backroom.cli.output import Column, printable, warn
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
    """Raises TooManyMatches, WrongInstance, and typer.Exit with the outcome of the bulk task.

    What matches is counted for a person who is asked. With --yes, and with a token that was said,
    it isn't: the same run again must ask the same of the server, whatever is left to do.
    """
    timeout_s = seconds_of(deed.timeout, "--timeout")
    _check_states(wanted.state, deed.action)
    if not deed.is_sure:
        session.require_yes_in_a_pipe()
    session.calls.require_native(f"{deed.action} --matching")
    matching = {
        "state": ",".join(STATES[deed.action]),
        "kind": KINDS,
        **search_query(session, _scoped(session, wanted)),
    }
    is_counted = not (deed.is_sure or session.calls.is_repeatable)
    count = _count(session, matching) if is_counted else None
    if count == 0:
        _tell_nothing(session)
        return
    _confirm(session, wanted, matching, deed, count)
    task_id = _submitted(session, matching, deed, count)
    warn(tell("task", id=task_id))
    if deed.is_awaited:
        _await(session, task_id, timeout_s)
    else:
        _tell_submitted(session, session.calls.full_task(task_id))


def _scoped(session: Session, wanted: Wanted) -> Wanted:
    """Of one instance, unless all of them are said. Raises WrongInstance."""
    if wanted.is_every_instance:
        return wanted
    try:
        instance_id = session.instance(wanted.instance)
    except WrongInstance as error:
        if wanted.instance or session.instance_id:
            raise
        raise WrongInstance(str(error) + tell("hint all instances")) from None
    return msgspec.structs.replace(wanted, instance=instance_id)


def _confirm(
    session: Session, wanted: Wanted, matching: Mapping[str, str], deed: Deed, count: int | None
) -> None:
    """`count` None: nobody has counted."""
    if deed.is_sure:
        return
    instance_id = matching.get("instance_id")
    scope = tell("all instances")
    if instance_id is not None:
        named = wanted.instance or session.instance_id or instance_id
        scope = named if named == instance_id else tell("one instance", name=named, id=instance_id)
    said = [f"{name}={text}" for name, text in matching.items() if name != "instance_id"]
    tasks = tell("all matching tasks") if count is None else tell("so many tasks", count=count)
    question = tell(QUESTIONS[deed.action], tasks=tasks, scope=scope, filter=", ".join(said))
    session.confirm(printable(question), is_sure=False)


def _tell_nothing(session: Session) -> None:
    if session.output.is_for_programs:
        counts = {"matched": 0, "done": 0, "skipped": 0}
        session.output.document({"task_id": None, **counts, "reasons": []})
    else:
        warn(tell("none"))


def _check_states(state: str | None, action: str) -> None:
    strange = set(filter(None, (state or "").split(","))) - set(STATES[action])
    if strange:
        raise typer.BadParameter(f"may be {' or '.join(STATES[action])} here", param_hint="--state")


def _count(session: Session, matching: Mapping[str, str]) -> int:
    """Of all that match. Raises TooManyMatches."""
    count = 0
    with progress("tasks") as seen:
        for page, _has_more in session.calls.search_pages(matching, BULK_MOST + 1):
            count += len(page)
            seen(count)
            if count > BULK_MOST:
                raise TooManyMatches(tell("too many matches", most=BULK_MOST))
    return count


def _submitted(session: Session, matching: Mapping[str, str], deed: Deed, count: int | None) -> str:
    more = deed.more if count is None else {**deed.more, "most": count}
    try:
        return session.calls.act_on_matching(deed.action, matching, more)
    except exits.CallRefused as error:
        if error.status == BAD_REQUEST and f"{BULK_MOST} tasks" in str(error):
            raise TooManyMatches(tell("too many matches", most=BULK_MOST)) from None
        if error.status == BAD_REQUEST and f"most is {count}," in str(error):
            raise TooManyMatches(tell("more than confirmed", count=count)) from None
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


def _tell_submitted(session: Session, record: Record) -> None:
    if session.output.is_for_programs:
        session.output.document(_document(record))
    else:
        row = {"task_id": record["id"], "matched": _matched(record)}
        session.output.rows([row], SUBMITTED_COLUMNS)
        if row["matched"] == 0:
            warn(tell("none"))


def _document(record: Record) -> dict[str, Any]:
    told = {name: record[name] for name in ("name", "state")}
    return {"task_id": record["id"], **told, **_tally(record)}


def _tell(session: Session, record: Record) -> None:
    tally = _tally(record)
    if session.output.is_for_programs:
        session.output.document(_document(record))
    elif tally["matched"] == 0:
        warn(tell("none"))
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
