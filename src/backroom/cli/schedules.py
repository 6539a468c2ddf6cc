"""Scheduled tasks by the official calls."""

from collections.abc import Sequence
from typing import Final

import typer

from backroom.cli.durations import moment_of
from backroom.cli.output import Column, warn
from backroom.cli.sentences import tell
from backroom.cli.session import Session

TIME_FORM: Final = "%Y%m%d%H%M%S"  # [D] UTC
COLUMNS: Final = (
    Column("TASK", "id"),
    Column("NAME", "name"),
    Column("STATUS", "status"),
    Column("AT", "schedule_at"),
    Column("USER", "user_name"),
    Column("CREATED", "created_at"),
    Column("PARAMS", "params", is_wide=True),
)


def list_scheduled(session: Session, instance: str | None, most: int | None) -> None:
    found, total = session.calls.list_scheduled(session.instance(instance), most)
    session.output.rows(found, COLUMNS)
    if session.output.is_for_programs:
        return
    if len(found) < total:
        warn(tell("more", shown=len(found), total=total))
    elif not found:
        warn(tell("none"))


def cancel_scheduled(session: Session, instance: str | None, task_ids: Sequence[str]) -> None:
    for task_id in dict.fromkeys(task_ids):
        instance_id = _instance_of(session, task_id, instance)
        session.calls.update_scheduled(instance_id, task_id, {"status": "CANCELLED"})
        typer.echo(tell("cancelled now", id=task_id))


def move_scheduled(session: Session, instance: str | None, task_id: str, to: str) -> None:
    moment = moment_of(to, "TIME")
    instance_id = _instance_of(session, task_id, instance)
    session.calls.update_scheduled(instance_id, task_id, {"execute_at": moment.strftime(TIME_FORM)})
    typer.echo(tell("moved", id=task_id, at=moment.strftime("%Y-%m-%dT%H:%M:%SZ")))


def _instance_of(session: Session, task_id: str, instance: str | None) -> str:
    """Said, else as the native API has it; else the one that the environment names."""
    if instance is None and session.calls.client.is_backroom:
        return str(session.calls.full_task(task_id)["instance_id"])
    return session.instance(instance)
