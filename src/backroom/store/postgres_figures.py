"""TaskFigures on PostgreSQL: bounded reads."""

from datetime import datetime

from backroom.domain.filter import Position, TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.ports import Counted, OutcomeTally, Queue, WorkerLoad
from backroom.store.figures import (
    MOST_COUNTED_BY_INDEX,
    MOST_SPANS,
    outcome_tally,
    queue,
    spent_s,
    worker_load,
)
from backroom.store.postgres_connection import Postgres
from backroom.store.postgres_finder import search_bounds, search_conditions, word_set
from backroom.store.postgres_rows import escaped, optional_escaped, restored
from backroom.store.queries import load
from backroom.store.searching import (
    MOST_LOOKED_AT,
    is_whole_range,
    is_whole_streams,
    range_name,
)

_SQL = load("postgres/figures")
_FINDER = load("postgres/finder")


class PostgresTaskFigures:
    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def count(self, wanted: TaskSearch, after: Position | None) -> Counted:
        if after is None and is_whole_streams(wanted):
            row = await self._postgres.first(
                _SQL.live,
                wanted.project_id,
                optional_escaped(wanted.instance_id),
                word_set(wanted.kinds),
            )
            return Counted(0 if row is None else row[0], None)
        by_index = is_whole_range(wanted)
        most = MOST_COUNTED_BY_INDEX if by_index else MOST_LOOKED_AT
        bounds = search_bounds(wanted, after, most)
        range_of = getattr(_FINDER, range_name(wanted))
        conditions = () if by_index else search_conditions(wanted)
        statement = _SQL.counted_by_index if by_index else _SQL.counted
        row = await self._postgres.first(
            statement.replace("{range}", range_of), *bounds, *conditions
        )
        last = await self._postgres.first(
            _FINDER.last_looked_at.replace("{range}", range_of), *bounds
        )
        return Counted(0 if row is None else row[0], None if last is None else Position(*last))

    async def outcomes(
        self, project_id: ProjectId, since: datetime, until: datetime
    ) -> list[OutcomeTally]:
        found = await self._postgres.fetch(_SQL.outcomes, stamp(since), stamp(until), project_id)
        return [outcome_tally(row) for row in found]

    async def spans_s(self, project_id: ProjectId, name: str) -> list[float]:
        found = await self._postgres.fetch(_SQL.spans, escaped(name), MOST_SPANS, project_id)
        return [spent_s(*row) for row in found]

    async def queues(self, project_id: ProjectId, limit: int) -> list[Queue]:
        found = await self._postgres.fetch(_SQL.queues, project_id, limit)
        return [queue(restored(row)) for row in found]

    async def workers(self, project_id: ProjectId, limit: int) -> list[WorkerLoad]:
        found = await self._postgres.fetch(_SQL.workers, project_id, limit)
        return [worker_load(restored(row)) for row in found]
