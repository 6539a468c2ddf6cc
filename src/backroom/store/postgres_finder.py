"""TaskFinder on PostgreSQL: bounded reads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backroom.domain.filter import Found, Position, TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.domain.task import Receipt, State, Task
from backroom.ports import Load, Place, Tally
from backroom.store import rows
from backroom.store.postgres_connection import SNAPSHOT, Link, Postgres, transaction
from backroom.store.postgres_rows import escaped, optional_escaped, restored
from backroom.store.queries import load
from backroom.store.rows import optional_moment
from backroom.store.searching import MOST_LOOKED_AT, bounds_of, medians_s, range_name

_SQL = load("postgres/finder")


class PostgresTaskFinder:
    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def search(self, wanted: TaskSearch, after: Position | None, limit: int) -> Found:
        bounds = search_bounds(wanted, after, MOST_LOOKED_AT)
        range_of = getattr(_SQL, range_name(wanted))
        search = _SQL.search.replace("{range}", range_of)
        found = await self._postgres.fetch(search, *bounds, *search_conditions(wanted), limit)
        tasks = [rows.task(restored(row)) for row in found]
        if len(found) == limit:
            return Found(tasks, Position(found[-1][9], found[-1][30]))
        last = await self._postgres.first(_SQL.last_looked_at.replace("{range}", range_of), *bounds)
        return Found(tasks, None if last is None else Position(*last))

    async def place(self, task: Task) -> Place:
        async def read(link: Link) -> Place:
            async with transaction(link, SNAPSHOT):
                holder = await link.fetchrow(_SQL.holder, task.lane)
                ahead = await link.fetch(_SQL.ahead, task.lane, task.id)
                lane = await link.fetchrow(_SQL.lane, task.lane)
            return Place(
                None if holder is None else rows.task(restored(holder)),
                tuple(row[0] for row in ahead),
                None if lane is None else optional_moment(lane[0]),
            )

        return await self._postgres.run(read)

    async def durations(self, name: str) -> Mapping[str, float]:
        return medians_s(await self._postgres.fetch(_SQL.recent_steps, name))

    async def load(self) -> Load:
        async def read(link: Link) -> Load:
            async with transaction(link, SNAPSHOT):
                tallies = await link.fetch(_SQL.tallies)
                lanes = await link.fetchrow(_SQL.lane_load)
                deepest = await link.fetchval(_SQL.deepest_lane)
                claim = await link.fetchval(_SQL.oldest_claim)
                beat = await link.fetchval(_SQL.oldest_beat)
            return Load(
                tuple(Tally(State(row[0]), row[1], row[2]) for row in tallies),
                lanes[0],
                deepest,
                *map(optional_moment, (claim, beat, lanes[1])),
            )

        return await self._postgres.run(read)

    async def ended(self, before: datetime, limit: int) -> list[Task]:
        found = await self._postgres.fetch(_SQL.ended, stamp(before), limit)
        return [rows.task(restored(row)) for row in found]

    async def surplus(self, most: int, limit: int) -> list[Task]:
        found: list[Task] = []
        for stream_id, surplus in await self._postgres.fetch(_SQL.crowded_streams, most):
            some = await self._postgres.fetch(
                _SQL.oldest_ended, stream_id, min(surplus, limit - len(found))
            )
            found += (rows.task(restored(row)) for row in some)
            if len(found) >= limit:
                break
        return found

    async def receipt(self, project_id: ProjectId, token: str, now: datetime) -> Receipt | None:
        row = await self._postgres.first(_SQL.receipt, project_id, escaped(token), stamp(now))
        return None if row is None else rows.receipt(restored(row))

    async def forget_receipts(self, now: datetime) -> None:
        await self._postgres.change(_SQL.drop_old_receipts, stamp(now))


def search_bounds(wanted: TaskSearch, after: Position | None, most: int) -> tuple[Any, ...]:
    bounds = bounds_of(wanted, after)
    return (
        escaped(wanted.instance_id or wanted.project_id),
        escaped(bounds.at),
        bounds.key,
        bounds.created_from,
        most,
    )


def search_conditions(wanted: TaskSearch) -> tuple[Any, ...]:
    return (
        wanted.project_id,
        word_set(wanted.kinds),
        word_set(wanted.states),
        word_set(wanted.names),
        optional_escaped(wanted.user),
        optional_escaped(wanted.text),
    )


def word_set(words: frozenset[Any]) -> list[str] | None:
    return [escaped(str(word)) for word in sorted(words)] if words else None
