"""./run bench engine: how fast tasks start, run and come back, beside bare commits and two peers.

Every figure is a ratio of medians over interleaved rounds in one run; idle CPU and the return after
a kill are measured once. Exits 1 when a ratio is missed or could not be measured. Takes about ten
minutes.
"""

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop
from tests.support.postgres_server import MISSING, Cluster, binaries

from bench import measures
from bench.backroom_subject import BackroomSubject, copy_key
from bench.dbos_subject import DbosSubject
from bench.marks import Marks
from bench.measures import LEASE_S
from bench.procrastinate_subject import ProcrastinateSubject
from bench.report import Ratio, Results, figure, keep_section, over, parser, ratio_table, say
from bench.subjects import CONNECTIONS, ROOT, SLOTS, Subject

HEADING = "## Engine"
SQLITE, POSTGRES = "SQLite, one process", "PostgreSQL, API and worker apart"
PROCRASTINATE, DBOS, EAGER = "procrastinate", "DBOS", "DBOS, polling every 0.1 s"
BARE = "bare commit"
PARTS = ("pace", "drain", "schedule", "idle", "kill")
VERSION = "SELECT split_part(version(), ' on ', 1)"
WRITES = 4  # of a task of three steps: the submit and three checkpoints


@dataclass(frozen=True)
class Sizes:
    """How much of everything; `small` is for development and the test that runs all parts."""

    commits: int = 300
    starts: int = 60
    tasks: int = 1_500
    peer_tasks: int = 600
    slow_starts: int = 15  # of DBOS, which takes half a second for each
    slow_tasks: int = 300
    queued: int = 100_000
    lanes: int = 1_000
    few_queued: int = 1_000
    few_lanes: int = 100
    drained: int = 1_000
    one_lane: int = 200
    spare: int = 50
    scheduled: int = 300
    spacing_s: float = 0.04
    idle_s: float = 20.0
    held: int = 1_000


SMALL = Sizes(
    commits=50, starts=10, tasks=100, peer_tasks=60, slow_starts=2, slow_tasks=20, queued=2_000,
    lanes=100, few_queued=300, few_lanes=30, drained=300, one_lane=30, spare=10, scheduled=20,
    idle_s=2.0, held=50,
)  # fmt: skip


@dataclass
class Bench:
    sizes: Sizes
    rounds: int
    work: Path
    marks: Marks
    cluster: Cluster | None
    postgres: str = "no PostgreSQL"
    results: Results = field(default_factory=Results)

    def database(self, name: str) -> str | None:
        """The URL of a new one; None without PostgreSQL."""
        if self.cluster is None:
            return None
        self.cluster.sql("postgres", f"CREATE DATABASE {name}")
        return self.cluster.url(name)

    def backrooms(self, purpose: str) -> dict[str, BackroomSubject]:
        """One on each store, with nothing in it yet."""
        made = {SQLITE: BackroomSubject(SQLITE, self.work / f"{purpose}-sqlite", self.marks)}
        url = self.database(f"backroom_{purpose}")
        if url is not None:
            data = self.work / f"{purpose}-postgres"
            made[POSTGRES] = BackroomSubject(POSTGRES, data, self.marks, url)
        return made

    def each_round(self, part: str) -> Iterator[int]:
        for number in range(self.rounds):
            say(f"{part}, round {number + 1} of {self.rounds}")
            yield number


async def pace(bench: Bench) -> None:
    """Enqueue to start, and tasks per second, of everybody in turn."""
    sizes, results = bench.sizes, bench.results
    subjects: list[tuple[Subject, int, int]] = [
        (subject, sizes.starts, sizes.tasks) for subject in bench.backrooms("pace").values()
    ]
    url, other = bench.database("procrastinate"), bench.database("dbos")
    if url is not None and other is not None:
        subjects += [
            (ProcrastinateSubject(PROCRASTINATE, url, bench.marks), sizes.starts, sizes.peer_tasks),
            (DbosSubject(DBOS, other, bench.marks), sizes.slow_starts, sizes.slow_tasks),
            (DbosSubject(EAGER, other, bench.marks, 0.1), sizes.slow_starts, sizes.slow_tasks),
        ]
    for number in bench.each_round("pace"):
        per_s = measures.commits_per_s(bench.work, sizes.commits)
        results.add("tasks per s", BARE, per_s / WRITES)
        took = sorted(await measures.commits_ms(bench.work, sizes.starts))
        results.add("start, ms", BARE, statistics.median(took))
        results.add("start p99, ms", BARE, took[len(took) * 99 // 100])
        for subject, starts, tasks in subjects:
            async with subject.working():
                if isinstance(subject, BackroomSubject):
                    await subject.have_instances(sizes.few_lanes)
                if number == 0:  # warm-up
                    await measures.tasks_per_s(subject, tasks // 5)
                took = sorted(await measures.starts_ms(subject, starts))
                results.add("start, ms", subject.name, statistics.median(took))
                results.add("start p99, ms", subject.name, took[len(took) * 99 // 100])
                rate = await measures.tasks_per_s(subject, tasks)
                results.add("tasks per s", subject.name, rate)


async def drain(bench: Bench) -> None:
    """The rate with few and with many queued, of one lane alone, and who comes meanwhile."""
    sizes, results = bench.sizes, bench.results
    few, many, lone = (bench.backrooms(name) for name in ("few", "many", "lone"))
    for name, subject in many.items():
        async with subject.idle():
            say(f"queueing {sizes.queued:,} tasks on {sizes.lanes:,} instances, {name}")
            await subject.have_instances(sizes.lanes + sizes.spare)
            await subject.fill(measures.take(sizes.queued), lanes=sizes.lanes)
    for _ in bench.each_round("drain"):
        for name in many:
            async with few[name].working():
                await few[name].have_instances(sizes.few_lanes + sizes.spare)
                idle = await measures.starts_ms(few[name], sizes.starts)
            results.add("idle start, ms", name, statistics.median(idle))
            async with few[name].idle():
                await few[name].fill(measures.take(sizes.few_queued), lanes=sizes.few_lanes)
            done = await measures.drained(few[name], sizes.few_lanes, sizes.few_queued, fresh=False)
            results.add("drained per s, few", name, done.per_s)
            done = await measures.drained(many[name], sizes.lanes, sizes.drained, fresh=False)
            results.add("drained per s, many", name, done.per_s)
            done = await measures.drained(many[name], sizes.lanes, sizes.drained, fresh=True)
            results.add("fresh start, ms", name, statistics.median(done.fresh_ms))
    for name, subject in lone.items():
        async with subject.idle():
            await subject.have_instances(1)
            await subject.fill(measures.take(sizes.one_lane))
        done = await measures.drained(subject, 1, sizes.one_lane, fresh=False)
        results.add("drained per s, one lane", name, done.per_s)


async def schedule(bench: Bench) -> None:
    sizes, results = bench.sizes, bench.results
    subjects = bench.backrooms("schedule")
    for _ in bench.each_round("schedule"):
        for name, subject in subjects.items():
            async with subject.working():
                await subject.have_instances(sizes.few_lanes)
                late = sorted(await measures.late_ms(subject, sizes.scheduled, sizes.spacing_s))
            results.add("late p50, ms", name, statistics.median(late))
            results.add("late p99, ms", name, late[len(late) * 99 // 100])
            results.add("earliest, ms", name, late[0])


async def idle(bench: Bench) -> None:
    """Of real servers that nobody asks anything."""
    seconds, work = bench.sizes.idle_s, bench.work
    common = ("--http", "--port", "0", "--data")
    say(f"idle, {seconds:.0f} s each")
    async with measures.served(*common, str(work / "idle")) as pid:
        await asyncio.sleep(1)
        bench.results.add("idle CPU, %", SQLITE, await measures.idle_percent([pid], seconds))
    url = bench.database("idle")
    if url is None:
        return
    api, worker = work / "idle-api", work / "idle-worker"
    async with measures.served(*common, str(api), "--database", url, "--role", "api") as first:
        copy_key(api, worker)
        given = ("--data", str(worker), "--database", url, "--role", "worker")
        async with measures.served(*given) as second:
            await asyncio.sleep(1)
            used = await measures.idle_percent([first, second], seconds)
    bench.results.add("idle CPU, %", POSTGRES, used)


async def kill(bench: Bench) -> None:
    for name, subject in bench.backrooms("kill").items():
        say(f"kill of a worker with {bench.sizes.held:,} running tasks, {name}")
        subject.slots = bench.sizes.held
        took = await measures.resumed_s(subject, bench.sizes.held, elsewhere=name == POSTGRES)
        bench.results.add("resumed after, s", name, took)


DO: dict[str, Callable[[Bench], Coroutine[Any, Any, None]]] = {
    "pace": pace, "drain": drain, "schedule": schedule, "idle": idle, "kill": kill,
}  # fmt: skip


def ratios(results: Results) -> list[Ratio]:
    made = [
        Ratio(
            f"enqueue to start, {SQLITE} / bare durable commit, p50",
            results.ratio("start, ms", SQLITE, BARE), most=4,
        ),
        Ratio(
            "enqueue to start, PostgreSQL / procrastinate, p50",
            results.ratio("start, ms", POSTGRES, PROCRASTINATE), most=1,
        ),
        Ratio(
            "enqueue to start, PostgreSQL / DBOS, p50",
            results.ratio("start, ms", POSTGRES, DBOS), most=0.05,
        ),
        Ratio(
            f"three-step tasks per second, {SQLITE} / what bare commits allow",
            results.ratio("tasks per s", SQLITE, BARE), least=0.5,
        ),
        Ratio(
            "three-step tasks per second, PostgreSQL / procrastinate",
            results.ratio("tasks per s", POSTGRES, PROCRASTINATE), least=2,
        ),
        Ratio(
            "three-step tasks per second, PostgreSQL / DBOS",
            results.ratio("tasks per s", POSTGRES, DBOS), least=10,
        ),
    ]  # fmt: skip
    for name in (SQLITE, POSTGRES):
        few, many = (results.median(f"drained per s, {which}", name) for which in ("few", "many"))
        idle, fresh = (results.median(what, name) for what in ("idle start, ms", "fresh start, ms"))
        made += [
            Ratio(f"drain rate with many queued / with few, {name}", over(many, few), least=0.8),
            Ratio(f"start on a fresh instance then / idle, {name}", over(fresh, idle), most=3),
            Ratio(
                f"scheduled start after its time, p99, ms, {name}",
                results.median("late p99, ms", name), most=50,
            ),
            Ratio(f"idle CPU, % of a core, {name}", results.median("idle CPU, %", name), most=0.5),
            Ratio(
                f"all running tasks resumed after a kill, s, {name}",
                results.median("resumed after, s", name), most=LEASE_S + 5,
            ),
        ]  # fmt: skip
    return made


def report(bench: Bench, made: list[Ratio], took_s: float) -> str:
    packages = ("apsw", "asyncpg", "procrastinate", "psycopg", "dbos", "uvloop")
    sizes, results = bench.sizes, bench.results
    return "\n".join(
        [
            HEADING,
            "",
            f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            + ", ".join(f"{name} {version(name)}" for name in packages)
            + f", {bench.postgres}; {bench.rounds} rounds, {took_s / 60:.0f} minutes.",
            "",
            *ratio_table(made),
            "",
            "| subject | enqueue to start p50, ms | p99, ms | three-step tasks per second |",
            "|---|---|---|---|",
            *(
                f"| {name} | {figure(results.median('start, ms', name))} | "
                f"{figure(results.median('start p99, ms', name))} | "
                f"{figure(results.median('tasks per s', name))} |"
                for name in (BARE, SQLITE, POSTGRES, PROCRASTINATE, DBOS, EAGER)
            ),
            "",
            f"| | {SQLITE} | {POSTGRES} |",
            "|---|---|---|",
            *(
                f"| {label} | {figure(results.median(what, SQLITE))} | "
                f"{figure(results.median(what, POSTGRES))} |"
                for label, what in _rows(sizes)
            ),
            "",
            _settings(sizes, results),
        ]
    )


def _rows(sizes: Sizes) -> list[tuple[str, str]]:
    return [
        (f"drained per second, {sizes.few_queued:,} queued on {sizes.few_lanes} instances",
         "drained per s, few"),
        (f"drained per second, {sizes.queued:,} queued on {sizes.lanes:,} instances",
         "drained per s, many"),
        ("drained per second, all on one instance", "drained per s, one lane"),
        ("start when idle, p50, ms", "idle start, ms"),
        ("start on a fresh instance while many are queued, p50, ms", "fresh start, ms"),
        ("scheduled start after its time, p50, ms", "late p50, ms"),
        ("scheduled start after its time, p99, ms", "late p99, ms"),
        ("scheduled start after its time, least, ms", "earliest, ms"),
        ("idle CPU, % of a core, all processes together", "idle CPU, %"),
        (f"{sizes.held:,} running tasks resumed after a kill, s", "resumed after, s"),
    ]  # fmt: skip


def _settings(sizes: Sizes, results: Results) -> str:
    per_s, start_ms = results.median("tasks per s", BARE), results.median("start, ms", SQLITE)
    warm_ms = over(1e3 / WRITES, per_s)
    return f"""\
- All: {SLOTS} tasks at once, one worker process; commits are durable (SQLite: WAL with
  `synchronous=FULL`; PostgreSQL: its defaults). Start is from the call that submits to the first
  line of the first step; tasks come one by one. Tasks per second is from the first submit to the
  third step of the last task, with the submits.
- {BARE}: a row and a commit at a time, WAL. Beside a start it is one by one, with the pauses
  that tasks have, too. One right after the other, on a warm processor, it takes
  {figure(warm_ms)} ms, and a start {figure(over(start_ms, warm_ms))} times that;
  tasks per second is the rate of one after the other divided by {WRITES}, for a submit and three
  checkpoints.
- {SQLITE}: submitted through the service by {SLOTS} callers, on
  {sizes.few_lanes} instances. {POSTGRES}: the same, with the worker in another process.
- {PROCRASTINATE}: async jobs, `listen_notify`, `concurrency={SLOTS}`, {CONNECTIONS} connections
  in each pool, deferred in batches of 100. It has no steps: a job reads what it has finished and
  inserts a row after each of three. Without a lock, so jobs of one instance may overlap. (Three
  jobs that defer one another were slower.)
- {DBOS}: a queue without limits, looked at every second, as by default; enqueued by a client,
  100 in a transaction. {EAGER}: for comparison.
- Idle CPU on PostgreSQL is the API's and the worker's together, without the database's.
- After a kill on PostgreSQL another worker takes over, which takes a lease ({LEASE_S:.0f} s);
  on SQLite the same one is started again.
"""


@asynccontextmanager
async def _cluster() -> AsyncIterator[Cluster | None]:
    if binaries() is None:
        say(MISSING)
        yield None
        return
    cluster = Cluster()
    try:
        await asyncio.to_thread(cluster.start)
        yield cluster
    finally:
        await asyncio.to_thread(cluster.remove)


async def measure(sizes: Sizes, rounds: int, parts: tuple[str, ...], work: Path) -> Bench:
    marks = Marks()
    async with _cluster() as cluster:
        bench = Bench(sizes, rounds, work, marks, cluster)
        if cluster is not None:
            bench.postgres = cluster.sql("postgres", VERSION)
        for part in parts:
            await DO[part](bench)
    marks.close()
    return bench


def main() -> int:
    options = _options()
    began = time.monotonic()
    sizes = SMALL if options.small else Sizes()
    rounds = options.rounds or (1 if options.small else 5)
    parts = tuple(options.only or PARTS)
    work = ROOT / "build" / "bench" / "engine"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    bench = uvloop.run(measure(sizes, rounds, parts, work))
    made = ratios(bench.results)
    text = report(bench, made, time.monotonic() - began)
    print(text)
    if options.keep:
        keep_section(text)
        say("kept in docs/benchmarks.md")
    return 0 if all(ratio.is_kept for ratio in made) else 1


def _options() -> argparse.Namespace:
    options = parser("engine", __doc__)
    options.add_argument("--rounds", type=int, help="how often all is measured in turn [5]")
    options.add_argument("--small", action="store_true", help="a minute, and figures mean little")
    options.add_argument(
        "--only", action="append", choices=PARTS, help="this part; may be repeated"
    )
    return options.parse_args()


if __name__ == "__main__":
    sys.exit(main())
