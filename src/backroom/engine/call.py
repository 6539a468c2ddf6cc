"""One call of a step or an undo: on the event loop or in a thread, for a limited time.

Time is the loop's own, which no clock that jumps can cut short.
"""

import asyncio
import inspect
import logging
import sys
import traceback
from asyncio import FIRST_COMPLETED
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from math import inf
from types import FrameType
from typing import Any

from backroom.domain.errors import BackroomError
from backroom.engine.threads import Job, Threads
from backroom.operations.operation import StepContext

LOOK_S = 2.0  # a call that takes longer looks so often whether it is still wanted
UNWANTED_S = 5.0  # what it may still take then
CUT_OFF_S = 1.0  # for what it wants to put in order when it is cut off

_log = logging.getLogger(__name__)

IsUnwanted = Callable[[], Awaitable[bool]]


class TimedOut(BackroomError):
    """It did not end in time and was cut off. `trace` has the places where it was."""

    def __init__(self, limit_s: float, trace: str) -> None:
        super().__init__(f"did not end within {limit_s:g} s")
        self.trace = trace


class WaitCancelled(BackroomError):
    """What it waited for was cancelled, by itself and not by us."""


class StepExited(BackroomError):
    """It wanted to end the whole process."""


class Call:
    def __init__(
        self, run: Callable[[Any], Any], context: StepContext[Any], threads: Threads
    ) -> None:
        self._fence = context.fence
        self._job = None if _is_async(run) else Job(partial(run, context))
        self._begun_at = asyncio.get_running_loop().time() if self._job is None else inf
        self._coroutine = _staying(run(context) if self._job is None else threads.run(self._job))
        caller = asyncio.current_task()
        self._work: asyncio.Task[Any] = asyncio.create_task(
            self._coroutine, name=None if caller is None else caller.get_name()
        )

    async def result(self, limit_s: float, is_unwanted: IsUnwanted) -> Any:
        """What it returns or raises; TimedOut after `limit_s`, or sooner where it is unwanted.

        Whatever ends the wait, nothing of the call goes on afterwards but what no longer reaches
        anything: its fence is closed.
        """
        try:
            await self._ended(limit_s, is_unwanted)
        except BaseException:
            await self._cut_off()
            raise
        try:
            return self._work.result()
        except asyncio.CancelledError as error:
            raise WaitCancelled from error

    async def _ended(self, limit_s: float, is_unwanted: IsUnwanted) -> None:
        now = asyncio.get_running_loop().time
        until = inf
        while True:
            until = min(until, self._begun_at + limit_s)
            await self._wait(min(LOOK_S, max(0.0, until - now())))
            if self._work.done():
                return
            if now() >= until:
                raise TimedOut(limit_s, self._trace())
            if await is_unwanted():
                until = min(until, now() + UNWANTED_S)

    async def _wait(self, most_s: float) -> None:
        """Until it ends or, where it waits for a thread, begins."""
        if self._begun_at < inf or self._job is None:
            await asyncio.wait({self._work}, timeout=most_s)
            return
        begun = self._job.begun
        await asyncio.wait({self._work, begun}, timeout=most_s, return_when=FIRST_COMPLETED)
        if begun.done():
            self._begun_at = begun.result()

    async def _cut_off(self) -> None:
        """A thread can't be stopped: it is left behind the fence."""
        if self._job is not None:
            self._fence.close()
        self._work.cancel()
        try:
            await asyncio.wait({self._work}, timeout=CUT_OFF_S)
        finally:
            self._fence.close()
            if not self._work.done():
                _log.error("call cut off in vain, left alone:\n%s", self._trace())
                # else the loop waits for it when the process is to stop
                asyncio._unregister_task(self._work)  # noqa: SLF001  documented for such tasks
            self._work.add_done_callback(_forget)

    def _trace(self) -> str:
        """Places and source lines only, the innermost last."""
        thread = None if self._job is None else self._job.thread
        if thread is not None:
            frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  documented, for debuggers
            return "(no trace)" if frame is None else "".join(traceback.format_stack(frame))
        frames = ((frame, frame.f_lineno) for frame in _awaited(self._coroutine))
        return "".join(traceback.StackSummary.extract(frames).format()) or "(no trace)"


async def _staying(work: Coroutine[Any, Any, Any]) -> Any:
    """Raised by any task, these two would end the loop."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise StepExited(f"{type(error).__name__}: {error}") from error


def _is_async(run: Callable[[Any], Any]) -> bool:
    return inspect.iscoroutinefunction(run)


def _awaited(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a coroutine that waits, and of those that it waits for."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        yield frame
        coroutine = coroutine.cr_await


def _forget(work: asyncio.Task[Any]) -> None:
    if not work.cancelled():
        work.exception()  # else asyncio complains that nobody looked
