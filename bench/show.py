"""./run bench show: what showing and listing tasks costs, beside a bare ASGI hello.

Every figure is a ratio of medians over interleaved rounds. Exits 1 when a ratio is missed.
"""

import argparse
import contextlib
import os
import platform
import random
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bench.filling import BEGAN, SPACING, fill
from bench.load import Measured, cpu_s, load, rss_mb
from bench.report import Ratio, keep_section, parser, ratio_table, say
from bench.signer import signed_get

ROOT = Path(__file__).parent.parent
BACKROOM = str(Path(sys.executable).with_name("backroom"))
IDLE_S = 10
KEEP_ALL = ("--retention-days", "0", "--keep-most", "0")  # the tasks are years old
BARE_IMPORTS = "import granian, msgspec, apsw, cryptography"


@dataclass
class Subject:
    """A server with the requests it gets, and what was measured of them."""

    name: str
    port: int
    pid: int
    requests: list[bytes]
    count: int
    rounds: list[Measured] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(getattr(measured, what) for measured in self.rounds)


def main() -> int:
    options = _options()
    work = ROOT / "build" / "bench"
    sizes = {"10k": 10_000, "1M": options.tasks, "5M": options.many}
    with contextlib.ExitStack() as stack:
        subjects: list[Subject] = []
        for name, count in sizes.items():
            subjects += _backrooms(stack, work / name, name, count)
        shown = next(subject.requests for subject in subjects if subject.name == "show 1M")
        subjects.insert(0, bare_hello(stack, shown))
        say(f"idle for {IDLE_S} s")
        idle_pid = subjects[-1].pid
        before = cpu_s(idle_pid)
        time.sleep(IDLE_S)
        idle_cpu = (cpu_s(idle_pid) - before) / IDLE_S * 100
        _measure(subjects, options.rounds)
        fresh_rss = _fresh_rss(work / "fresh")
    starts = _starts(work / "10k", options.rounds)
    ratios = _ratios({subject.name: subject for subject in subjects}, starts)
    facts = {"idle RSS, MB (under 80)": fresh_rss, "idle CPU, % of a core (under 0.5)": idle_cpu}
    text = _report(subjects, ratios, facts, sizes)
    print(text)
    if options.keep:
        keep_section(text)
        say("kept in docs/benchmarks.md")
    is_kept = all(ratio.is_kept for ratio in ratios)
    return 0 if is_kept and fresh_rss < 80 and idle_cpu < 0.5 else 1


def _options() -> argparse.Namespace:
    options = parser("show", __doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--tasks", type=int, default=1_000_000)
    options.add_argument("--many", type=int, default=5_000_000)
    return options.parse_args()


def bare_hello(stack: contextlib.ExitStack, requests: list[bytes]) -> Subject:
    """The peer gets the very requests that show gets, and looks at nothing of them."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.hello", str(port)], cwd=ROOT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    _wait_for(port)
    return Subject("hello", port, process.pid, requests, 32_000)


def _backrooms(stack: contextlib.ExitStack, data: Path, name: str, count: int) -> Iterator[Subject]:
    ids = _filled(data, count)
    pid, port, env = stack.enter_context(_served(data))
    keys = (env["CLOUD_SDK_AK"], env["CLOUD_SDK_SK"], env["BACKROOM_PROJECT_ID"])
    tasks = f"/v2/{keys[2]}/instances/{env['BACKROOM_INSTANCE_ID']}/tasks"
    chance = random.Random(1)
    shown = [signed_get(port, f"{tasks}/{task_id}", "", *keys) for task_id in ids]
    chance.shuffle(shown)
    yield Subject(f"show {name}", port, pid, shown, 32_000)
    if name != "1M":
        return
    first = [signed_get(port, tasks, "limit=50", *keys)]
    yield Subject("list first", port, pid, first, 4_000)
    deep = [
        signed_get(port, tasks, f"limit=50&start={chance.randrange(1, count - 50)}", *keys)
        for _ in range(500)
    ]
    yield Subject("list any depth", port, pid, deep, 4_000)
    timed = [signed_get(port, tasks, _window(chance, count), *keys) for _ in range(500)]
    yield Subject("list in times", port, pid, timed, 4_000)


def _window(chance: random.Random, count: int) -> str:
    start, end = sorted(chance.sample(range(count), 2))
    begin, finish = (f"{BEGAN + SPACING * n:%Y%m%d%H%M%S}" for n in (start, end))
    skip = chance.randrange(1, max(2, end - start))
    return f"begin_time={begin}&end_time={finish}&limit=50&start={skip}"


def _filled(data: Path, count: int) -> list[str]:
    """The folder is kept from run to run: filling five million takes minutes."""
    ids = data / "ids.txt"
    if ids.exists() and (data / "count.txt").read_text() == str(count):
        return ids.read_text().split()
    shutil.rmtree(data, ignore_errors=True)
    with _served(data):
        pass
    say(f"filling {data.relative_to(ROOT)} with {count:,} tasks")
    sampled = fill(data, count)
    ids.write_text("\n".join(sampled))
    (data / "count.txt").write_text(str(count))
    return sampled


@contextlib.contextmanager
def _served(data: Path) -> Iterator[tuple[int, int, dict[str, str]]]:
    command = [BACKROOM, "serve", "--http", "--port", "0", "--data", str(data), *KEEP_ALL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        printed = subprocess.run(
            [BACKROOM, "env", "--data", str(data)], capture_output=True, text=True, check=True
        ).stdout
        pairs = (word.partition("=") for word in shlex.split(printed) if word != "export")
        try:
            yield process.pid, port, {name: value for name, _, value in pairs}
        finally:
            process.terminate()
            process.wait()


def _measure(subjects: list[Subject], rounds: int) -> None:
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}{' (warm-up)' if number == 0 else ''}")
        for subject in subjects:
            measured = load(subject.port, subject.pid, subject.requests, count=subject.count)
            if number:
                subject.rounds.append(measured)


def _fresh_rss(data: Path) -> float:
    shutil.rmtree(data, ignore_errors=True)
    with _served(data) as (pid, _, _):
        return rss_mb(pid)


def _starts(data: Path, rounds: int) -> tuple[float, float]:
    """Median seconds of bare imports and of a start to `ready`, interleaved."""
    bare, ready = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", BARE_IMPORTS], check=True)
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        command = [BACKROOM, "serve", "--port", "0", "--data", str(data), *KEEP_ALL]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            ready.append(time.perf_counter() - began)
            process.terminate()
    return statistics.median(bare), statistics.median(ready)


def _ratios(by_name: dict[str, Subject], starts: tuple[float, float]) -> list[Ratio]:
    def cpu(name: str) -> float:
        return by_name[name].median("cpu_us")

    hello, show = by_name["hello"], by_name["show 1M"]
    return [
        Ratio("show of 1M / hello, CPU", cpu("show 1M") / cpu("hello"), most=2.0),
        Ratio("show of 1M / hello, p99", show.median("p99_ms") / hello.median("p99_ms"), most=4.0),
        Ratio("show of 5M / show of 10k, CPU", cpu("show 5M") / cpu("show 10k"), most=1.15),
        Ratio("list, first page / show, CPU", cpu("list first") / cpu("show 1M"), most=4.0),
        Ratio("list, any depth / show, CPU", cpu("list any depth") / cpu("show 1M"), most=4.0),
        Ratio("list, time window / show, CPU", cpu("list in times") / cpu("show 1M"), most=4.0),
        Ratio("start to ready / bare imports", starts[1] / starts[0], most=2.5),
    ]


def _report(
    subjects: list[Subject], ratios: list[Ratio], facts: dict[str, float], sizes: dict[str, int]
) -> str:
    lines = [
        "## Show and list",
        "",
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("granian", "apsw", "msgspec", "uvloop"))
        + f"; signed requests over plain HTTP, 32 keep-alive connections, one process; "
        f"{', '.join(f'{count:,}' for count in sizes.values())} stored tasks of one instance.",
        "",
        *ratio_table(ratios),
        "",
        "| subject | CPU per request, us | p50, ms | p99, ms | requests per second |",
        "|---|---|---|---|---|",
        *(
            f"| {subject.name} | {subject.median('cpu_us'):.0f} | {subject.median('p50_ms'):.2f} | "
            f"{subject.median('p99_ms'):.2f} | {subject.median('per_s'):.0f} |"
            for subject in subjects
        ),
        "",
        *(f"- {name}: {value:.2f}" for name, value in facts.items()),
        "",
    ]
    return "\n".join(lines)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing answers on {port}")


if __name__ == "__main__":
    sys.exit(main())
