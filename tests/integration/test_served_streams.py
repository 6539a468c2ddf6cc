"""Event streams over a real server: the client leaves, and the server stops."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from tests.support.signer import Signer

from backroom.domain.account import Identity
from backroom.domain.filter import Page
from backroom.domain.instance import InstanceFilter
from backroom.operations.public_ip import UNBIND_PUBLIC_IP, UnbindPublicIp
from backroom.server import running
from backroom.service import Order
from backroom.settings import Settings

pytestmark = pytest.mark.slow


class Reader:
    """One HTTP/1.1 connection with a stream on it."""

    @classmethod
    async def open(cls, endpoint, key, **headers):
        self = cls()
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", int(endpoint.rpartition(":")[2])
        )
        target = f"/backroom/v1/{key.project_id}/events"
        signer = Signer(key.access_key, key.secret_key)
        fields = [
            *signer.headers("GET", target, b"", datetime.now(UTC)),
            (b"accept", b"text/event-stream"),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ]
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.writer.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (target.encode(), lines))
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/event-stream" in head
        return self

    async def event(self):
        while True:
            line = await self.reader.readline()
            assert line, "the stream has ended"
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))

    async def leave(self):
        self.writer.close()
        await self.writer.wait_closed()


def streams_of(backroom):
    (route,) = (one for one in backroom.table.routes if one.operation == "ListProjectEvents")
    return route.handler.__self__._streams


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  threads of the server: they tell nobody
            await asyncio.sleep(0.01)


def test_stream_tells_what_happens_is_closed_by_its_client_and_ends_with_the_server(tmp_path):
    async def watch():
        settings = Settings(data=tmp_path, port=0, is_plain_http=True)
        async with running(settings, asyncio.Event()) as (backroom, endpoint):
            (key,) = await backroom.account_store.access_keys()
            head = await backroom.journal.head(key.project_id)
            first = await Reader.open(endpoint, key, last_event_id=str(head.sequence))
            second = await Reader.open(endpoint, key)
            await submit(backroom, key)
            verbs = [(await first.event())["verb"] for _ in range(2)]
            assert verbs == ["submit", "claim"]
            assert (await second.event())["sequence"] == 1
            assert streams_of(backroom)._open == 2
            await first.leave()
            await until(lambda: streams_of(backroom)._open == 1)
        assert streams_of(backroom)._open == 0
        rest = await second.reader.read()
        assert rest.endswith(b"0\r\n\r\n")
        await second.leave()

    asyncio.run(watch())


async def submit(backroom, key):
    found, _ = await backroom.instances.find(InstanceFilter(project_id=key.project_id), Page())
    who = Identity(key.project_id, key.user_id, key.user_name, key.role)
    order = Order(operation=UNBIND_PUBLIC_IP, params=UnbindPublicIp(), public={})
    await backroom.service.submit(who, found[0].id, order)
