"""Procrastinate on the same PostgreSQL: a worker with listen/notify and async jobs.

It has no steps. The nearest equal to ours is a job that looks for what it has done, and after each
step keeps in a table that it is done; the other way is three jobs, each of which defers the next.
No lock: jobs of one instance may overlap, which spares it work that ours does.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvloop
from procrastinate import App, PsycopgConnector

from bench.marks import Marks, Pen
from bench.subjects import CONNECTIONS, SLOTS, own_process_reads_marks, process

BATCH = 100  # jobs deferred by one statement
_TABLE = (
    "CREATE TABLE IF NOT EXISTS finished_steps"
    " (number bigint, step int, PRIMARY KEY (number, step))"
)
_FINISHED = "SELECT step FROM finished_steps WHERE number = %(number)s"
_FINISH = "INSERT INTO finished_steps VALUES (%(number)s, %(step)s)"


def make_app(url: str, pen: Pen | None) -> App:
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=CONNECTIONS))

    def mark(number: int, step: int) -> None:
        if pen is not None and step != 2:
            pen.mark(number, step)

    @app.task(name="in_table")
    async def in_table(number: int) -> None:
        rows = await app.connector.execute_query_all_async(_FINISHED, number=number)
        finished = {row["step"] for row in rows}
        for step in (1, 2, 3):
            if step not in finished:
                mark(number, step)
                await app.connector.execute_query_async(_FINISH, number=number, step=step)

    @app.task(name="chained")
    async def chained(number: int, step: int = 1) -> None:
        mark(number, step)
        if step < 3:
            await chained.defer_async(number=number, step=step + 1)

    return app


class ProcrastinateSubject:
    """`task` is in_table or chained."""

    def __init__(self, name: str, url: str, marks: Marks, task: str = "in_table") -> None:
        self.name = name
        self.marks = marks
        self._url = url
        self._task = task
        self._app = make_app(url, None)
        self._is_prepared = False
        self.pid = 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with self._app.open_async():
            if not self._is_prepared:
                await self._prepare()
            given = (self._url,)
            async with process("bench.procrastinate_subject", *given, marks=self.marks) as pid:
                self.pid = pid
                yield
        self._app = make_app(self._url, None)

    async def _prepare(self) -> None:
        rows = await self._app.connector.execute_query_all_async(
            "SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS is_there"
        )
        if not rows[0]["is_there"]:
            await self._app.schema_manager.apply_schema_async()
        await self._app.connector.execute_query_async(_TABLE)
        self._is_prepared = True

    async def submit(self, number: int) -> None:
        await self._app.tasks[self._task].defer_async(number=number)

    async def submit_all(self, numbers: Sequence[int]) -> None:
        for at in range(0, len(numbers), BATCH):
            await self._app.tasks[self._task].batch_defer_async(
                *({"number": number} for number in numbers[at : at + BATCH])
            )


async def _work(url: str) -> None:
    app = make_app(url, Pen(own_process_reads_marks()))
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(concurrency=SLOTS, install_signal_handlers=False)
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
        await app.connector.execute_query_async("SELECT 1")
        await asyncio.sleep(0.5)  # it listens by then, and has no event that says so
        print("ready", flush=True)
        await asyncio.wait([working])


if __name__ == "__main__":
    # procrastinate wants its app in a module that others could import, too
    from bench.procrastinate_subject import _work as work

    uvloop.run(work(*sys.argv[2:]))
