"""Where blocking steps run: in a bounded number of threads that keep no process from stopping."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

THREADS = 32  # at work at once, and as many again that are stuck

_Outcome = tuple[Any, BaseException | None]


class Job:
    """A blocking function to be run once. `begun` is done, with the loop's time, once it runs."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._context = contextvars.copy_context()
        self.begun: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.thread: threading.Thread | None = None

    def outcome(self) -> _Outcome:
        try:
            result = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001  raised again where it was asked for
            return None, error
        if inspect.iscoroutine(result):
            result.close()
            return None, TypeError("a step that awaits must be an `async def`")
        return result, None


class Threads:
    """A thread that is given up makes room for another, up to `most` of them.

    When as many are stuck, new jobs wait until one ends. All are daemons: a process that stops
    doesn't wait for them.
    """

    def __init__(self, most: int = THREADS) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._stuck = 0

    @property
    def stuck(self) -> int:
        """How many were given up and have not returned."""
        return self._stuck

    async def run(self, job: Job) -> Any:
        """Cancelled, it returns at once; the thread goes on by itself, and nobody listens to it."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[_Outcome] = loop.create_future()
        try:
            job.thread = threading.Thread(
                target=self._work, args=(job, ended, loop), name="backroom-step", daemon=True
            )
            job.thread.start()
        except BaseException:
            self._free.release()
            raise
        job.begun.set_result(loop.time())
        try:
            result, error = await asyncio.shield(ended)
        except asyncio.CancelledError:
            self._leave(ended)
            raise
        self._free.release()
        if error is not None:
            raise error
        return result

    def _leave(self, ended: asyncio.Future[_Outcome]) -> None:
        if ended.done():
            self._free.release()
        elif self._stuck < self._most:
            self._stuck += 1
            self._free.release()
            ended.add_done_callback(self._returned)
        else:
            ended.add_done_callback(lambda _: self._free.release())

    def _returned(self, _ended: asyncio.Future[_Outcome]) -> None:
        self._stuck -= 1

    @staticmethod
    def _work(job: Job, ended: asyncio.Future[_Outcome], loop: asyncio.AbstractEventLoop) -> None:
        outcome = job.outcome()
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_settle, ended, outcome)


def _settle(ended: asyncio.Future[_Outcome], outcome: _Outcome) -> None:
    if not ended.done():
        ended.set_result(outcome)
