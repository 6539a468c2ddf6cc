"""What is measured of a subject; each returns plain figures of one round."""

import asyncio
import itertools
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import apsw

from bench.backroom_subject import BackroomSubject
from bench.load import cpu_s
from bench.subjects import Subject

NUMBERS = itertools.count(1)
PAUSE_S = (0.005, 0.03)  # between tasks that come one by one, so that nothing beats in step
LEASE_S = 10.0
LIMIT_S = 240.0
BACKROOM = str(Path(sys.executable).with_name("backroom"))
_ROW = "x" * 200


def take(count: int) -> list[int]:
    return list(itertools.islice(NUMBERS, count))


@contextmanager
def bare(folder: Path) -> Iterator[Callable[[], float]]:
    """Commits one row, durably, on the file system of the subjects; how long it took, in s."""
    with closing(apsw.Connection(str(folder / "bare.sqlite"))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, content TEXT)")

        def commit() -> float:
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t (content) VALUES (?)", (_ROW,))
            connection.execute("COMMIT")
            return time.perf_counter() - began

        yield commit


def commits_per_s(folder: Path, count: int) -> float:
    """One after the other."""
    with bare(folder) as commit:
        return count / sum(commit() for _ in range(count))


async def commits_ms(folder: Path, count: int) -> list[float]:
    """One by one, with the same pauses as tasks have in `starts_ms`."""
    took = []
    with bare(folder) as commit:
        for _ in range(count):
            await asyncio.sleep(random.uniform(*PAUSE_S))
            took.append(commit() * 1e3)
    return took


async def starts_ms(subject: Subject, count: int) -> list[float]:
    """From the call that submits a task to the beginning of its first step, one task at a time."""
    took = []
    for number in take(count):
        await asyncio.sleep(random.uniform(*PAUSE_S))
        began = time.monotonic()
        await subject.submit(number)
        mark = await subject.marks.of(number, 1)
        took.append((mark.at_s - began) * 1e3)
        await subject.marks.of(number, 3)
    subject.marks.forget()
    return took


async def tasks_per_s(subject: Subject, count: int) -> float:
    """From the first submit to the last task's third step."""
    numbers = take(count)
    began = time.monotonic()
    await subject.submit_all(numbers)
    await _third_steps(subject, count)
    ended = subject.marks.times(3)[-1]
    subject.marks.forget()
    return count / (ended - began)


async def _third_steps(subject: Subject, count: int) -> None:
    marks = subject.marks
    await marks.until(lambda: marks.count(3) >= count, LIMIT_S)


@dataclass(frozen=True)
class Drained:
    per_s: float
    fresh_ms: list[float]  # how long tasks waited that came meanwhile on instances of their own


async def drained(subject: BackroomSubject, lanes: int, count: int, *, fresh: bool) -> Drained:
    """The rate while `count` of those queued on the first `lanes` instances are run.

    The first and last tenth don't count: then not all slots are in use.
    """
    marks = subject.marks
    marks.forget()
    waited: list[float] = []
    newcomers: set[int] = set()
    async with subject.working():
        coming = asyncio.create_task(
            _newcomers(subject, lanes, newcomers, waited if fresh else None)
        )
        await marks.until(lambda: marks.count(3) - len(newcomers) >= count, LIMIT_S)
        coming.cancel()
    ends = sorted(
        mark.at_s
        for mark in marks.found.values()
        if mark.step == 3 and mark.number not in newcomers
    )[:count]
    marks.forget()
    first, last = count // 10, count - count // 10 - 1
    return Drained((last - first) / (ends[last] - ends[first]), waited)


async def _newcomers(
    subject: BackroomSubject, lanes: int, newcomers: set[int], waited: list[float] | None
) -> None:
    """Tasks on instances that have nothing else to do, one after the other."""
    if waited is None:
        return
    await subject.marks.until(lambda: len(subject.marks.found) > 100, LIMIT_S)
    spare = itertools.cycle(subject.instances[lanes:])
    while True:
        await asyncio.sleep(random.uniform(*PAUSE_S))
        number = take(1)[0]
        newcomers.add(number)
        began = time.monotonic()
        await subject.submit_on(next(spare), number)
        mark = await subject.marks.of(number, 1)
        waited.append((mark.at_s - began) * 1e3)


async def late_ms(subject: BackroomSubject, count: int, spacing_s: float) -> list[float]:
    """How much after its moment the first step of each scheduled task began."""
    numbers = take(count)
    begin = subject.backroom.clock.now() + timedelta(seconds=2)
    moments = {
        number: begin + timedelta(seconds=spacing_s * (at + random.random()))
        for at, number in enumerate(numbers)
    }
    await asyncio.gather(*(subject.submit(number, moments[number]) for number in numbers))
    await _third_steps(subject, count)
    late = [
        (subject.marks.found[number, 1].wall_s - moment.timestamp()) * 1e3
        for number, moment in moments.items()
    ]
    subject.marks.forget()
    return late


async def idle_percent(pids: Sequence[int], seconds: float) -> float:
    """Of one core, all these processes together."""
    before = sum(map(cpu_s, pids))
    await asyncio.sleep(seconds)
    return (sum(map(cpu_s, pids)) - before) / seconds * 100


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[int]:
    """`backroom serve` from its line `ready` on; its pid."""
    started = await asyncio.create_subprocess_exec(
        BACKROOM, "serve", *arguments, stdout=subprocess.PIPE
    )
    try:
        assert started.stdout is not None
        assert await started.stdout.readline()
        yield started.pid
    finally:
        started.terminate()
        await started.wait()


async def resumed_s(subject: BackroomSubject, count: int, *, elsewhere: bool) -> float:
    """From the kill of a worker with `count` running tasks until the last of them runs again.

    Elsewhere: another worker has been there for a lease. Else the same one is started again.
    """
    marks = subject.marks
    marks.forget()
    async with subject.idle():
        await subject.have_instances(count)
        await subject.fill(take(count), "benchHold", count)
    async with subject.worker() as pid:
        await marks.until(lambda: marks.count(1) >= count, LIMIT_S)
        if elsewhere:
            async with subject.worker("other"):
                await asyncio.sleep(LEASE_S + 1.0)
                return await _killed(subject, pid, count)
        os.kill(pid, 9)
        killed_at = time.monotonic()
    async with subject.worker():
        return await _again(subject, killed_at, count)


async def _killed(subject: BackroomSubject, pid: int, count: int) -> float:
    os.kill(pid, 9)
    return await _again(subject, time.monotonic(), count)


async def _again(subject: BackroomSubject, killed_at: float, count: int) -> float:
    await subject.marks.until(lambda: subject.marks.count(2) >= count, LIMIT_S)
    return subject.marks.times(2)[-1] - killed_at
