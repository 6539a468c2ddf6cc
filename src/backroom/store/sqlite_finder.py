"""TaskFinder on SQLite: bounded reads on the caller's thread."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import Any

import apsw
import msgspec

from backroom.domain.filter import Found, Position, TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp, stamp_not_before
from backroom.domain.task import Receipt, State, Task
from backroom.ports import Load, Place, Tally
from backroom.store import rows
from backroom.store.connection import reading
from backroom.store.queries import load
from backroom.store.rows import optional_moment
from backroom.store.writer import Writer

MOST_LOOKED_AT = 5_000  # rows of one page of a search: some milliseconds
AFTER_ALL = Position("~", 2**62)  # behind any moment

_SQL = load("finder")
_TASKS = load("tasks")
_OPEN = frozenset({State.WAITING, State.RUNNING})
_UNWELL = frozenset({State.FAILED, State.CANCELLED})


class SqliteTaskFinder:
    def __init__(self, reader: apsw.Connection, writer: Writer) -> None:
        self._reader = reader
        self._read = reading(reader)
        self._writer = writer

    async def search(self, wanted: TaskSearch, after: Position | None, limit: int) -> Found:
        bounds = _bounds(wanted, after)
        range_of = _range_of(wanted)
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
        taken = defaultdict(list)
        for step, started_at, ended_at in self._read(_SQL.recent_steps, (name,)):
            spent = datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)
            taken[step].append(spent.total_seconds())
        return {step: median(spent_s) for step, spent_s in taken.items()}

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


def _range_of(wanted: TaskSearch) -> str:
    """The narrowest index that holds all that is wanted."""
    if wanted.instance_id is not None:
        return str(_SQL.of_instance)
    if wanted.states and wanted.states <= _OPEN:
        return str(_SQL.of_project_open)
    if wanted.states and wanted.states <= _UNWELL:
        return str(_SQL.of_project_unwell)
    return str(_SQL.of_project)


def _bounds(wanted: TaskSearch, after: Position | None) -> dict[str, Any]:
    start = after or AFTER_ALL
    at, key = start.created_at, start.key
    if wanted.created_to is not None:
        at, key = min((at, key), (stamp(wanted.created_to), 2**62))
    created_from = wanted.created_from
    return {
        "project_id": wanted.project_id,
        "instance_id": wanted.instance_id,
        "kinds": _set(wanted.kinds),
        "states": _set(wanted.states),
        "names": _set(wanted.names),
        "user": wanted.user,
        "text": wanted.text,
        "created_from": "" if created_from is None else stamp_not_before(created_from),
        "at": at,
        "key": key,
        "most": MOST_LOOKED_AT,
    }


def _set(words: frozenset[Any]) -> str | None:
    return msgspec.json.encode(sorted(words)).decode() if words else None
