"""Reads task records, those asked for in one turn of the event loop by one statement.

Every statement lets other threads in, and under load the way back costs more than the reading:
with 32 requests at once this halves what showing a task costs (docs/adr/0010, bench/show).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from backroom.domain.ids import TaskId
from backroom.domain.task import TaskRecord
from backroom.store.queries import load

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)  # few different statements, so that all stay prepared

_RECORDS = load("tasks").records
_STATEMENTS = {width: _RECORDS.replace("(?)", f"({', '.join('?' * width)})") for width in WIDTHS}

ONE_RECORD = _STATEMENTS[1]

_Asked = tuple[TaskId, asyncio.Future[TaskRecord | None]]
Read = Callable[[str, Sequence[str | None]], apsw.Cursor]


class RecordReader:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._asked: list[_Asked] = []

    async def get(self, task_id: TaskId) -> TaskRecord | None:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[TaskRecord | None] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._answer)
        self._asked.append((task_id, found))
        return await found

    def _answer(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), WIDTHS[-1]):
            self._answer_some(asked[start : start + WIDTHS[-1]])

    def _answer_some(self, asked: list[_Asked]) -> None:
        width = next(width for width in WIDTHS if width >= len(asked))
        ids = [task_id for task_id, _ in asked] + [None] * (width - len(asked))
        try:
            fetched: Any = self._read(_STATEMENTS[width], ids).fetchall()
            records = {row[0]: TaskRecord(*row) for row in fetched}
        except BaseException as problem:  # noqa: BLE001  raised again where it was asked for
            for _, found in asked:
                if not found.done():
                    found.set_exception(problem)
            return
        for task_id, found in asked:
            if not found.done():
                found.set_result(records.get(task_id))
