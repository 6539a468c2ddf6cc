"""Rows of figures to our types, the same on either database."""

from datetime import UTC, datetime
from typing import Any, Final

from backroom.domain.ids import InstanceId, TaskId, WorkerId
from backroom.domain.task import State
from backroom.ports import OutcomeTally, Queue, WorkerLoad
from backroom.store.rows import optional_moment

MOST_COUNTED_BY_INDEX: Final = 50_000  # rows of an index: some milliseconds
MOST_SPANS: Final = 200


def outcome_tally(row: Any) -> OutcomeTally:
    hour = datetime.strptime(row[0], "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return OutcomeTally(hour, State(row[1]), row[2])


def spent_s(started_at: str, ended_at: str) -> float:
    return (datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)).total_seconds()


def queue(row: Any) -> Queue:
    return Queue(
        instance_id=InstanceId(row[0]),
        open_count=row[1],
        head_id=TaskId(row[2]),
        head_name=row[3],
        head_state=State(row[4]),
        since=datetime.fromisoformat(row[5]),
    )


def worker_load(row: Any) -> WorkerLoad:
    return WorkerLoad(
        id=WorkerId(row[0]),
        beat_at=datetime.fromisoformat(row[1]),
        running_count=row[2],
        oldest_claim_at=optional_moment(row[3]),
    )
