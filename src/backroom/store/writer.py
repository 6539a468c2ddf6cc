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
_Outcome = tuple[Any, BaseException | None]

MAX_GROUP = 128  # writes in one commit: past this the commit's own cost no longer shows
MIN_GROUP = 8
ONE_NEWCOMER = 2  # a submit and its claim
SHORT_IN_A_ROW = 2
A_LOOK_S = 1e-6  # a coarse clock may show nothing


class _Job(NamedTuple):
    piece: Callable[[apsw.Connection], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    is_urgent: bool


class Writer:
    """Runs pieces of writing, each all or nothing, in the order given; urgent ones go first.

    Of a group, no more than half is urgent while others wait, too. To write a group takes about as
    long as to commit it: more would keep those waiting who come meanwhile, less be all commits. And
    where one comes anew, the group waits for no more than one other, unless the last two were as
    short. Whoever comes while a group is written, and has a place in it, is committed with it. A
    piece that raises leaves no trace; the others of its group are not touched. `run` returns once
    the commit is durable.
    """

    def __init__(self, connection: apsw.Connection, *, on_thread: bool = True) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._urgent: deque[_Job] = deque()
        self._others: deque[_Job] = deque()
        self._most = MAX_GROUP  # in the next group
        self._short = 0  # so many groups in a row left some waiting
        self._is_closed = False
        self._is_ending = False  # the thread was told
        if on_thread:
            self._thread = threading.Thread(target=self._work, name="backroom-writer", daemon=True)
            self._thread.start()

    async def run(self, piece: Callable[[apsw.Connection], T], *, is_urgent: bool = False) -> T:
        return await self.put(piece, is_urgent=is_urgent)

    def put(
        self, piece: Callable[[apsw.Connection], T], *, is_urgent: bool = False
    ) -> asyncio.Future[T]:
        """It is done once the commit is durable; cancelled, it is written all the same."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        job = _Job(piece, future, loop, is_urgent)
        if self._thread is None:
            self._commit(job)
        else:
            self._jobs.put(job)
        return future

    def close(self) -> None:
        """Write what was given so far, then close the connection. Safe to repeat."""
        self._is_closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while (first := self._first()) is not None:
            self._commit(first)

    def _first(self) -> _Job | None:
        """Waits for it; None at the end."""
        if not self._urgent and not self._others and not self._is_ending:
            self._take_in(self._jobs.get())
        return self._next_for([])

    def _next_for(self, group: list[_Job]) -> _Job | None:
        """Who is written next, with this group; None: nobody."""
        self._take_in_all()
        urgent = sum(job.is_urgent for job in group)
        if self._urgent and (2 * urgent < self._most or not self._others):
            return self._urgent.popleft()
        is_enough = 0 < urgent <= ONE_NEWCOMER < len(group) and self._short < SHORT_IN_A_ROW
        return self._others.popleft() if self._others and not is_enough else None

    def _take_in_all(self) -> None:
        while not self._jobs.empty():  # only this thread takes any out
            self._take_in(self._jobs.get())

    def _take_in(self, job: _Job | None) -> None:
        if job is None:
            self._is_ending = True
        else:
            (self._urgent if job.is_urgent else self._others).append(job)

    def _commit(self, first: _Job) -> None:
        group = [first]
        try:
            outcomes = self._written(group)
        except apsw.Error as error:
            refused = translated(error)
            outcomes = [(None, refused)] * len(group)
        except BaseException as broken:  # noqa: BLE001  raised again where it was asked for
            outcomes = [(None, broken)] * len(group)
        ended = list(zip(group, outcomes, strict=True))
        for loop in {job.loop for job in group}:
            # on its own thread a loop needs no waking
            later = loop.call_soon if self._thread is None else loop.call_soon_threadsafe
            with suppress(RuntimeError):  # the loop that asked is closed: nobody waits
                later(_settle_all, loop, [one for one in ended if one[0].loop is loop])

    def _written(self, group: list[_Job]) -> list[_Outcome]:
        """Takes the write lock first: a read that turns into a write is refused without waiting.

        Adds to the group whoever else is written with it.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
        except apsw.Error:
            self._let_join(group)  # each of them would wait as long for the same lock
            raise
        try:
            began_s = perf_counter()
            outcomes = [self._attempt(group[0].piece)]
            while len(group) < self._most and (job := self._next_for(group)) is not None:
                group.append(job)
                outcomes.append(self._attempt(job.piece))
            is_short = len(group) < self._most and bool(self._others)
            self._short = self._short + 1 if is_short else 0
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

    def _let_join(self, group: list[_Job]) -> None:
        self._take_in_all()
        for waiting in (self._urgent, self._others):
            group += waiting
            waiting.clear()

    def _attempt(self, piece: Callable[[apsw.Connection], Any]) -> _Outcome:
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


def _settle_all(loop: asyncio.AbstractEventLoop, ended: list[tuple[_Job, _Outcome]]) -> None:
    """The urgent ones a turn of the loop ahead: what they lead to comes before the others, too."""
    others = [one for one in ended if not one[0].is_urgent]
    for job, outcome in ended:
        if job.is_urgent:
            _settle(job.future, outcome)
    if len(others) == len(ended):
        for job, outcome in others:
            _settle(job.future, outcome)
    elif others:
        loop.call_soon(_settle_all, loop, others)


def _settle(future: asyncio.Future[Any], outcome: _Outcome) -> None:
    if future.done():
        return
    result, problem = outcome
    if problem is None:
        future.set_result(result)
    else:
        future.set_exception(problem)
