"""What is measured: something that takes tasks of three steps and has a worker to run them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from bench.marks import Marks

ROOT = Path(__file__).parent.parent
READY_WITHIN_S = 60.0
ENDS_WITHIN_S = 20.0
SLOTS = 64  # tasks that one worker runs at once, of every subject
CONNECTIONS = 8  # to PostgreSQL by one process, of every subject that lets one choose


class Subject(Protocol):
    name: str
    marks: Marks

    def working(self) -> AbstractAsyncContextManager[None]:
        """Tasks can be submitted, and a worker runs them."""

    async def submit(self, number: int) -> None:
        """One task, as an API would take it; durable when it returns."""

    async def submit_all(self, numbers: Sequence[int]) -> None:
        """Many, in the way that is quickest."""


@asynccontextmanager
async def process(module: str, *arguments: str, marks: Marks) -> AsyncIterator[int]:
    """`python -m module MARKS ARGUMENTS...` from its line `ready` on; its pid."""
    command = [sys.executable, "-m", module, str(marks.writing), *arguments]
    started = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, pass_fds=(marks.writing,)
    )
    try:
        assert started.stdout is not None
        async with asyncio.timeout(READY_WITHIN_S):
            while line := await started.stdout.readline():
                if line.startswith(b"ready"):
                    break
            else:
                raise RuntimeError(f"{module} ended before it was ready")
        yield started.pid
    finally:
        await ended(started)


async def ended(started: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if started.returncode is None:
            started.send_signal(number)
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await started.wait()
        except TimeoutError:
            continue
        return


def own_process_reads_marks() -> int:
    """In a worker's process: the descriptor that it was given."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # noqa: FBT003  the standard library's
    return descriptor
