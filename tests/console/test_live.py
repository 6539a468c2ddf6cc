"""The stream that tells a page that something changed."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from tests.support.person import Person

from backroom.console import live
from backroom.domain.account import Identity, Role
from backroom.operations.public_ip import BIND_PUBLIC_IP, BindPublicIp
from backroom.ports import PublicAddress
from backroom.service import Order


class Reader:
    """One open stream; `read` gives the next block of lines, signs of life left out."""

    def __init__(self, person, target):
        path, _, query = target.partition("?")
        cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
        self.scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": "GET", "scheme": "https", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"x"), (b"cookie", cookies.encode())],
            "server": ("127.0.0.1", 8443), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        self.left = asyncio.Event()
        self.begun = asyncio.Event()
        self.blocks = asyncio.Queue()
        self.status = None

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun.set()
        elif message.get("body") and message["body"] != b": still here\n\n":
            await self.blocks.put(message["body"].decode())

    async def read(self):
        async with asyncio.timeout(5):
            return await self.blocks.get()


@asynccontextmanager
async def reading(world, person, target="/console/live"):
    reader = Reader(person, target)
    serving = asyncio.ensure_future(
        world.backroom.application(reader.scope, reader.receive, reader.send)
    )
    try:
        assert "retry" in await reader.read()
        yield reader
    finally:
        reader.left.set()
        await serving


@pytest.fixture
def order(world):
    """What `world.submit` does, from within a loop."""
    who = Identity(world.project_id, world.key.user_id, world.key.user_name, Role.ADMIN)
    address = PublicAddress("eip-1", "100.64.0.1")
    params = BindPublicIp(addresses=(address,), bandwidth_mbit_per_s=5)
    made = Order(operation=BIND_PUBLIC_IP, params=params, public={"public_ip_id": "eip-1"})
    return lambda: world.backroom.service.submit(who, world.instance.id, made)


def test_a_change_is_told_and_nothing_before_it(world, admin, order):
    world.submit()

    async def work():
        async with reading(world, admin) as reader:
            await order()
            assert "data: 1" in await reader.read()

    world.do(work())


def test_a_stream_is_of_one_instance_or_task_where_asked(world, admin, order):
    task_id = world.submit()

    async def work():
        async with (
            reading(world, admin, f"/console/live?task={task_id}") as of_task,
            reading(world, admin, f"/console/live?instance={world.instance.id}") as of_instance,
        ):
            await order()
            assert "data: 1" in await of_instance.read()
            assert of_task.blocks.empty()

    world.do(work())


def test_it_ends_with_the_session(world, order):
    caller = world.caller(Role.VIEWER)
    person = Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)

    async def work():
        async with reading(world, person) as reader:
            await world.backroom.accounts.revoke_key(None, caller.signer.access_key)
            while True:
                block = await reader.read()
                if "event: over" in block:
                    return

    world.do(work())


def test_streams_are_bounded(world, admin, monkeypatch):
    monkeypatch.setattr(live, "STREAMS_MOST", 1)

    async def work():
        async with reading(world, admin):
            refused = Reader(admin, "/console/live")
            await world.backroom.application(refused.scope, refused.receive, refused.send)
            assert refused.status == 503
        async with reading(world, admin):
            pass

    world.do(work())


def test_streams_that_come_at_once_are_bounded(world, admin, monkeypatch):
    monkeypatch.setattr(live, "STREAMS_MOST", 2)
    readers = [Reader(admin, "/console/live") for _ in range(10)]

    async def work():
        serving = [
            asyncio.ensure_future(world.backroom.application(one.scope, one.receive, one.send))
            for one in readers
        ]
        async with asyncio.timeout(5):
            await asyncio.gather(*(one.begun.wait() for one in readers))
        for one in readers:
            one.left.set()
        await asyncio.gather(*serving)
        async with reading(world, admin), reading(world, admin):
            pass

    world.do(work())
    assert sorted(one.status for one in readers) == [200] * 2 + [503] * 8


def test_it_ends_with_the_session_whatever_goes_on(world, monkeypatch):
    caller = world.caller(Role.VIEWER)
    person = Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)
    monkeypatch.setattr(live, "QUIET_S", 0.0)

    async def endless(wanted, most):
        await asyncio.sleep(0)
        return [SimpleNamespace(sequence=wanted.after + 1)]

    async def work():
        monkeypatch.setattr(world.backroom.journal, "events", endless)
        async with reading(world, person) as reader:
            await world.backroom.accounts.revoke_key(None, caller.signer.access_key)
            async with asyncio.timeout(10):  # what came before it was revoked is read first
                while "event: over" not in await reader.read():
                    pass

    world.do(work())


def test_a_head_of_it_is_answered_and_over(admin):
    answer = admin._ask("HEAD", "/console/live", b"", {})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_no_stream_is_of_another_project(world, order):
    caller = world.caller(project_id=world.other_project())
    stranger = Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)

    async def work():
        target = f"/console/live?instance={world.instance.id}"
        async with reading(world, stranger, target) as reader:
            await order()
            assert reader.blocks.empty()

    world.do(work())
