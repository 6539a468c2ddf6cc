"""The one writer of a SQLite database in this process: a thread that commits in groups."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import apsw

from backroom.domain.errors import StoreUnavailable
from backroom.store.connection import translated

T = TypeVar("T")

MAX_GROUP = 128  # writes in one commit: past this the commit's own cost no longer shows
MIN_GROUP = 8
A_LOOK_S = 1e-6  # a coarse clock may show nothing


class _Job(NamedTuple):
    piece: Callable[[apsw.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    is_urgent: bool


class Writer:
    """Runs pieces of writing, each all or nothing, in the order given; urgent ones go first.

    Of a group, no more than half is urgent while others wait, too. To write a group takes about as
    long as to commit it: more would keep those waiting who come meanwhile, less be all commits.
    Those that wait while a commit is under way share the next one. A piece that raises leaves no
    trace; the others of its group are not touched. `run` returns once the commit is durable.
    """

    def __init__(self, connection: apsw.Connection, *, on_thread: bool = True) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._urgent: deque[_Job] = deque()
        self._others: deque[_Job] = deque()
        self._most = MAX_GROUP  # in the next group
        self._is_closed = False
        self._is_ending = False  # the thread was told
        if on_thread:
            self._thread = threading.Thread(target=self._work, name="backroom-writer", daemon=True)
            self._thread.start()

    async def run(self, piece: Callable[[apsw.Connection], T], *, is_urgent: bool = False) -> T:
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(piece, future, loop, is_urgent)
        if self._thread is None:
            self._commit([job])
        else:
            self._jobs.put(job)
        return await future

    def close(self) -> None:
        """Write what was given so far, then close the connection. Safe to repeat."""
        self._is_closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while group := self._next_group():
            self._commit(group)

    def _next_group(self) -> list[_Job]:
        """Empty at the end."""
        if not self._urgent and not self._others and not self._is_ending:
            self._take_in(self._jobs.get())
        with suppress(queue.Empty):
            while True:
                self._take_in(self._jobs.get_nowait())
        group: list[_Job] = []
        while len(group) < self._most and (self._urgent or self._others):
            if self._urgent:
                group.append(self._urgent.popleft())
            if self._others and len(group) < self._most:
                group.append(self._others.popleft())
        return group

    def _take_in(self, job: _Job | None) -> None:
        if job is None:
            self._is_ending = True
        else:
            (self._urgent if job.is_urgent else self._others).append(job)

    def _commit(self, group: list[_Job]) -> None:
        try:
            outcomes = self._written(group)
        except apsw.Error as error:
            refused = translated(error)
            outcomes = [(None, refused)] * len(group)
        except BaseException as broken:  # noqa: BLE001  raised again where it was asked for
            outcomes = [(None, broken)] * len(group)
        for job, (result, problem) in zip(group, outcomes, strict=True):
            # on its own thread a loop needs no waking
            later = job.loop.call_soon if self._thread is None else job.loop.call_soon_threadsafe
            with suppress(RuntimeError):  # the loop that asked is closed: nobody waits
                later(_settle, job.future, result, problem)

    def _written(self, group: list[_Job]) -> list[tuple[Any, BaseException | None]]:
        """Takes the write lock first: a read that turns into a write is refused without waiting."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            began_s = perf_counter()
            outcomes = [self._attempt(job.piece) for job in group]
            written_s = perf_counter()
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # some errors have rolled back already
                execute("ROLLBACK")
            raise
        piece_s = max(written_s - began_s, A_LOOK_S) / len(group)
        worth = round((perf_counter() - written_s) / piece_s)
        self._most = max(MIN_GROUP, min(MAX_GROUP, worth))
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
