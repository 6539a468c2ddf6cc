"""When which step began: written by the steps of every subject, read by the bench.

A pipe, so that a mark costs a worker the same two microseconds whoever runs it. The monotonic
clock is the same in all processes of a machine.
"""

import asyncio
import fcntl
import os
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

_RECORD = struct.Struct("=qqdd")
_PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031  # Linux


class Mark(NamedTuple):
    """`step` counts from 1; `at_s` is on the monotonic clock, `wall_s` since 1970."""

    number: int
    step: int
    at_s: float
    wall_s: float


class Pen:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def mark(self, number: int, step: int) -> None:
        record = _RECORD.pack(number, step, time.monotonic(), time.time())
        os.write(self._descriptor, record)


class Marks:
    """`pen` is inherited by workers as the file descriptor `writing`."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self._reading = reading
        os.set_blocking(reading, False)
        with suppress(OSError):  # a pipe of the usual size does, too
            fcntl.fcntl(reading, F_SETPIPE_SZ, _PIPE_BYTES)
        self._rest = b""
        self._came = asyncio.Event()
        self.found: dict[tuple[int, int], Mark] = {}
        self._counts: Counter[int] = Counter()
        asyncio.get_running_loop().add_reader(reading, self._read)

    def pen(self) -> Pen:
        return Pen(self.writing)

    def _read(self) -> None:
        data = self._rest + os.read(self._reading, _PIPE_BYTES)
        whole = len(data) - len(data) % _RECORD.size
        for record in _RECORD.iter_unpack(data[:whole]):
            mark = Mark(*record)
            if (mark.number, mark.step) not in self.found:
                self._counts[mark.step] += 1
            self.found[mark.number, mark.step] = mark
        self._rest = data[whole:]
        self._came.set()

    async def until(self, is_enough: Callable[[], bool], limit_s: float) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not is_enough():
                self._came.clear()
                await self._came.wait()

    async def of(self, number: int, step: int, limit_s: float = 60.0) -> Mark:
        await self.until(lambda: (number, step) in self.found, limit_s)
        return self.found[number, step]

    def count(self, step: int) -> int:
        """How many tasks have begun it. Cheap: it is asked for while they run."""
        return self._counts[step]

    def times(self, step: int) -> list[float]:
        """In order of time."""
        return sorted(mark.at_s for mark in self.found.values() if mark.step == step)

    def forget(self) -> None:
        self.found.clear()
        self._counts.clear()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self.writing)
