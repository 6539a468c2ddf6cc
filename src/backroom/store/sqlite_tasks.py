"""TaskStore on SQLite: reads on the caller's thread, writes through the one Writer."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from itertools import repeat
from typing import Any

import apsw
import msgspec

from backroom.domain import lifecycle
from backroom.domain.chain import GENESIS, digest_of, link
from backroom.domain.errors import ClientTokenTaken, QuotaReached, StaleTask
from backroom.domain.filter import Page, TaskFilter, TaskPage
from backroom.domain.ids import TaskId, WorkerId
from backroom.domain.stamps import stamp, stamp_not_before
from backroom.domain.task import FINAL, Change, Receipt, State, Task, TaskRecord
from backroom.ports import History
from backroom.store import rows
from backroom.store.connection import reading, reading_one
from backroom.store.ordering import BASE_SHIFT, CountedKeys, Stream, count
from backroom.store.queries import load
from backroom.store.record_reader import ONE_RECORD, RecordReader
from backroom.store.rows import optional_stamp
from backroom.store.sqlite_instances import put_instance
from backroom.store.writer import Writer

_SQL = load("tasks")
_decode = msgspec.json.Decoder(list[list[Any]]).decode


class SqliteTaskStore:
    """`on_written` is called after each commit, `on_ready` if a lane may be ready by it.

    `on_new` is called when a task was given to the writer and is not written yet: a claim begins
    when it is called, and one that is made by then shares its commit.
    `is_alone`: the reader is also what writes, and the only connection there is.
    """

    def __init__(
        self,
        reader: apsw.Connection,
        writer: Writer,
        on_ready: Callable[[], None],
        on_written: Callable[[], None] = lambda: None,
        *,
        on_new: Callable[[], None] | None = None,
        is_alone: bool = False,
    ) -> None:
        self._reader = reader
        self._read = reading(reader)
        self._read_one = reading_one(reader, is_alone=is_alone)
        self._is_alone = is_alone
        self._writer = writer
        self._on_ready = on_ready
        self._on_new = on_new or on_ready
        self._on_written = on_written
        self._records = RecordReader(self._read)
        self._coming = 0  # submits under way
        self._claims = 0  # begun so far

    async def write(self, *changes: Change) -> None:
        def piece(connection: apsw.Connection) -> tuple[bool, int]:
            is_ready = any([_put_change(connection, change) for change in changes])  # noqa: C419  all of them
            return is_ready, self._claims

        is_new = any(change.task.version == 1 for change in changes)  # somebody waits
        writing = self._writer.put(piece, is_urgent=is_new)
        writing.add_done_callback(partial(self._written, is_new))
        if is_new:
            self._coming += 1
            self._on_new()
        await asyncio.shield(writing)  # whoever asked may go: what was written still wakes a worker

    def _written(self, is_new: bool, writing: asyncio.Future[tuple[bool, int]]) -> None:
        self._coming -= is_new
        if writing.cancelled() or writing.exception() is not None:
            return
        is_ready, claims = writing.result()
        self._on_written()
        if (
            is_ready and claims == self._claims
        ):  # else a later claim looks, or its worker asks next_due
            self._on_ready()

    async def get(self, task_id: TaskId) -> Task | None:
        row = self._read(_SQL.task, (task_id,)).fetchone()
        return None if row is None else rows.task(row)

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        if not self._is_alone:
            return await self._records.get(task_id)
        row = self._read_one(ONE_RECORD, (task_id,))
        return None if row is None else TaskRecord(*row)

    async def current(self, lane: str) -> TaskRecord | None:
        row = self._read_one(_SQL.current, (lane,))
        return None if row is None else TaskRecord(*row)

    async def find(self, wanted: TaskFilter, page: Page) -> TaskPage:
        same = (wanted.kind.value, wanted.project_id, wanted.instance_id)
        row: Any = self._read(_SQL.dense_page, _dense_page(wanted, page)).fetchone()
        total, columns = row
        if total is not None:
            return TaskPage(list(map(TaskRecord, *_decode(columns), *map(repeat, same))), total)
        with self._reader:  # one snapshot for the counts and the page
            total, rows = self._count_and_read(wanted, page)
        return TaskPage([TaskRecord(*(row + same)) for row in rows], total)

    def _count_and_read(self, wanted: TaskFilter, page: Page) -> tuple[int, list[Any]]:
        row = self._read(_SQL.stream, (wanted.instance_id, wanted.kind.value)).fetchone()
        if row is None or row[1] != wanted.project_id:
            return 0, []
        stream = Stream(row[0], *row[2:])
        lowest, highest = self._range(stream, wanted)
        if lowest > highest:
            return 0, []
        keys = CountedKeys(self._reader, stream)
        upto = keys.rank(highest + 1)
        total = upto - keys.rank(lowest)
        if page.skip >= total:
            return total, []
        start = keys.select(upto - 1 - page.skip) if page.skip else highest
        return total, self._read(_SQL.page, (lowest, start, page.limit)).fetchall()

    def _range(self, stream: Stream, wanted: TaskFilter) -> tuple[int, int]:
        """The lowest and highest key that the times allow; the first above the second if none."""
        lowest, highest = stream.first, stream.last
        if wanted.created_from is not None:
            bound = (stream.id, stamp_not_before(wanted.created_from))
            row: Any = self._read(_SQL.first_from, bound).fetchone()
            lowest = highest + 1 if row is None else row[0]
        if wanted.created_to is not None:
            bound = (stream.id, stamp(wanted.created_to))
            row = self._read(_SQL.last_to, bound).fetchone()
            highest = lowest - 1 if row is None else row[0]
        return lowest, highest

    async def history(self, task_id: TaskId) -> History:
        with self._reader:
            found = History(
                tuple(rows.step(row) for row in self._read(_SQL.steps, (task_id,))),
                tuple(rows.attempt(row) for row in self._read(_SQL.attempts, (task_id,))),
                tuple(rows.event(row) for row in self._read(_SQL.events, (task_id,))),
            )
        return found  # noqa: RET504  left inside the snapshot, mypy sees no return

    def claim(
        self, worker_id: WorkerId, limit: int, now: datetime, spare: int = 0
    ) -> Awaitable[list[Task]]:
        if limit + spare <= 0 or not (self._coming or self._is_any_ready(limit, now, spare)):
            return _nothing()

        def piece(connection: apsw.Connection) -> list[Task]:
            self._claims += 1
            found: Any = connection.execute(_SQL.ready_heads, (stamp(now), limit + spare))
            heads = [row for place, row in enumerate(found) if place < limit or row[-1]]
            if heads:
                connection.execute(_SQL.beat, (worker_id, stamp(now)))
            return [_claim(connection, rows.task(head), worker_id, now) for head in heads]

        claiming = self._writer.put(piece, is_urgent=self._coming > 0)
        claiming.add_done_callback(self._claimed)
        return claiming

    def _claimed(self, claiming: asyncio.Future[list[Task]]) -> None:
        if not claiming.cancelled() and claiming.exception() is None and claiming.result():
            self._on_written()

    def _is_any_ready(self, limit: int, now: datetime, spare: int) -> bool:
        has_place = limit > 0
        values = {"now": stamp(now), "most": 1 if has_place else spare, "is_any": has_place}
        return self._read(_SQL.any_ready, values).fetchone() is not None

    async def next_due(self) -> datetime | None:
        row = self._read(_SQL.next_ready).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    async def beat(self, worker_id: WorkerId, now: datetime) -> None:
        await self._writer.run(
            lambda connection: connection.execute(_SQL.beat, (worker_id, stamp(now)))
        )

    async def dead_workers(self, beaten_before: datetime) -> list[WorkerId]:
        found = self._read(_SQL.dead_workers, (stamp(beaten_before),))
        return [WorkerId(row[0]) for row in found]

    async def held(self, worker_id: WorkerId) -> list[Task]:
        return [rows.task(row) for row in self._read(_SQL.held, (worker_id,))]

    async def hurry(self, now: datetime) -> None:
        def piece(connection: apsw.Connection) -> None:
            connection.execute(_SQL.hurry, {"now": stamp(now)})
            connection.execute(_SQL.hurry_tasks, (stamp(now),))

        await self._writer.run(piece)
        self._on_ready()


async def _nothing() -> list[Task]:
    return []


def _dense_page(wanted: TaskFilter, page: Page) -> dict[str, Any]:
    earliest, latest = wanted.created_from, wanted.created_to
    return {
        "instance_id": wanted.instance_id,
        "kind": wanted.kind.value,
        "project_id": wanted.project_id,
        "created_from": None if earliest is None else stamp_not_before(earliest),
        "created_to": None if latest is None else stamp(latest),
        "skip": page.skip,
        "limit": page.limit,
    }


def _put_change(connection: apsw.Connection, change: Change) -> bool:
    """Write one change; true when a lane may have become ready by it."""
    task = change.task
    if task.version == 1:
        is_ready = _insert(connection, change)
    elif change.event.to_state is None:
        is_ready = _delete(connection, task)
    else:
        is_ready = _update(connection, change)
    for step in change.steps:
        connection.execute(_SQL.put_step, rows.step_row(task.id, step))
    if change.attempt is not None:
        connection.execute(_SQL.put_attempt, rows.attempt_row(task.id, change.attempt))
    _append_event(connection, change)
    if change.instance is not None:
        put_instance(connection, change.instance)
    return is_ready


def _append_event(connection: apsw.Connection, change: Change) -> None:
    """The next link of the project's chain. The same row counts the project's open tasks."""
    task, event = change.task, change.event
    row: Any = connection.execute(_SQL.chain, (task.project_id,)).fetchone()
    sequence, previous, is_open = row or (0, GENESIS, 0)
    if event.from_state is None:
        is_open += 1
        if change.limits is not None and is_open > change.limits.project:
            raise QuotaReached("unfinished tasks of the project", change.limits.project)
    elif event.to_state in FINAL:
        is_open -= 1
    sealed = link(previous, digest_of(task, event))
    connection.execute(_SQL.put_chain, (task.project_id, sequence + 1, sealed, is_open))
    connection.execute(_SQL.add_event, (*rows.event_row(task, event), sequence + 1, sealed))


def _insert(connection: apsw.Connection, change: Change) -> bool:
    task = change.task
    if change.receipt is not None:
        _put_receipt(connection, change.receipt, task.created_at)
    stream: Any = connection.execute(
        _SQL.append_to_stream,
        {
            "instance_id": task.instance_id,
            "kind": task.kind.value,
            "project_id": task.project_id,
            "created_at": stamp(task.created_at),
        },
    ).fetchone()
    stream_id, ordinal, created_at, is_open = stream
    if change.limits is not None and is_open > change.limits.instance:
        raise QuotaReached("unfinished tasks of the instance", change.limits.instance)
    key = (stream_id << BASE_SHIFT) + ordinal
    connection.execute(_SQL.insert_task, rows.inserted_task(key, task, created_at))
    if connection.changes() == 0:
        raise StaleTask(task.id, 0)
    count(connection, key, 1)
    # not the stored created_at: that is ahead of now for a while after the clock went back
    ready_at = optional_stamp(task.due_at) or stamp(task.created_at)
    connection.execute(_SQL.add_lane, (task.lane, key, ready_at, rows.first_turn(task)))
    return True


def _put_receipt(connection: apsw.Connection, receipt: Receipt, now: datetime) -> None:
    row = msgspec.structs.asdict(receipt)
    row.update(until=stamp(receipt.until), now=stamp(now))
    connection.execute(_SQL.put_receipt, row)
    if connection.changes() == 0:
        raise ClientTokenTaken(receipt.token)


def _delete(connection: apsw.Connection, task: Task) -> bool:
    row: Any = connection.execute(_SQL.delete_task, (task.id, task.version - 1)).fetchone()
    if row is None:
        raise StaleTask(task.id, task.version - 1)
    key = row[0]
    stream_id = key >> BASE_SHIFT
    count(connection, key, -1)
    connection.execute(_SQL.shrink_stream, (stream_id,))
    connection.execute(_SQL.delete_steps, (task.id,))
    connection.execute(_SQL.delete_attempts, (task.id,))
    return False


def _update(connection: apsw.Connection, change: Change) -> bool:
    task, now = change.task, stamp(change.event.at)
    row = connection.execute(_SQL.update_task, rows.updated_task(task)).fetchone()
    if row is None:
        raise StaleTask(task.id, task.version - 1)
    key = row[0]
    if task.state is State.RUNNING:
        if change.event.from_state is not State.RUNNING:
            connection.execute(_SQL.hold_lane, (task.worker_id, task.lane, key))
        return False
    if task.state is State.WAITING:
        ready_at = optional_stamp(task.due_at) or now
        connection.execute(_SQL.ready_lane, (ready_at, task.lane, key))
        return True
    connection.execute(_SQL.close_in_stream, (key >> BASE_SHIFT,))
    return _move_lane_on(connection, task, key, now)


def _move_lane_on(connection: apsw.Connection, task: Task, key: int, now: str) -> bool:
    head = connection.execute(_SQL.lane_head, (task.lane,)).fetchone()
    if head is None or head[0] != key:
        return False  # it ended while it queued behind another
    following = connection.execute(_SQL.next_in_lane, (task.lane,)).fetchone()
    if following is None:
        connection.execute(_SQL.drop_lane, (task.lane,))
        return False
    next_key, due_at = following
    connection.execute(_SQL.move_lane, (next_key, due_at or now, task.lane))
    return True


def _claim(connection: apsw.Connection, task: Task, worker_id: WorkerId, now: datetime) -> Task:
    change = lifecycle.claim(task, worker_id, now)
    _put_change(connection, change)
    return change.task
