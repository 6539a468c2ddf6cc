"""Journal on SQLite. Other processes' writes are seen by looking now and then."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import apsw

from backroom.domain.chain import GENESIS, ChainHead, SealedEvent
from backroom.domain.filter import EventFilter
from backroom.domain.ids import ProjectId
from backroom.domain.task import State
from backroom.ports import Clock, Tally
from backroom.store import rows
from backroom.store.bell import Bell
from backroom.store.connection import reading
from backroom.store.queries import load

LOOK = timedelta(seconds=1)  # how long an event of another process may go unseen

_SQL = load("journal")


class SqliteJournal:
    def __init__(self, reader: apsw.Connection, clock: Clock) -> None:
        self._read = reading(reader)
        self._clock = clock
        self._version = 0
        self._bell = Bell(clock)
        self.ring = self._bell.ring

    async def events(self, wanted: EventFilter, limit: int) -> list[SealedEvent]:
        project_id, after = wanted.project_id, wanted.after
        if wanted.task_id is not None:
            found = self._read(_SQL.of_task, (project_id, wanted.task_id, after, limit))
        elif wanted.instance_id is not None:
            found = self._read(_SQL.of_instance, (project_id, wanted.instance_id, after, limit))
        else:
            found = self._read(_SQL.of_project, (project_id, after, limit))
        return [rows.sealed_event(row) for row in found]

    async def head(self, project_id: ProjectId) -> ChainHead:
        row = self._read(_SQL.head, (project_id,)).fetchone()
        return ChainHead(0, GENESIS) if row is None else ChainHead(*row)

    async def heads(self) -> Mapping[ProjectId, int]:
        return {row[0]: row[1] for row in self._read(_SQL.heads)}

    async def ends(self, project_id: ProjectId, after: int, until: int) -> list[Tally]:
        found = self._read(_SQL.ends, (project_id, after, until))
        return [Tally(State(row[0]), row[1], row[2]) for row in found]

    @property
    def rung(self) -> int:
        return self._bell.rung

    async def wait(self, rung: int, until: datetime) -> None:
        while self.rung == rung and self._clock.now() < until:
            await self._bell.wait(rung, min(until, self._clock.now() + LOOK))
            if self.rung == rung:
                self._look()

    def _look(self) -> None:
        version: Any = self._read("PRAGMA data_version").fetchone()
        if version[0] != self._version:
            self._version = version[0]
            self.ring()
