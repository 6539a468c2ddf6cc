"""The one writer of a SQLite database in this process: a thread that commits in groups."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import apsw

from backroom.domain.errors import StoreUnavailable
from backroom.store.connection import translated

T = TypeVar("T")

MAX_GROUP = 128  # writes in one commit: past this the commit's own cost no longer shows

_Job = tuple[Callable[[apsw.Connection], Any], asyncio.Future[Any], asyncio.AbstractEventLoop]


class Writer:
    """Runs pieces of writing, each all or nothing, in the order given.

    Those that wait while a commit is under way share the next one. A piece that raises leaves no
    trace; the others of its group are not touched. `run` returns once the commit is durable.
    """

    def __init__(self, connection: apsw.Connection, *, on_thread: bool = True) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        if on_thread:
            self._thread = threading.Thread(target=self._work, name="backroom-writer", daemon=True)
            self._thread.start()

    async def run(self, piece: Callable[[apsw.Connection], T]) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._thread is None:
            self._commit([(piece, future, loop)])
        else:
            self._jobs.put((piece, future, loop))
        return await future

    def close(self) -> None:
        """Write what was given so far, then close the connection. Safe to repeat."""
        self._is_closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while True:
            group, is_last = self._next_group()
            if group:
                self._commit(group)
            if is_last:
                return

    def _next_group(self) -> tuple[list[_Job], bool]:
        group: list[_Job] = []
        job = self._jobs.get()
        while True:
            if job is None:
                return group, True
            group.append(job)
            if len(group) == MAX_GROUP:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False

    def _commit(self, group: list[_Job]) -> None:
        try:
            outcomes = self._written(group)
        except apsw.Error as error:
            refused = translated(error)
            outcomes = [(None, refused)] * len(group)
        except BaseException as broken:  # noqa: BLE001  raised again where it was asked for
            outcomes = [(None, broken)] * len(group)
        for (_, future, loop), (result, problem) in zip(group, outcomes, strict=True):
            with suppress(RuntimeError):  # the loop that asked is closed: nobody waits
                loop.call_soon_threadsafe(_settle, future, result, problem)

    def _written(self, group: list[_Job]) -> list[tuple[Any, BaseException | None]]:
        """Takes the write lock first: a read that turns into a write is refused without waiting."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._attempt(piece) for piece, _, _ in group]
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # some errors have rolled back already
                execute("ROLLBACK")
            raise
        return outcomes

    def _attempt(self, piece: Callable[[apsw.Connection], Any]) -> tuple[Any, BaseException | None]:
        result = None
        try:
            with self._connection:
                result = piece(self._connection)
        except apsw.ConstraintError as error:
            return None, translated(error)
        except apsw.Error:
            raise  # the database itself: the whole group goes
        except BaseException as problem:  # noqa: BLE001  raised again where it was asked for
            return None, problem
        return result, None


def _settle(future: asyncio.Future[Any], result: Any, problem: BaseException | None) -> None:
    if future.done():
        return
    if problem is None:
        future.set_result(result)
    else:
        future.set_exception(problem)
