"""Topics: listed, created and deleted by the official calls."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from backroom.cli.exits import REFUSED
from backroom.cli.output import Column, warn
from backroom.cli.sentences import tell
from backroom.cli.session import Session

LIST_COLUMNS: Final = (
    Column("TOPIC", "name"),
    Column("PARTITIONS", "partition"),
    Column("REPLICAS", "replication"),
    Column("RETENTION H", "retention_time"),
    Column("SYNC REPLICATION", "sync_replication"),
    Column("SYNC FLUSH", "sync_message_flush", is_wide=True),
    Column("DESCRIPTION", "topic_desc", is_wide=True),
)
DELETED_COLUMNS: Final = (
    Column("TOPIC", "id"),
    Column("DELETED", "success"),
    Column("WHY NOT", "error_msg"),
)


def list_topics(session: Session, instance: str | None) -> None:
    found = session.calls.list_topics(session.instance(instance))
    session.output.rows(found, LIST_COLUMNS)
    if not found and not session.output.is_for_programs:
        warn(tell("none"))


def create_topic(session: Session, instance: str | None, content: Mapping[str, Any]) -> None:
    created = session.calls.create_topic(session.instance(instance), content)
    session.output.rows([created], [Column("TOPIC", "name")])


def delete_topics(
    session: Session, instance: str | None, names: Sequence[str], *, is_sure: bool
) -> None:
    instance_id = session.instance(instance)
    wanted = list(dict.fromkeys(names))
    what = tell("confirm topics", names=", ".join(wanted), instance=instance or instance_id)
    session.confirm(what, is_sure=is_sure)
    results = session.calls.delete_topics(instance_id, wanted)
    session.output.rows(results, DELETED_COLUMNS)
    if not all(result["success"] for result in results):
        raise typer.Exit(REFUSED)
