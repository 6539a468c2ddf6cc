"""TaskFigures on SQLite: bounded reads on the caller's thread."""

from datetime import datetime
from typing import Any

import apsw

from backroom.domain.filter import Position, TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.ports import Counted, OutcomeTally, Queue, WorkerLoad
from backroom.store.connection import reading
from backroom.store.figures import (
    MOST_COUNTED_BY_INDEX,
    MOST_SPANS,
    outcome_tally,
    queue,
    spent_s,
    worker_load,
)
from backroom.store.queries import load
from backroom.store.searching import (
    MOST_LOOKED_AT,
    is_whole_range,
    is_whole_streams,
    range_name,
)
from backroom.store.sqlite_finder import search_bounds, search_conditions

_SQL = load("figures")
_FINDER = load("finder")


class SqliteTaskFigures:
    def __init__(self, reader: apsw.Connection) -> None:
        self._read = reading(reader)

    async def count(self, wanted: TaskSearch, after: Position | None) -> Counted:
        if after is None and is_whole_streams(wanted):
            row: Any = self._read(_SQL.live, search_conditions(wanted)).fetchone()
            return Counted(row[0], None)
        by_index = is_whole_range(wanted)
        most = MOST_COUNTED_BY_INDEX if by_index else MOST_LOOKED_AT
        statement = _SQL.counted_by_index if by_index else _SQL.counted
        range_of = getattr(_FINDER, range_name(wanted))
        bounds = search_bounds(wanted, after, most)
        row = self._read(statement.replace("{range}", range_of), bounds).fetchone()
        last = self._read(_FINDER.last_looked_at.replace("{range}", range_of), bounds).fetchone()
        return Counted(row[0], None if last is None else Position(*last))

    async def outcomes(
        self, project_id: ProjectId, since: datetime, until: datetime
    ) -> list[OutcomeTally]:
        wanted = {"project_id": project_id, "since": stamp(since), "until": stamp(until)}
        return [outcome_tally(row) for row in self._read(_SQL.outcomes, wanted)]

    async def spans_s(self, project_id: ProjectId, name: str) -> list[float]:
        wanted = {"project_id": project_id, "name": name, "most": MOST_SPANS}
        return [spent_s(*row) for row in self._read(_SQL.spans, wanted)]

    async def queues(self, project_id: ProjectId, limit: int) -> list[Queue]:
        wanted = {"project_id": project_id, "most": limit}
        return [queue(row) for row in self._read(_SQL.queues, wanted)]

    async def workers(self, project_id: ProjectId, limit: int) -> list[WorkerLoad]:
        wanted = {"project_id": project_id, "most": limit}
        return [worker_load(row) for row in self._read(_SQL.workers, wanted)]
