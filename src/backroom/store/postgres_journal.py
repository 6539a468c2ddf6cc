"""Journal on PostgreSQL. Its bell is rung by the process's own writes and by NOTIFY."""

from collections.abc import Mapping

from backroom.domain.chain import GENESIS, ChainHead, SealedEvent
from backroom.domain.filter import EventFilter
from backroom.domain.ids import ProjectId
from backroom.domain.task import State
from backroom.ports import Clock, Tally
from backroom.store import rows
from backroom.store.bell import Bell
from backroom.store.postgres_connection import Postgres
from backroom.store.postgres_rows import restored
from backroom.store.queries import load

_SQL = load("postgres/journal")


class PostgresJournal:
    def __init__(self, postgres: Postgres, clock: Clock) -> None:
        self._postgres = postgres
        self._bell = Bell(clock)
        self.ring = self._bell.ring
        self.wait = self._bell.wait

    async def events(self, wanted: EventFilter, limit: int) -> list[SealedEvent]:
        project_id, after = wanted.project_id, wanted.after
        if wanted.task_id is not None:
            found = await self._postgres.fetch(
                _SQL.of_task, project_id, wanted.task_id, after, limit
            )
        elif wanted.instance_id is not None:
            found = await self._postgres.fetch(
                _SQL.of_instance, project_id, wanted.instance_id, after, limit
            )
        else:
            found = await self._postgres.fetch(_SQL.of_project, project_id, after, limit)
        return [rows.sealed_event(restored(row)) for row in found]

    async def head(self, project_id: ProjectId) -> ChainHead:
        row = await self._postgres.first(_SQL.head, project_id)
        return ChainHead(0, GENESIS) if row is None else ChainHead(*row)

    async def heads(self) -> Mapping[ProjectId, int]:
        return {row[0]: row[1] for row in await self._postgres.fetch(_SQL.heads)}

    async def ends(self, project_id: ProjectId, after: int, until: int) -> list[Tally]:
        found = await self._postgres.fetch(_SQL.ends, project_id, after, until)
        return [Tally(State(row[0]), row[1], row[2]) for row in map(restored, found)]

    @property
    def rung(self) -> int:
        return self._bell.rung
