"""Reassignments: from options or Kafka's own file to the official body."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from backroom.cli.calls import Record
from backroom.cli.durations import in_words, moment_of, seconds_of
from backroom.cli.output import Column
from backroom.cli.sentences import tell
from backroom.cli.session import Session
from backroom.cli.shapes import Estimated, shaped
from backroom.cli.submitted import Submitted, tell_submitted
from backroom.wire.answers import submitted_task_id

NO_THROTTLE: Final = -1  # [D]
NAME: Final = "kafkaReassignment"
PLAN_COLUMNS: Final = (
    Column("TOPIC", "topic"),
    Column("PARTITION", "partition"),
    Column("LEADER", "leader"),
    Column("REPLICAS", lambda row: ",".join(map(str, row["replicas"]))),
)


class Move(NamedTuple):
    topics: tuple[str, ...]
    brokers: str | None
    replicas: int | None
    throttle_mb_per_s: int | None
    file: Path | None


def plan_reassignment(session: Session, instance: str | None, move: Move) -> None:
    content = reassign_body(move) | {"time_estimate": True}
    instance_id = session.instance(instance)
    answer = session.calls.reassign(instance_id, content)
    estimate_s = shaped(answer.json, Estimated)["reassignment_time"]
    partitions = [
        row
        for asked in content["reassignments"]
        for row in _partitions(
            asked["topic"], session.calls.show_topic(instance_id, asked["topic"])
        )
    ]
    if session.output.is_for_programs:
        session.output.document({"estimate_s": estimate_s, "partitions": partitions})
        return
    session.output.rows(partitions, PLAN_COLUMNS)
    typer.echo(tell("estimate", left=in_words(estimate_s)))


def start_reassignment(
    session: Session,
    instance: str | None,
    move: Move,
    at: str | None,
    *,
    is_awaited: bool,
    timeout: str | None,
) -> None:
    timeout_s = seconds_of(timeout, "--timeout")
    content = reassign_body(move)
    if at is not None:
        moment = moment_of(at, "--at")
        if moment <= datetime.now(UTC):
            raise typer.BadParameter("is past", param_hint="--at")
        content |= {"is_schedule": True, "execute_at": int(moment.timestamp() * 1000)}
    instance_id = session.instance(instance)
    body = session.calls.reassign(instance_id, content).json
    made = Submitted(task_id=submitted_task_id(body), name=NAME, instance_id=instance_id)
    tell_submitted(session, [made], timeout_s, is_awaited=is_awaited)


def reassign_body(move: Move) -> dict[str, Any]:
    """Raises typer.BadParameter."""
    if (move.file is None) is not bool(move.topics):
        raise typer.BadParameter("say one of them", param_hint="--topic, --file")
    asked = _of_options(move) if move.file is None else _of_file(move.file)
    return {"reassignments": asked, "throttle": move.throttle_mb_per_s or NO_THROTTLE}


def _of_options(move: Move) -> list[Record]:
    if move.brokers is None:
        raise typer.BadParameter("is missing", param_hint="--brokers")
    try:
        brokers = [int(number) for number in move.brokers.split(",")]
    except ValueError:
        raise typer.BadParameter("must be ids like 0,1,2", param_hint="--brokers") from None
    shared: Record = {"brokers": brokers}
    if move.replicas is not None:
        shared["replication_factor"] = move.replicas
    return [{"topic": topic, **shared} for topic in dict.fromkeys(move.topics)]


def _of_file(file: Path) -> list[Record]:
    """`{"partitions": [{"topic", "partition", "replicas"}]}`, as Kafka's tool has it."""
    found: dict[str, list[Record]] = {}
    try:
        for entry in json.loads(file.read_bytes())["partitions"]:
            moved = {"partition": entry["partition"], "partition_brokers": entry["replicas"]}
            found.setdefault(entry["topic"], []).append(moved)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{file}: {error!r}", param_hint="--file") from None
    return [{"topic": topic, "assignment": moved} for topic, moved in found.items()]


def _partitions(topic: str, detail: Record) -> list[Record]:
    return [
        {
            "topic": topic,
            "partition": partition["partition"],
            "leader": partition["leader"],
            "replicas": [replica["broker"] for replica in partition["replicas"]],
        }
        for partition in detail["partitions"]
    ]
