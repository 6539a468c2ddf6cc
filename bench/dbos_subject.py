"""DBOS on the same PostgreSQL: a workflow of three steps on a queue, enqueued by a client."""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig

from bench.marks import Marks, Pen
from bench.subjects import own_process_reads_marks, process

VERSION = "bench"
WORKFLOW = "three_steps"
BATCH = 100  # workflows enqueued in one transaction


class DbosSubject:
    """`polling_s` is how often the worker's queue looks; 1 s is what it does by itself."""

    def __init__(self, name: str, url: str, marks: Marks, polling_s: float = 1.0) -> None:
        self.name = name
        self.marks = marks
        self._url = url
        self._polling_s = polling_s
        self._options: Any = {
            "queue_name": _queue(polling_s),
            "workflow_name": WORKFLOW,
            "app_version": VERSION,
        }
        self._client: DBOSClient | None = None
        self._engine = sqlalchemy.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=1
        )
        self.pid = 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        given = (self._url, str(self._polling_s))
        async with process("bench.dbos_subject", *given, marks=self.marks) as pid:
            self.pid = pid
            self._client = await asyncio.to_thread(DBOSClient, system_database_url=self._url)
            try:
                yield
            finally:
                self._client.destroy()
                self._engine.dispose()

    async def submit(self, number: int) -> None:
        assert self._client is not None
        await self._client.enqueue_async(self._options, number)

    async def submit_all(self, numbers: Sequence[int]) -> None:
        await asyncio.to_thread(self._enqueue, numbers)

    def _enqueue(self, numbers: Sequence[int]) -> None:
        assert self._client is not None
        for at in range(0, len(numbers), BATCH):
            with self._engine.begin() as transaction:
                for number in numbers[at : at + BATCH]:
                    self._client.enqueue_in_transaction(transaction, self._options, number)


def _queue(polling_s: float) -> str:
    """One each: a queue that is there already gets to another interval slowly."""
    return f"bench-{polling_s}"


def _work(url: str, polling_s: str) -> None:
    pen = Pen(own_process_reads_marks())

    @DBOS.step()
    def first(number: int) -> None:
        pen.mark(number, 1)

    @DBOS.step()
    def second() -> None:
        return

    @DBOS.step()
    def third(number: int) -> None:
        pen.mark(number, 3)

    @DBOS.workflow(name=WORKFLOW)
    def three_steps(number: int) -> None:
        first(number)
        second()
        third(number)

    config = DBOSConfig(
        name="bench", system_database_url=url, application_version=VERSION, log_level="ERROR"
    )
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(_queue(float(polling_s)), polling_interval_sec=float(polling_s))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", flush=True)
    while not stop.wait(1):
        pass
    DBOS.destroy(workflow_completion_timeout_sec=10)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    _work(*sys.argv[2:])
