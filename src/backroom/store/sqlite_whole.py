"""WholeStore on SQLite: tables as a whole, whatever is in them."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import apsw

from backroom.domain.chain import GENESIS, digest_of_values, link
from backroom.domain.errors import StaleTask
from backroom.domain.ids import ProjectId, TaskId
from backroom.domain.stamps import stamp
from backroom.domain.task import Change, Task
from backroom.ports import OpenTask, Snapshot
from backroom.store import rows
from backroom.store.connection import reading
from backroom.store.ordering import BASE_SHIFT, LEVELS
from backroom.store.queries import load
from backroom.store.writer import Writer

_SQL = load("whole")
_TASKS = load("tasks")


class SqliteWholeStore:
    """`is_alone`: the reader is also what writes, and the only connection there is."""

    def __init__(self, reader: apsw.Connection, writer: Writer, *, is_alone: bool = False) -> None:
        self._reader = reader
        self._read = reading(reader)
        self._writer = writer
        self._is_alone = is_alone
        self._last: tuple[int, Snapshot] | None = None  # after so many changes

    async def open_tasks(self) -> list[OpenTask]:
        return [
            OpenTask(
                id=TaskId(row[0]), name=row[1], is_scheduled=bool(row[2]), is_behind=bool(row[3])
            )
            for row in self._rows(_SQL.open_tasks)
        ]

    async def task_ids(self) -> list[TaskId]:
        return [TaskId(row[0]) for row in self._rows(_SQL.task_ids)]

    async def add_past(self, past: Sequence[Sequence[Change]]) -> None:
        def piece(connection: apsw.Connection) -> None:
            keys = [_put_ended(connection, changes[-1].task) for changes in past]
            blocks = Counter((level, key >> level) for key in keys for level in LEVELS)
            counted = [(*block, live) for block, live in blocks.items()]
            connection.executemany(_TASKS.add_to_count, counted)
            connection.executemany(_TASKS.put_step, _steps(past))
            connection.executemany(_TASKS.put_attempt, _attempts(past))
            events = [change for changes in past for change in changes]
            for project_id, own in groupby(events, key=lambda change: change.task.project_id):
                _put_events(connection, project_id, list(own))

        await self._writer.run(piece)

    async def take(self) -> Snapshot:
        if self._last is not None and self._last[0] == self._reader.total_changes():
            return self._last[1]
        names = [name for (name,) in self._rows(_SQL.tables)]
        tables = {name: self._rows(f"SELECT * FROM {name}") for name in names}  # noqa: S608  names are ours
        return self._kept(Snapshot(tables))

    def _kept(self, snapshot: Snapshot) -> Snapshot:
        if self._is_alone:
            self._last = self._reader.total_changes(), snapshot
        return snapshot

    async def put_back(self, snapshot: Snapshot) -> None:
        def piece(connection: apsw.Connection) -> None:
            for name in [name for (name,) in connection.execute(_SQL.tables).fetchall()]:
                connection.execute(f"DELETE FROM {name}")  # noqa: S608  names are ours
                kept = snapshot.tables.get(str(name), ())
                if kept:
                    marks = ", ".join("?" * len(kept[0]))
                    connection.executemany(f"INSERT INTO {name} VALUES ({marks})", kept)  # noqa: S608
            self._kept(snapshot)

        await self._writer.run(piece)

    def _rows(self, statement: str) -> list[Any]:
        return self._read(statement).fetchall()


def _put_ended(connection: apsw.Connection, task: Task) -> int:
    """Its key."""
    row: Any = connection.execute(
        _SQL.append_ended,
        (task.instance_id, task.kind.value, task.project_id, stamp(task.created_at)),
    ).fetchone()
    stream_id, ordinal, created_at = row
    key: int = (stream_id << BASE_SHIFT) + ordinal
    connection.execute(_TASKS.insert_task, rows.inserted_task(key, task, created_at))
    if connection.changes() == 0:
        raise StaleTask(task.id, 0)
    return key


def _steps(past: Sequence[Sequence[Change]]) -> list[rows.Row]:
    return [
        rows.step_row(change.task.id, step)
        for changes in past
        for change in changes
        for step in change.steps
    ]


def _attempts(past: Sequence[Sequence[Change]]) -> list[rows.Row]:
    return [
        rows.attempt_row(change.task.id, change.attempt)
        for changes in past
        for change in changes
        if change.attempt is not None and change.attempt.ended_at is not None
    ]


def _put_events(
    connection: apsw.Connection, project_id: ProjectId, changes: Sequence[Change]
) -> None:
    head: Any = connection.execute(_TASKS.chain, (project_id,)).fetchone()
    sequence, sealed, is_open = head or (0, GENESIS, 0)
    events = []
    for change in changes:
        row = rows.event_row(change.task, change.event)
        sequence, sealed = sequence + 1, link(sealed, digest_of_values(row))
        events.append((*row, sequence, sealed))
    connection.executemany(_TASKS.add_event, events)
    connection.execute(_TASKS.put_chain, (project_id, sequence, sealed, is_open))
