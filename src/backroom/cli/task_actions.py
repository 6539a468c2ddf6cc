"""Cancels, retries and deletes tasks, one call for each."""

from collections.abc import Sequence

import typer

from backroom.cli.calls import Record
from backroom.cli.durations import seconds_of
from backroom.cli.exits import CANCELLED, SUCCEEDED, WrongInstance
from backroom.cli.output import Column
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.waiting import Manner, wait_for

CANCEL_COLUMNS = (
    Column("TASK", "task_id"),
    Column("STATE", "state"),
    Column("ASKED", "cancel_asked_at"),
)
RETRY_COLUMNS = (Column("TASK", "task_id"), Column("RETRIES", "parent_id"))


def cancel_tasks(
    session: Session, task_ids: Sequence[str], *, is_awaited: bool, timeout: str | None
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    done = [session.calls.cancel(task_id) for task_id in dict.fromkeys(task_ids)]
    if not is_awaited:
        session.output.rows(done, CANCEL_COLUMNS)
        return
    try:
        wait_for(session, task_ids, Manner(timeout_s=timeout_s))
    except typer.Exit as outcome:
        if outcome.exit_code != CANCELLED:
            raise
        raise typer.Exit(SUCCEEDED) from None  # that is what was asked for


def retry_tasks(
    session: Session,
    task_ids: Sequence[str],
    *,
    is_from_step: bool,
    is_awaited: bool,
    timeout: str | None,
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    done: list[Record] = [
        session.calls.retry(task_id, from_step=is_from_step) | {"parent_id": task_id}
        for task_id in dict.fromkeys(task_ids)
    ]
    if not is_awaited:
        session.output.rows(done, RETRY_COLUMNS)
        return
    for submitted in done:
        typer.echo(tell("task", id=submitted["task_id"]), err=True)
    wait_for(session, [submitted["task_id"] for submitted in done], Manner(timeout_s=timeout_s))


def delete_tasks(
    session: Session, task_ids: Sequence[str], instance: str | None, *, is_sure: bool
) -> None:
    wanted = list(dict.fromkeys(task_ids))
    session.confirm(tell("confirm records", count=len(wanted)), is_sure=is_sure)
    for task_id in wanted:
        instance_id, is_scheduled = _whereabouts(session, task_id, instance)
        session.calls.delete_task(instance_id, task_id, is_scheduled=is_scheduled)
        if not session.output.is_for_programs:
            typer.echo(tell("deleted", id=task_id))
    if session.output.is_for_programs:
        session.output.document([{"task_id": task_id, "deleted": True} for task_id in wanted])


def _whereabouts(session: Session, task_id: str, instance: str | None) -> tuple[str, bool]:
    if session.calls.client.is_backroom:
        record = session.calls.full_task(task_id)
        if instance is not None and session.instance(instance) != record["instance_id"]:
            raise WrongInstance(tell("not its instance", id=task_id, instance=instance))
        return record["instance_id"], record["kind"] == "scheduled"
    return session.instance(instance), False
