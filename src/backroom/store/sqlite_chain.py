"""Seals events that an earlier schema kept unsealed."""

from typing import Any

import apsw

from backroom.domain.chain import GENESIS, digest, link
from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.store import rows
from backroom.store.queries import load

_SQL = load("tasks")


def chain_events(connection: apsw.Connection) -> None:
    """Give each its place and hash, in the order written, and each project its chain's head."""
    heads: dict[str, tuple[int, bytes]] = {}
    unsealed: Any = connection.execute(_SQL.unsealed_events).fetchall()
    for event_id, project_id, instance_id, task_id, *event in unsealed:
        sequence, previous = heads.get(project_id, (0, GENESIS))
        own = digest(
            ProjectId(project_id),
            InstanceId(instance_id),
            TaskId(task_id),
            rows.event(tuple(event)),
        )
        heads[project_id] = sequence + 1, link(previous, own)
        connection.execute(_SQL.seal_event, (*heads[project_id], event_id))
    counted: Any = connection.execute(_SQL.open_tasks).fetchall()
    is_open = dict(counted)
    for project_id, (sequence, sealed) in heads.items():
        connection.execute(
            _SQL.put_chain, (project_id, sequence, sealed, is_open.get(project_id, 0))
        )
