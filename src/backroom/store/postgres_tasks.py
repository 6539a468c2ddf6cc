"""TaskStore on PostgreSQL: what is locked where, docs/adr/0011."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import asyncpg

from backroom.domain import lifecycle
from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import Page, TaskFilter, TaskPage
from backroom.domain.ids import TaskId, WorkerId
from backroom.domain.stamps import stamp, stamp_not_before
from backroom.domain.task import Change, Task, TaskRecord
from backroom.ports import History
from backroom.store import rows
from backroom.store.batches import Batches
from backroom.store.ordering import Stream
from backroom.store.postgres_connection import (
    SNAPSHOT,
    Link,
    Postgres,
    transaction,
    within,
)
from backroom.store.postgres_ordering import DenseKeys, PostgresCountedKeys
from backroom.store.postgres_rows import changes_json, newcomer_of, restored
from backroom.store.postgres_writer import REFUSED, PostgresWriter, piece_of, put
from backroom.store.queries import load

MOST_RECORDS = 500  # read by one statement

_SQL = load("postgres/tasks")


class PostgresTaskStore:
    """`on_written` is called after each commit, `on_ready` if a lane may be ready by it.

    `on_new` is called instead where that is by a task that came alone and is next: a claim that is
    made by then takes it without looking.

    `beats` is a connection on which no other work is before a beat: who is late with it is taken
    for dead.
    """

    def __init__(
        self,
        postgres: Postgres,
        beats: Postgres,
        on_ready: Callable[[], None],
        on_written: Callable[[], None],
        on_new: Callable[[], None] | None = None,
    ) -> None:
        self._postgres = postgres
        self._beats = beats
        self._writer = PostgresWriter(postgres, self.told, on_written)
        self._on_ready = on_ready
        self._on_new = on_new or on_ready
        self._newcomer: Task | None = None  # while `on_new` is called
        self._on_written = on_written
        self._records: Batches[TaskId, TaskRecord | None] = Batches(self._read, MOST_RECORDS)
        self._tasks: Batches[TaskId, Task | None] = Batches(self._read_tasks, MOST_RECORDS)
        self._doubtful: set[str] = set()  # connections on which a claim may still be on its way

    def told(self, notice: str) -> None:
        """A lane may be ready; of a task that came alone and is next, what a claim is made of."""
        self._newcomer = newcomer_of(notice)
        if self._newcomer is None:
            self._on_ready()
            return
        try:
            self._on_new()
        finally:
            self._newcomer = None

    async def write(self, *changes: Change) -> None:
        await self._writer.write(changes)

    async def get(self, task_id: TaskId) -> Task | None:
        async with within():
            return await self._tasks.ask(task_id)

    async def _read_tasks(self, task_ids: list[TaskId]) -> list[Task | None]:
        found = await self._postgres.fetch(_SQL.tasks, list(set(task_ids)))
        tasks = {row[0]: rows.task(restored(row)) for row in found}
        return [tasks.get(task_id) for task_id in task_ids]

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        async with within():
            return await self._records.ask(task_id)

    async def _read(self, task_ids: list[TaskId]) -> list[TaskRecord | None]:
        found = await self._postgres.fetch(_SQL.records, list(set(task_ids)))
        records = {row[0]: TaskRecord(*restored(row)) for row in found}
        return [records.get(task_id) for task_id in task_ids]

    async def current(self, lane: str) -> TaskRecord | None:
        row = await self._postgres.first(_SQL.current, lane)
        return None if row is None else TaskRecord(*restored(row))

    async def find(self, wanted: TaskFilter, page: Page) -> TaskPage:
        return await self._postgres.run(lambda link: self._find(link, wanted, page))

    async def _find(self, link: Link, wanted: TaskFilter, page: Page) -> TaskPage:
        stream = await _stream(link, wanted)
        if stream is None:
            return TaskPage([], 0)
        if DenseKeys.fit(stream):
            return await _find_in(link, stream, DenseKeys(stream), (wanted, page))
        async with transaction(link, SNAPSHOT):
            stream = await _stream(link, wanted) or stream
            keys = PostgresCountedKeys(link, stream)
            return await _find_in(link, stream, keys, (wanted, page))

    async def history(self, task_id: TaskId) -> History:
        async def read(link: Link) -> History:
            async with transaction(link, SNAPSHOT):
                return History(
                    tuple(rows.step(row) for row in await link.fetch(_SQL.steps, task_id)),
                    tuple(
                        rows.attempt(restored(row))
                        for row in await link.fetch(_SQL.attempts, task_id)
                    ),
                    tuple(
                        rows.event(restored(row)) for row in await link.fetch(_SQL.events, task_id)
                    ),
                )

        return await self._postgres.run(read)

    def claim(
        self, worker_id: WorkerId, limit: int, now: datetime, spare: int = 0
    ) -> Awaitable[list[Task]]:
        newcomer, self._newcomer = self._newcomer, None
        if limit + spare <= 0:
            return _nothing()
        if newcomer is not None:
            return self._claim_unseen(worker_id, newcomer, now)
        return self._claim_seen(worker_id, limit, now, spare)

    async def _claim_unseen(self, worker_id: WorkerId, task: Task, now: datetime) -> list[Task]:
        claim = changes_json([lifecycle.claim(task, worker_id, now)])

        async def take(link: Link) -> list[Task]:
            with self._in_doubt(link):
                try:
                    found = await link.fetch(_SQL.claim_unseen, worker_id, stamp(now), claim)
                except asyncpg.PostgresError as error:
                    if error.sqlstate != REFUSED:
                        raise
                    return []
                return [rows.task(restored(row)) for row in found]

        with self._writer.held():
            claimed = await self._postgres.run(take)
        return self._noted(claimed)

    async def _claim_seen(
        self, worker_id: WorkerId, limit: int, now: datetime, spare: int
    ) -> list[Task]:
        async def take(link: Link) -> list[Task]:
            found = await link.fetch(_SQL.ready_heads, stamp(now), limit + spare)
            ready = [
                rows.task(restored(row))
                for place, row in enumerate(found)
                if place < limit or row["is_new"]
            ]
            if not ready:
                return []
            with self._in_doubt(link):
                claimed = await _claimed_if_alone(link, worker_id, ready, now)
                if claimed is None:
                    claimed = await _claimed_beside_others(link, worker_id, ready, limit, now)
                return claimed

        return self._noted(await self._postgres.run(take))

    def _noted(self, claimed: list[Task]) -> list[Task]:
        if claimed:
            self._on_written()
        return claimed

    @contextmanager
    def _in_doubt(self, link: Link) -> Iterator[None]:
        """Whatever is claimed within: without an answer it may yet be committed."""
        self._doubtful.add(link.name)
        try:
            yield
        except asyncpg.PostgresError:
            if not link.is_closed():  # the server itself said no
                self._doubtful.discard(link.name)
            raise
        self._doubtful.discard(link.name)

    async def next_due(self) -> datetime | None:
        row = await self._postgres.first(_SQL.next_ready)
        return None if row is None else datetime.fromisoformat(row[0])

    async def beat(self, worker_id: WorkerId, now: datetime) -> None:
        await self._beats.change(_SQL.beat, worker_id, stamp(now))

    async def dead_workers(self, beaten_before: datetime) -> list[WorkerId]:
        found = await self._beats.fetch(_SQL.dead_workers, stamp(beaten_before))
        return [WorkerId(row[0]) for row in found]

    async def held(self, worker_id: WorkerId) -> list[Task]:
        await self._no_claim_on_its_way()
        found = await self._postgres.fetch(_SQL.held, worker_id)
        return [rows.task(restored(row)) for row in found]

    async def _no_claim_on_its_way(self) -> None:
        """A claim given up may yet be committed; who asks what is held must not miss it."""
        if not self._doubtful:
            return
        asked = set(self._doubtful)
        if await self._postgres.first(_SQL.still_there, list(asked)) is not None:
            raise StoreUnavailable("a claim without an answer is still on its way")
        self._doubtful -= asked

    async def hurry(self, now: datetime) -> None:
        async def both(link: Link) -> None:
            async with transaction(link):
                await link.execute(_SQL.hurry, stamp(now))
                await link.execute(_SQL.hurry_tasks, stamp(now))

        await self._postgres.run(both)
        self._on_ready()


async def _nothing() -> list[Task]:
    return []


async def _claimed_if_alone(
    link: Link, worker_id: WorkerId, ready: Sequence[Task], now: datetime
) -> list[Task] | None:
    """These that look ready, claimed; None where somebody else is at one of them, too."""
    changes = [lifecycle.claim(task, worker_id, now) for task in ready]
    try:
        row = await link.fetchrow(
            _SQL.claim,
            worker_id,
            stamp(now),
            [changes_json([change]) for change in changes],
            [change.task.lane for change in changes],
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate != REFUSED:
            raise
        return None
    return None if row["refusals"] is None else [change.task for change in changes]


async def _claimed_beside_others(
    link: Link, worker_id: WorkerId, ready: Sequence[Task], limit: int, now: datetime
) -> list[Task]:
    if limit > 0:
        async with transaction(link):
            return await _claimed(link, worker_id, limit, now)
    claimed: list[Task] = []
    for head in ready:  # of spare places there are few
        claimed += await _claimed_if_alone(link, worker_id, [head], now) or []
    return claimed


async def _claimed(link: Link, worker_id: WorkerId, limit: int, now: datetime) -> list[Task]:
    """Within a transaction, which keeps the lanes locked until the claims are written."""
    heads = await link.fetch(_SQL.take, worker_id, stamp(now), limit)
    if not heads:
        return []
    changes = [lifecycle.claim(rows.task(restored(head)), worker_id, now) for head in heads]
    outcomes = await put(link, [piece_of([change]) for change in changes], is_apart=True)
    refused = outcomes[0] if isinstance(outcomes, tuple) else []
    return [
        change.task for change, problem in zip(changes, refused, strict=True) if problem is None
    ]


async def _stream(link: Link, wanted: TaskFilter) -> Stream | None:
    row = await link.fetchrow(_SQL.stream, wanted.instance_id, wanted.kind.value)
    return None if row is None or row[1] != wanted.project_id else Stream(row[0], *row[2:])


async def _find_in(
    link: Link,
    stream: Stream,
    keys: DenseKeys | PostgresCountedKeys,
    asked: tuple[TaskFilter, Page],
) -> TaskPage:
    wanted, page = asked
    lowest, highest = await _range(link, stream, wanted)
    if lowest > highest:
        return TaskPage([], 0)
    upto = await keys.rank(highest + 1)
    total = upto - await keys.rank(lowest)
    if page.skip >= total:
        return TaskPage([], total)
    start = await keys.select(upto - 1 - page.skip) if page.skip else highest
    found: Sequence[Any] = await link.fetch(_SQL.page, lowest, start, page.limit)
    same = (wanted.kind.value, wanted.project_id, wanted.instance_id)
    return TaskPage([TaskRecord(*(restored(row) + same)) for row in found], total)


async def _range(link: Link, stream: Stream, wanted: TaskFilter) -> tuple[int, int]:
    """The lowest and highest key that the times allow; the first above the second if none."""
    lowest, highest = stream.first, stream.last
    if wanted.created_from is not None:
        bound = stamp_not_before(wanted.created_from)
        first = await link.fetchval(_SQL.first_from, stream.id, bound)
        lowest = highest + 1 if first is None else first
    if wanted.created_to is not None:
        last = await link.fetchval(_SQL.last_to, stream.id, stamp(wanted.created_to))
        highest = lowest - 1 if last is None else last
    return lowest, highest
