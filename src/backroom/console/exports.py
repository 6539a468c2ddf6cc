"""What is filtered, as CSV or JSON, streamed however much it is."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response, StreamingResponse

from backroom.console.filters import decode_filter
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit
from backroom.domain.errors import InvalidInput
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.stamps import stamp
from backroom.domain.task import Task

BATCH: Final = 500
COLUMNS: Final = (
    "id", "name", "kind", "state", "instance_id", "user_name", "user_id", "reason", "created_at",
    "started_at", "ended_at", "execute_at", "error_code", "error_msg", "attempt", "parent_id",
    "request_id", "params",
)  # fmt: skip
# what a spreadsheet would compute, in full width, too
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_encode = msgspec.json.Encoder().encode


class ExportPages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def export(self, visit: Visit) -> Response:
        form = dict(visit.query).get("format", "csv")
        if form not in ("csv", "json"):
            raise InvalidInput("format", "must be csv or json")
        wanted = decode_filter(visit.query).search(visit.project_id)
        texts = self._csv(wanted) if form == "csv" else self._json(wanted)
        now = self._around.clock.now().strftime("%Y%m%dT%H%M%SZ")
        return StreamingResponse(
            texts,
            media_type="text/csv; charset=utf-8" if form == "csv" else "application/json",
            headers={"content-disposition": f'attachment; filename="tasks-{now}.{form}"'},
        )

    async def _batches(self, wanted: TaskSearch) -> AsyncIterator[list[Task]]:
        after: Position | None = None
        while True:
            found = await self._around.service.search(wanted, after, BATCH)
            yield found.tasks
            after = found.position
            if after is None:
                return
            await asyncio.sleep(0)  # reads may never wait: others must have their turn

    async def _csv(self, wanted: TaskSearch) -> AsyncIterator[bytes]:
        yield _lines([COLUMNS])
        async for tasks in self._batches(wanted):
            yield _lines([[_cell(value) for value in _row(task).values()] for task in tasks])

    async def _json(self, wanted: TaskSearch) -> AsyncIterator[bytes]:
        before = b"[\n"
        async for tasks in self._batches(wanted):
            for task in tasks:
                row = _row(task) | {"params": msgspec.Raw(task.params.encode())}
                yield before + _encode(row)
                before = b",\n"
        yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _row(task: Task) -> dict[str, Any]:
    return {name: _told(getattr(task, name)) for name in COLUMNS}


def _told(value: Any) -> Any:
    return stamp(value) if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    """Never a formula: whoever opens it runs nothing."""
    text = "" if value is None else "".join(map(_letter, str(value)))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _letter(letter: str) -> str:
    """No control characters: the file may be shown on a terminal."""
    return letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    # all in quotes: where a semicolon parts cells, a text must not begin another one
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()
