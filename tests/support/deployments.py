"""Real processes on one database, and what is kept there, read from outside."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support import noting_server
from tests.support.builders import USER, make_instance
from tests.support.clients import BIND, UNBIND, Client
from tests.support.engine_world import SPEC
from tests.support.histories import Past, read_past, violations
from tests.support.postgres_server import Cluster
from tests.support.processes import Served, serving
from tests.support.waiting import DEADLINE_S, wait_until

from backroom.bootstrap import Backroom, assemble
from backroom.domain.account import Identity, Project, Role
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId
from backroom.domain.instance import InstanceFilter
from backroom.engine.rescuer import LEASE_S
from backroom.first_start import prepare
from backroom.service import Order
from backroom.settings import DATABASE_FILE, Settings

NEVER = "0001-01-01T00:00:00Z"
FLOOD = 500  # submits at once


async def fill(settings: Settings, instances: int) -> None:
    """A first start, if need be, and that many instances more, each with brokers of its own."""
    backroom = assemble(settings)
    with closing(backroom):
        async with backroom.opened():
            await prepare(backroom)
            (project,) = await backroom.account_store.projects()
            for first in range(1, instances + 1, 100):
                numbers = range(first, min(first + 100, instances + 1))
                await asyncio.gather(*(_add(backroom, project, number) for number in numbers))


async def _add(backroom: Backroom, project: Project, number: int) -> None:
    instance = make_instance(number, project_id=project.id)
    cluster = await backroom.platform.adopt_cluster(instance.id, SPEC)
    await backroom.instances.save(msgspec.structs.replace(instance, brokers=cluster.brokers))


async def flood(
    settings: Settings, order: Order, tasks_each: int = 1, spared: int = 0
) -> list[InstanceId]:
    """Ask so often for the same change of every instance but the first `spared`; returns all."""
    backroom = assemble(settings)
    with closing(backroom):
        async with backroom.opened():
            (project,) = await backroom.account_store.projects()
            who = Identity(project.id, USER, "tester", Role.OPERATOR)
            found, _ = await backroom.instances.find(
                InstanceFilter(project_id=project.id), Page(0, 10_000)
            )
            instances = sorted(one.id for one in found)
            todo = [one for _ in range(tasks_each) for one in instances[spared:]]
            for first in range(0, len(todo), FLOOD):
                some = todo[first : first + FLOOD]
                await asyncio.gather(*(backroom.service.submit(who, one, order) for one in some))
    return instances


class Kept:
    """What a database holds. `execute` runs a statement and gives rows."""

    def __init__(self, execute: Callable[[str], Iterable[Any]]) -> None:
        self.execute = execute

    def number(self, statement: str) -> int:
        for row in self.execute(statement):
            return int(row[0])
        return 0

    def column(self, statement: str) -> list[Any]:
        return [row[0] for row in self.execute(statement)]

    def events(self) -> int:
        return self.number("SELECT coalesce(sum(sequence), 0) FROM chains")

    def unfinished(self) -> int:
        return self.number("SELECT coalesce(sum(open), 0) FROM chains")

    def running(self, worker: str | None = None) -> list[str]:
        """Ids of tasks, of one worker's where it is given."""
        held = self.execute("SELECT id, worker_id FROM tasks WHERE state = 'running'")
        return [task_id for task_id, holder in held if worker in {None, holder}]

    def waiting(self) -> list[str]:
        return self.column("SELECT id FROM tasks WHERE state = 'waiting'")

    def instances(self) -> list[InstanceId]:
        return [InstanceId(one) for one in self.column("SELECT id FROM instances ORDER BY id")]

    def past(self) -> Past:
        return read_past(self.execute)

    def broker_starts(self) -> dict[str, list[int]]:
        """By instance, how often each simulated broker has been started."""
        documents = self.execute(
            "SELECT instance_id, document FROM cluster_parts WHERE part = 'brokers'"
        )
        return {
            instance_id: [starts[-1]["number"] for starts in msgspec.json.decode(kept)["starts"]]
            for instance_id, kept in documents
        }

    def wait_for_the_end(self, each_within_s: float = DEADLINE_S) -> None:
        """As long as tasks end one after the other."""
        while left := self.unfinished():
            try:
                wait_until(lambda left=left: self.unfinished() < left, each_within_s)
            except AssertionError:
                pytest.fail(f"no task ended for {each_within_s} s: {self._left()}")

    def _left(self) -> list[Any]:
        """Tasks and lanes that have not ended, and the last beats."""
        tasks = "SELECT id, state, worker_id, due_at FROM tasks WHERE ended_at IS NULL LIMIT 9"
        lanes = "SELECT lane, ready_at, worker_id FROM lanes LIMIT 9"
        statements = (tasks, lanes, "SELECT id, beat_at FROM workers")
        return [[tuple(row) for row in self.execute(statement)] for statement in statements]


def kept_in_file(data: Path) -> tuple[Kept, Callable[[], None]]:
    """Open it when this process itself has done with the file: there are two SQLites in it."""
    connection = sqlite3.connect(f"file:{data / DATABASE_FILE}?mode=ro", uri=True)
    return Kept(connection.execute), connection.close


def judge(kept: Kept, acknowledged: Iterable[str]) -> Past:
    """Fails on what must not be; a restart that succeeded restarted each broker once."""
    past = kept.past()
    found = violations(past, acknowledged)
    assert not found, f"{len(found)} violations: {found[:9]}"
    lanes = {task.id: task.lane for task in past.tasks}
    done = [
        lanes[event.task_id]
        for event in past.events
        if event.step == "restart_brokers" and event.verb == "record"
    ]
    half = {task.lane for task in past.tasks if task.state == "cancelled"}
    for instance_id, starts in kept.broker_starts().items():
        if instance_id not in half:
            wanted = 1 + done.count(instance_id)
            assert set(starts) == {wanted}, f"{instance_id}: {starts}, wanted {wanted}"
    return past


class Deployment:
    """An API process and workers on one PostgreSQL; each has a data folder of its own."""

    def __init__(self, folder: Path, cluster: Cluster, database: str, instances: int = 0) -> None:
        self._folder = folder
        self.url = cluster.url(database)
        self._stack = ExitStack()
        self.kept = Kept(lambda statement: cluster.rows(database, statement))
        if instances:
            settings = Settings(data=folder / "api", database=self.url)
            asyncio.run(fill(settings, instances))
        self.api = self.start_api()
        self.client = Client(self.api.data, self.api.port)

    def start_api(self) -> Served:
        self.api = self._serve("api", "--role", "api", "--http")
        if hasattr(self, "client"):
            self.client.port = self.api.port
        return self.api

    def start_worker(
        self, name: str, *arguments: str, url: str | None = None, prefix: Sequence[str] = ()
    ) -> Served:
        """A new one, or one that goes on in its folder under its name."""
        self._prepare_worker(name)
        return self._serve(name, "--role", "worker", *arguments, url=url, prefix=prefix)

    def start_noting_worker(self, name: str) -> Served:
        """A new one that notes each step that returned; `step_runs` reads that."""
        folder = self._prepare_worker(name)
        return self._serve(name, "--role", "worker", command=noting_server.command(folder))

    def _prepare_worker(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        shutil.copy(self.api.data / "secret.key", folder)
        (folder / "worker.id").write_text(name)
        return folder

    def step_runs(self, *workers: str) -> Counter[tuple[str, ...]]:
        return noting_server.runs(*(self._folder / name for name in workers))

    def _serve(
        self,
        name: str,
        *arguments: str,
        url: str | None = None,
        prefix: Sequence[str] = (),
        command: tuple[str, ...] | None = None,
    ) -> Served:
        served = serving(
            self._folder / name, "--database", url or self.url, *arguments,
            log=self.log(name), prefix=prefix, command=command,
        )  # fmt: skip
        return self._stack.enter_context(served)

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def submit_many(self, count: int, instance_id: str | None = None) -> None:

        for number in range(count):
            body = UNBIND if number % 2 else BIND
            assert self.client.switch_public_access(body, instance_id)[0] == 204

    def now(self) -> datetime:
        """The database's time of day."""
        found: datetime = self.kept.column("SELECT clock_timestamp()")[0]
        return found

    def beat(self, worker: str) -> datetime:
        """When that one was last heard of."""
        found = dict(self.kept.execute("SELECT id, beat_at FROM workers"))
        return datetime.fromisoformat(found.get(worker, NEVER))

    def wait_for_trust(self, worker: str) -> None:
        """Until its beats have landed for a whole lease: from then on it takes tasks over."""
        trusted_at = self.now() + timedelta(seconds=LEASE_S)
        wait_until(lambda: self.beat(worker) > trusted_at, 2 * LEASE_S)

    def judge(self) -> Past:
        return judge(self.kept, self.client.acknowledged)

    def close(self) -> None:
        self._stack.close()
