"""What a change made: tasks, told at once, and waited for where that is asked for."""

from collections.abc import Sequence
from typing import Final

import msgspec
import typer

from backroom.cli.calls import Record
from backroom.cli.client import Answer
from backroom.cli.output import Column
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.waiting import Manner, wait_for

NEWEST: Final = 20  # tasks among which a change's own is looked for

COLUMNS = (
    Column("TASK", "task_id"),
    Column("NAME", "name"),
    Column("INSTANCE", "instance_id"),
)


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """`task_id` None: accepted, but no task was found."""

    task_id: str | None
    name: str
    instance_id: str


def submitted(session: Session, instance_id: str, name: str, answer: Answer) -> Submitted:
    """The task of a call that answers without its id."""
    newest = _newest(session, instance_id, name)
    asked = answer.headers.get("x-request-id")
    own = [record for record in newest if asked and record.get("request_id") == asked]
    named = [record for record in newest if record.get("name") == name]
    found = next(iter(own or named or newest), None)
    return Submitted(
        task_id=None if found is None else found["id"],
        name=name if found is None else found.get("name") or name,
        instance_id=instance_id,
    )


def tell_submitted(
    session: Session, made: Sequence[Submitted], timeout_s: float | None, *, is_awaited: bool
) -> None:
    rows: list[Record] = [msgspec.to_builtins(one) for one in made]
    ids = [one.task_id for one in made if one.task_id is not None]
    if len(ids) < len(made):
        typer.echo(tell("no task found"), err=True)
    if not is_awaited:
        session.output.rows(rows, COLUMNS)
        return
    for one in made:
        typer.echo(tell("task of", id=one.task_id, name=one.name), err=True)
    if ids:
        wait_for(session, ids, Manner(timeout_s=timeout_s), made[0].instance_id)


def _newest(session: Session, instance_id: str, name: str) -> list[Record]:
    calls = session.calls
    if calls.client.is_backroom:
        return calls.search({"instance_id": instance_id, "name": name}, NEWEST)[0]
    return calls.list_tasks(instance_id, NEWEST, {})[0]
