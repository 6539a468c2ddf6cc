"""A whole Backroom in this process: its application, a clock that we move, engine by rounds."""

import asyncio
import json
import re
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from tests.support.bodies import login_body
from tests.support.clocks import seen_on_its_way
from tests.support.postgres_server import DATABASES
from tests.support.signer import Headers, Signer

from backroom.bootstrap import Backroom, assemble, is_shared
from backroom.domain.account import Identity, Project, Role
from backroom.domain.filter import Page
from backroom.domain.ids import WorkerId, new_project_id
from backroom.domain.instance import Instance, InstanceFilter
from backroom.domain.task import Task
from backroom.engine.attempt import Attempt
from backroom.first_start import prepare
from backroom.operations.public_ip import BIND_PUBLIC_IP, BindPublicIp
from backroom.ports import PublicAddress
from backroom.service import Order
from backroom.settings import Settings

T = TypeVar("T")

WORKER = WorkerId("tester")
STARTED_AT = datetime(2026, 3, 4, 5, 6, 7, 8000, tzinfo=UTC)
REQUEST_ID = re.compile(r"[0-9a-f]{32}")


class MovableClock:
    def __init__(self, moment: datetime = STARTED_AT) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        if not event.is_set() and until is not None:
            self.moment = max(self.moment, until)
        return event.is_set()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error_code"]

    @property
    def message(self) -> str:
        return self.json["error_msg"]

    @property
    def without_request_id(self) -> bytes:
        return self.body.replace(self.headers["x-request-id"].encode(), b"-")


def checked(answer: Answer, method: str) -> Answer:
    """What every answer promises, whatever was asked."""
    headers = answer.headers
    assert REQUEST_ID.fullmatch(headers["x-request-id"])
    assert not 300 <= answer.status < 400 or answer.status == 304
    assert answer.status < 500 or answer.status == 501
    if answer.status in (204, 304):
        assert answer.body == b""
        assert "content-type" not in headers
        assert "content-length" not in headers
        return answer
    assert headers["content-type"] == "application/json"
    if method == "HEAD":
        assert answer.body == b""
        return answer
    assert int(headers["content-length"]) == len(answer.body)
    if answer.status >= 400:
        assert list(answer.json) == ["error_code", "error_msg", "request_id"]
        assert all(isinstance(value, str) and value for value in answer.json.values())
        assert answer.json["request_id"] == headers["x-request-id"]
    return answer


async def ask(
    application: Any,
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Headers,
    parts: Iterable[bytes],
    http_version: str = "1.1",
) -> Answer:
    """One request to an ASGI application, its body in these parts."""
    remaining = list(parts) or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not remaining:
            return {"type": "http.disconnect"}
        part = remaining.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(remaining)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": http_version,
        "method": method,
        "scheme": "https",
        "path": raw_path.decode("latin-1"),
        "raw_path": raw_path,
        "query_string": raw_query,
        "headers": headers,
        "server": ("127.0.0.1", 8443),
    }
    await application(scope, receive, send)
    start, *bodies = sent
    fields = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    assert len(fields) == len(start["headers"]), "a header twice"
    return Answer(start["status"], fields, b"".join(part["body"] for part in bodies))


@dataclass(frozen=True, repr=False)
class Caller:
    """Somebody who calls. `signer`, else `token`, else nobody proves who it is."""

    world: "World"
    signer: Signer | None = None
    token: str | None = None

    def get(self, target: str, **more: Any) -> Answer:
        return self.call("GET", target, **more)

    def post(self, target: str, content: Any = None, **more: Any) -> Answer:
        return self.call("POST", target, json.dumps(content).encode(), **more)

    def put(self, target: str, **more: Any) -> Answer:
        return self.call("PUT", target, **more)

    def delete(self, target: str, **more: Any) -> Answer:
        return self.call("DELETE", target, **more)

    def call(
        self, method: str, target: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        more = [(name.lower().encode(), value.encode()) for name, value in headers]
        return self.send(method, target, body, [*self.proof(method, target, body), *more])

    def proof(self, method: str, target: str, body: bytes = b"") -> Headers:
        if self.signer is not None:
            return self.signer.headers(method, target, body, self.world.clock.now())
        return [] if self.token is None else [(b"x-auth-token", self.token.encode())]

    def send(
        self,
        method: str,
        target: str | bytes,
        body: bytes | list[bytes] = b"",
        headers: Headers | None = None,
        http_version: str = "1.1",
    ) -> Answer:
        """Exactly these headers, and a content-length unless the body comes in parts."""
        raw = target if isinstance(target, bytes) else target.encode()
        path, _, query = raw.partition(b"?")
        fields = list(headers or [])
        if isinstance(body, bytes):
            parts = [body]
            if body:
                fields.append((b"content-length", b"%d" % len(body)))
        else:
            parts = body
            if http_version == "1.1":
                fields.append((b"transfer-encoding", b"chunked"))
        application = self.world.backroom.application
        asked = ask(application, method, path, query, fields, parts, http_version)
        return checked(self.world.do(asked), method)


@dataclass(repr=False)
class World:
    backroom: Backroom
    clock: MovableClock
    runner: asyncio.Runner
    stack: AsyncExitStack
    _names: int = field(default=0)
    begun: list[Task] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def __post_init__(self) -> None:
        (self.key,) = self.do(self.backroom.account_store.access_keys())
        self.project_id = self.key.project_id
        found, _ = self.do(
            self.backroom.instances.find(InstanceFilter(project_id=self.project_id), Page())
        )
        self.instance: Instance = found[0]
        self.admin = Caller(self, Signer(self.key.access_key, self.key.secret_key))
        self.nobody = Caller(self)

    @property
    def instance_path(self) -> str:
        return f"/v2/{self.project_id}/instances/{self.instance.id}"

    @property
    def tasks_path(self) -> str:
        return f"{self.instance_path}/tasks"

    @property
    def scheduled_path(self) -> str:
        return f"{self.instance_path}/scheduled-tasks"

    @property
    def public_access_path(self) -> str:
        return f"/v1/{self.project_id}/instances/{self.instance.id}/public-boundwidth"

    @property
    def create_path(self) -> str:
        return f"/v2/{self.project_id}/kafka/instances"

    def caller(self, role: Role = Role.OPERATOR, project_id: str | None = None) -> Caller:
        """Somebody with a new key."""
        self._names += 1
        access_key, secret_key = f"AK{self._names}", f"secret-of-{self._names}"
        self.do(
            self.backroom.accounts.add_key(
                None, access_key, secret_key, project_id or self.project_id, role
            )
        )
        return Caller(self, Signer(access_key, secret_key))

    def other_project(self) -> str:
        project = Project(id=new_project_id(), name="elsewhere")
        self.do(self.backroom.account_store.add_project(project))
        return project.id

    def user(
        self, name: str, password: str, role: Role = Role.OPERATOR, project_id: str | None = None
    ) -> None:
        work = self.backroom.accounts.add_user(name, password, project_id or self.project_id, role)
        self.do(work)

    def log_in(self, name: str, password: str) -> Caller:
        answer = self.nobody.post("/v3/auth/tokens", login_body(name, password))
        assert answer.status == 201
        return Caller(self, token=answer.headers["x-subject-token"])

    def bind(self, caller: Caller | None = None, **body: Any) -> str:
        """Ask for public access; the task's id."""
        self._names += 1  # the same body in the same second would be the same signature
        wanted = body or {"publicip_id": f"eip-{self._names}", "public_boundwidth": 5}
        answer = (caller or self.admin).post(self.public_access_path, wanted)
        assert answer.status == 204
        return self.newest()["id"]

    def submit(self, execute_at: datetime | None = None, **params: Any) -> str:
        """A task as the service takes it, with no HTTP; a scheduled one if told when."""
        address = PublicAddress(params.get("publicip_id", "eip-1"), "100.64.0.1")
        order = Order(
            operation=BIND_PUBLIC_IP,
            params=BindPublicIp(addresses=(address,), bandwidth_mbit_per_s=5),
            public={"public_ip_id": address.id, "public_ip_address": address.address},
            execute_at=execute_at,
        )
        who = Identity(self.key.project_id, self.key.user_id, self.key.user_name, self.key.role)
        return self.do(self.backroom.service.submit(who, self.instance.id, order)).task_id

    def lose_brokers(self) -> None:
        """Behind the back of everybody: what needs them fails from now on."""
        self.do(self.backroom.platform.delete_cluster(self.instance.id))
        self.clock.move(seconds=60)
        assert self.do(self.backroom.platform.observe(self.instance.id)) is None

    def newest(self) -> dict[str, Any]:
        return self.admin.get(self.tasks_path).json["tasks"][0]

    def show(self, task_id: str) -> dict[str, Any]:
        (task,) = self.admin.get(f"{self.tasks_path}/{task_id}").json["tasks"]
        return task

    def shown_instance(self) -> dict[str, Any]:
        return self.admin.get(self.instance_path).json

    def begin(self) -> None:
        """A worker has claimed what is due, and has not come to its first step yet."""
        self.begun = self.do(self.claim())

    async def claim(self, worker: WorkerId = WORKER) -> list[Task]:
        return await self.backroom.tasks.claim(worker, 64, self.clock.now())

    def run_round(self) -> int:
        """What is due now, each until it ends or waits. Returns how many attempts there were."""
        return self.do(self._round())

    def run_until_idle(self) -> None:
        """Everything, the clock moved to whatever comes next."""
        self.do(self._until_idle())

    async def _round(self) -> int:
        begun, self.begun = self.begun, []
        claimed = begun + await self.claim()
        for task in claimed:
            await Attempt(task, self.backroom.around).run()
        return len(claimed)

    async def _until_idle(self) -> None:
        while True:
            if await self._round():
                continue
            due_at = await self.backroom.tasks.next_due()
            if due_at is None:
                return
            self.clock.moment = max(self.clock.moment, due_at)

    @property
    def is_on_postgres(self) -> bool:
        return is_shared(self.backroom.settings)

    def dump(self) -> dict[str, list[Any]]:
        """All that is stored."""
        return {name: sorted(self.sql(f"SELECT * FROM {name}"), key=repr) for name in self._tables}  # noqa: S608

    @cached_property
    def _tables(self) -> list[str]:
        named = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if self.is_on_postgres:
            named = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return [name for (name,) in self.sql(named)]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Behind the back of everybody; the rows it gives."""
        if not self.is_on_postgres:
            return self.backroom.tasks._reader.execute(statement).fetchall()
        return [tuple(row) for row in self.do(self.backroom.tasks._postgres.fetch(statement))]

    def close(self) -> None:
        self.do(self.stack.aclose())
        self.backroom.close()
        self.runner.close()


def make_world(data: Path, clock: Any = None, **settings: Any) -> World:
    """`clock`: another one that tests move."""
    clock = clock or MovableClock()
    database = settings.pop("database", "sqlite://")
    tracer = settings.pop("tracer", None)
    backroom = assemble(Settings(data=data, database=database, **settings), clock, tracer)
    runner, stack = asyncio.Runner(), AsyncExitStack()
    runner.run(stack.enter_async_context(backroom.opened()))
    runner.run(prepare(backroom))
    return World(backroom, clock, runner, stack)


ON_EACH_DATABASE = ("sqlite", pytest.param("postgres", marks=pytest.mark.slow))


@contextmanager
def world_on(kind: str, data: Path, clock: Any = None) -> Iterator[World]:
    """On SQLite in memory, or on a PostgreSQL of the tests' own: skips where there is none."""
    if kind == "sqlite":
        with closing(make_world(data, clock)) as made:
            yield made
        return
    with DATABASES.lent() as url, closing(make_world(data, clock, database=url)) as made:
        postgres = made.backroom.tasks._postgres
        postgres.run = seen_on_its_way(postgres.run)
        yield made


def changed(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)
