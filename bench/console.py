"""./run bench console: how long each page takes at a million tasks, on each database.

Pages are asked of the application in this process, without HTTP: their time is that of the server
and its database. Exits 1 when a page's median is over its bound.
"""

import argparse
import asyncio
import os
import platform
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import apsw
import asyncpg
import msgspec
from tests.support.person import Person
from tests.support.postgres_server import Cluster
from tests.support.world import STARTED_AT, World, make_world

from backroom.operations.catalogue import CATALOGUE
from backroom.settings import DATABASE_FILE
from backroom.store.ordering import BASE_SHIFT, LEVELS
from bench.report import figure, keep_section

HEADING = "## Console"
BOUND_MS = 100.0
COUNT, SMALL = 1_000_000, 20_000
INSTANCES = 60
WAITING = 30  # tasks, submitted on top
SPACING = timedelta(seconds=2)
SHARE_OF_FIRST = 0.7  # of the tasks, one instance's
NAMES = [name for name in CATALOGUE if not name.startswith("bulk")]
STATES = (["succeeded"] * 960) + (["failed"] * 25) + (["cancelled"] * 15)
COLUMNS = (
    "key", "id", "project_id", "instance_id", "kind", "name", "user_id", "user_name", "params",
    "state", "created_at", "updated_at", "lane", "version", "epoch", "attempt", "started_at",
    "ended_at", "error_code", "error_msg", "internal",
)  # fmt: skip


@dataclass
class Filling:
    """Tasks as a long life leaves them: some are rare, so that a search must look far."""

    world: World
    count: int

    def __post_init__(self) -> None:
        world = self.world
        self.instances = [world.instance.id]
        for number in range(1, INSTANCES):
            other = msgspec.structs.replace(
                world.instance, id=_instance_id(), name=f"kafka-{number:02}", version=1
            )
            world.do(world.backroom.instances.save(other))
            self.instances.append(other.id)
        self.ends: dict[int, int] = {}
        self.sample = ""

    def rows(self) -> Iterator[tuple[Any, ...]]:
        chance = random.Random(7)
        began = STARTED_AT - SPACING * self.count
        for number in range(self.count):
            at = 0 if chance.random() < SHARE_OF_FIRST else chance.randrange(INSTANCES)
            stream, instance_id = at + 1, self.instances[at]
            self.ends[stream] = ordinal = self.ends.get(stream, 0) + 1
            state = chance.choice(STATES)
            created = began + SPACING * number
            created_at = _text(created)
            ended_at = _text(created + timedelta(seconds=chance.random() * 90))
            is_rare = number % (self.count // 5) == 1
            fault = (
                ("DMS.00500", "the brokers did not answer") if state == "failed" else (None,) * 2
            )
            self.sample = task_id = secrets.token_hex(16)
            yield (
                (stream << BASE_SHIFT) + ordinal, task_id, self.world.project_id, instance_id,
                "background", chance.choice(NAMES), "0" * 32,
                "seldom" if is_rare else f"user-{chance.randrange(10)}",
                '{"public_ip_id":"%s","public_ip_address":"100.93.2.18","enable_public_ip":true}'
                % ("needle" if is_rare else secrets.token_hex(8)),
                state, created_at, ended_at, instance_id, 5, 1, 1, created_at, ended_at, *fault,
                b"{}",
            )  # fmt: skip

    def streams(self) -> list[tuple[Any, ...]]:
        return [
            (stream, self.instances[stream - 1], "background", self.world.project_id, 1, last,
             _text(STARTED_AT), last, 0)
            for stream, last in sorted(self.ends.items())
        ]  # fmt: skip


STREAM_COLUMNS = (
    "id", "instance_id", "kind", "project_id", "first_ordinal", "last_ordinal", "last_created_at",
    "live", "open",
)  # fmt: skip


def fill_sqlite(filling: Filling, data: Path) -> None:
    connection = apsw.Connection(str(data / DATABASE_FILE))
    with connection:
        connection.executemany(_insert("tasks", COLUMNS), filling.rows())
        connection.executemany(_insert("streams", STREAM_COLUMNS), filling.streams())
        for level in LEVELS:
            connection.execute(_counts(level))
    connection.close()


async def fill_postgres(filling: Filling, url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.copy_records_to_table("tasks", records=filling.rows(), columns=COLUMNS)
    for row in filling.streams():
        places = ", ".join(f"${at + 1}" for at in range(len(row)))
        await connection.execute(
            f"INSERT INTO streams ({', '.join(STREAM_COLUMNS)}) OVERRIDING SYSTEM VALUE"
            f" VALUES ({places})",
            *row,
        )
    await connection.execute(
        "SELECT setval(pg_get_serial_sequence('streams', 'id'), (SELECT max(id) FROM streams))"
    )
    for level in LEVELS:
        await connection.execute(_counts(level))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _counts(level: int) -> str:
    return (
        "INSERT INTO task_counts (level, block, live)"
        f" SELECT {level}, key >> {level}, count(*) FROM tasks GROUP BY key >> {level}"
    )


def targets(filling: Filling) -> Mapping[str, str]:
    """Pages by what they show."""
    instance = filling.world.instance.id
    day = STARTED_AT - timedelta(days=10)
    middle = {"from": _text(day), "to": _text(day + timedelta(days=1))}
    filters: dict[str, dict[str, str]] = {
        "all": {},
        "one instance": {"instance": instance},
        "state: succeeded": {"state": "succeeded"},
        "state: failed": {"state": "failed"},
        "state: waiting": {"state": "waiting"},
        "name": {"name": NAMES[0]},
        "user": {"user": "user-3"},
        "a user of five tasks": {"user": "seldom"},
        "a day": middle,
        "text in many": {"text": "100.93"},
        "text in five tasks": {"text": "needle"},
        "text in none": {"text": "nowhere"},
        "one instance, failed, user": {"instance": instance, "state": "failed", "user": "user-3"},
    }
    listed = {
        f"tasks, {what}": f"/console/tasks?{urlencode(given)}" for what, given in filters.items()
    }
    return {
        **listed,
        "one task": f"/console/tasks/{filling.sample}",
        "instances": "/console/instances",
        "one instance": f"/console/instances/{instance}",
        "overview, first": "/console/overview",
        "overview": "/console/overview",
    }


TOTALS = ("tasks, state: succeeded", "tasks, a day", "tasks, text in none")


@dataclass(frozen=True)
class Measured:
    first_ms: float
    median_ms: float
    size: int


def measure(person: Person, target: str, rounds: int) -> Measured:
    path, _, query = target.partition("?")
    times: list[float] = []
    sent: list[Mapping[str, Any]] = []

    async def ask() -> None:
        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": "GET", "scheme": "https", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8443"), (b"cookie", cookies.encode())],
            "server": ("127.0.0.1", 8443), "client": ("127.0.0.1", 50000),
        }  # fmt: skip
        began = time.perf_counter()
        await person.world.backroom.application(scope, receive, send)
        times.append((time.perf_counter() - began) * 1000)

    for _ in range(rounds):
        sent.clear()
        person.world.do(ask())
        assert sent[0]["status"] == 200, (target, sent)
    size = sum(len(part.get("body", b"")) for part in sent[1:])
    return Measured(times[0], statistics.median(times), size)


def all_of(world: World, filling: Filling, rounds: int) -> dict[str, Measured]:
    found: dict[str, Measured] = {}
    person = Person(world).sign_in()
    for what, target in targets(filling).items():
        found[what] = measure(person, target, 1 if what.endswith("first") else rounds)
        _say(f"  {what}: {figure(found[what].median_ms)} ms")
    for what in TOTALS:
        target = targets(filling)[what].replace("/tasks?", "/tasks/total?")
        found[f"total of {what}"] = measure(person, target, 1)
        _say(f"  total of {what}: {figure(found[f'total of {what}'].median_ms)} ms")
    return found


def on_sqlite(count: int, rounds: int) -> dict[str, Measured]:
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder:
        data = Path(folder)
        with closing(make_world(data, database=None)) as world:
            filling = Filling(world, count)
            _say(f"SQLite: filling with {count:,} tasks")
            fill_sqlite(filling, data)
            _submit_some(world)
            return all_of(world, filling, rounds)


def on_postgres(count: int, rounds: int) -> dict[str, Measured]:
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder, ExitStack() as stack:
        cluster = Cluster("fsync=off")
        stack.callback(cluster.remove)
        cluster.start()
        world = stack.enter_context(closing(make_world(Path(folder), database=cluster.url())))
        filling = Filling(world, count)
        _say(f"PostgreSQL: filling with {count:,} tasks")
        asyncio.run(fill_postgres(filling, cluster.url()))
        _submit_some(world)
        return all_of(world, filling, rounds)


def _submit_some(world: World) -> None:
    for _ in range(WAITING):
        world.submit()


def section(found: Mapping[str, Mapping[str, Measured]], count: int, rounds: int) -> str:
    names = list(next(iter(found.values())))
    rows = []
    for what in names:
        cells = [figure(one[what].median_ms) for one in found.values()]
        size = max(one[what].size for one in found.values()) / 1000
        rows.append(f"| {what} | {' | '.join(cells)} | {figure(size)} |")
    databases = ", ms | ".join(found)
    lead = (
        f"{os.cpu_count()} cores, Python {platform.python_version()}; {count:,} tasks of"
        f" {INSTANCES} instances, 70 % of them of one, and {WAITING} that wait; each page asked of"
        f" the application without HTTP; bound: {BOUND_MS:.0f} ms, but for totals, which pages"
        " don't wait for, and for the overview's first time."
    )
    notes = [
        f"- The median of {rounds}; of totals and of the overview's first time a single sample.",
        "- PostgreSQL ran with `fsync=off`: all that is measured are reads.",
    ]
    head = [f"| page | {databases}, ms | kB |", f"|---|{'---|' * (len(found) + 1)}"]
    return "\n".join([HEADING, "", lead, "", *head, *rows, "", *notes, ""])


def _text(moment: Any) -> str:
    return str(moment.isoformat(timespec="milliseconds"))[:-6] + "Z"


def _instance_id() -> str:
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few tasks, for development")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"))
    parser.add_argument("--keep", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    count = SMALL if given.small else COUNT
    measured = {
        name: work(count, given.rounds)
        for name, work in (("SQLite", on_sqlite), ("PostgreSQL", on_postgres))
        if given.only in (None, name)
    }
    text = section(measured, count, given.rounds)
    print(text)
    if given.keep:
        keep_section(text)
    slow = [
        f"{name}: {what}"
        for name, found in measured.items()
        for what, one in found.items()
        if one.median_ms > BOUND_MS and not what.startswith("total") and "first" not in what
    ]
    if slow:
        print("over the bound:", *slow, sep="\n- ")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
