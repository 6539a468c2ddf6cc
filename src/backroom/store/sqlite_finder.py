"""TaskFinder on SQLite: bounded reads on the caller's thread."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import apsw
import msgspec

from backroom.domain.filter import Found, Position, TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.domain.task import Receipt, State, Task
from backroom.ports import Load, Place, Tally
from backroom.store import rows
from backroom.store.connection import reading
from backroom.store.queries import load
from backroom.store.rows import optional_moment
from backroom.store.searching import MOST_LOOKED_AT, bounds_of, medians_s, range_name
from backroom.store.writer import Writer

_SQL = load("finder")
_TASKS = load("tasks")


class SqliteTaskFinder:
    def __init__(self, reader: apsw.Connection, writer: Writer) -> None:
        self._reader = reader
        self._read = reading(reader)
        self._writer = writer

    async def search(self, wanted: TaskSearch, after: Position | None, limit: int) -> Found:
        bounds = search_bounds(wanted, after, MOST_LOOKED_AT)
        range_of = getattr(_SQL, range_name(wanted))
        search = _SQL.search.replace("{range}", range_of)
        found: Any = self._read(search, bounds | {"limit": limit}).fetchall()
        tasks = [rows.task(row) for row in found]
        if len(found) == limit:
            return Found(tasks, Position(found[-1][9], found[-1][-1]))
        last = self._read(_SQL.last_looked_at.replace("{range}", range_of), bounds).fetchone()
        return Found(tasks, None if last is None else Position(*last))

    async def place(self, task: Task) -> Place:
        with self._reader:
            holder = self._read(_SQL.holder, (task.lane,)).fetchone()
            ahead = tuple(
                row[0] for row in self._read(_SQL.ahead, {"lane": task.lane, "id": task.id})
            )
            lane = self._read(_SQL.lane, (task.lane,)).fetchone()
        return Place(
            None if holder is None else rows.task(holder),
            ahead,
            None if lane is None else optional_moment(lane[0]),
        )

    async def durations(self, name: str) -> Mapping[str, float]:
        return medians_s(self._read(_SQL.recent_steps, (name,)))

    async def load(self) -> Load:
        with self._reader:
            tallies = tuple(
                Tally(State(row[0]), row[1], row[2]) for row in self._read(_SQL.tallies)
            )
            lanes: Any = self._read(_SQL.lane_load).fetchone()
            deepest: Any = self._read(_SQL.deepest_lane).fetchone()
            claim: Any = self._read(_SQL.oldest_claim).fetchone()
            beat: Any = self._read(_SQL.oldest_beat).fetchone()
        return Load(
            tallies, lanes[0], deepest[0], *map(optional_moment, (claim[0], beat[0], lanes[1]))
        )

    async def ended(self, before: datetime, limit: int) -> list[Task]:
        return [rows.task(row) for row in self._read(_SQL.ended, (stamp(before), limit))]

    async def surplus(self, most: int, limit: int) -> list[Task]:
        found: list[Task] = []
        crowded: Any = self._read(_SQL.crowded_streams, {"most": most}).fetchall()
        for stream_id, surplus in crowded:
            wanted = {"stream": stream_id, "limit": min(surplus, limit - len(found))}
            found += (rows.task(row) for row in self._read(_SQL.oldest_ended, wanted))
            if len(found) >= limit:
                break
        return found

    async def receipt(self, project_id: ProjectId, token: str, now: datetime) -> Receipt | None:
        row = self._read(_TASKS.receipt, (project_id, token, stamp(now))).fetchone()
        return None if row is None else rows.receipt(row)

    async def forget_receipts(self, now: datetime) -> None:
        await self._writer.run(
            lambda connection: connection.execute(_TASKS.drop_old_receipts, (stamp(now),))
        )


def search_bounds(wanted: TaskSearch, after: Position | None, most: int) -> dict[str, Any]:
    return (
        msgspec.structs.asdict(bounds_of(wanted, after))
        | {"most": most}
        | search_conditions(wanted)
    )


def search_conditions(wanted: TaskSearch) -> dict[str, Any]:
    return {
        "project_id": wanted.project_id,
        "instance_id": wanted.instance_id,
        "kinds": _set(wanted.kinds),
        "states": _set(wanted.states),
        "names": _set(wanted.names),
        "user": wanted.user,
        "text": wanted.text,
    }


def _set(words: frozenset[Any]) -> str | None:
    return msgspec.json.encode(sorted(words)).decode() if words else None
