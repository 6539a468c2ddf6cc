"""A client that reads a Server-Sent Event stream of an ASGI application, event by event.

And what its tests do in a world whose clock they move while somebody waits.
"""

import asyncio
import json
from contextlib import contextmanager
from typing import Any

from tests.support.clocks import settled
from tests.support.world import (
    WORKER,
    Caller,
    ask,
    checked,
)

from backroom.api.streams import EventStreams
from backroom.domain import lifecycle
from backroom.domain.account import Identity
from backroom.engine.attempt import Attempt
from backroom.operations.public_ip import UNBIND_PUBLIC_IP, UnbindPublicIp
from backroom.service import Order

UNBIND = Order(operation=UNBIND_PUBLIC_IP, params=UnbindPublicIp(), public={})


class Stream:
    """Open from `opened` on. `texts` has what came and was not read yet, whole blocks of lines."""

    def __init__(self, caller: Caller, target: str, **headers: str) -> None:
        path, _, query = target.partition("?")
        fields = [*caller.proof("GET", target), (b"accept", b"text/event-stream")]
        fields += [(name.encode().replace(b"_", b"-"), v.encode()) for name, v in headers.items()]
        self._scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "headers": fields,
        }  # fmt: skip
        self._left = asyncio.Event()
        self.reads = asyncio.Event()  # cleared: the client takes nothing
        self.reads.set()
        self._rest = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.texts: list[str] = []
        self.is_whole = False
        self._serving = asyncio.ensure_future(
            caller.world.backroom.application(self._scope, self._receive, self._send)
        )

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        await self.reads.wait()
        *texts, self._rest = (self._rest + message["body"]).split(b"\n\n")
        self.texts += [text.decode() for text in texts]
        self.is_whole = not message.get("more_body", False)

    async def events(self) -> list[dict[str, Any]]:
        """Those that have come by now."""
        await settled()
        texts, self.texts = self.texts, []
        found = []
        for text in texts:
            lines = dict(line.split(": ", 1) for line in text.splitlines())
            if "data" in lines:
                event = json.loads(lines["data"])
                assert lines == {"id": str(event["sequence"]), "data": lines["data"]}
                found.append(event)
        return found

    async def leave(self) -> None:
        self._left.set()
        await settled()
        assert self._serving.done()
        self._serving.result()

    async def end(self) -> None:
        """It has come to its end by itself."""
        await settled()
        assert self._serving.done()
        self._serving.result()
        assert self.is_whole


def identity(world):
    key = world.key
    return Identity(key.project_id, key.user_id, key.user_name, key.role)


async def submit(world):
    submitted = await world.backroom.service.submit(identity(world), world.instance.id, UNBIND)
    return submitted.task_id


async def claim(world):
    (task,) = await world.backroom.tasks.claim(WORKER, 1, world.clock.now())
    return Attempt(task, world.backroom.around)


async def run(world):
    """What is due, to its end."""
    running = asyncio.ensure_future((await claim(world)).run())
    await world.clock.pass_until(running.done)


async def end_and_delete(world, task_id):
    task = await world.backroom.tasks.get(task_id)
    cancelled = lifecycle.cancel(task, world.clock.now(), "tester")
    return cancelled, lifecycle.delete(cancelled.task, world.clock.now(), "tester")


def native(world, path=""):
    return f"/backroom/v1/{world.project_id}{path}"


def of_task(world, task_id):
    return native(world, f"/tasks/{task_id}/events")


@contextmanager
def counted(what, name):
    """What `name` is called with meanwhile."""
    calls, method = [], getattr(what, name)

    def noted(*given):
        calls.append(given)
        return method(*given)

    setattr(what, name, noted)
    try:
        yield calls
    finally:
        setattr(what, name, method)


def verbs(events):
    return [event["verb"] for event in events]


def streams_of(world):
    (route,) = (one for one in world.backroom.table.routes if one.operation == "ListTaskEvents")
    streams = route.handler.__self__._streams
    assert isinstance(streams, EventStreams)
    return streams


def waiting(world, task_id, *headers):
    """The show of a task by a client that wants to wait."""
    target = f"{world.tasks_path}/{task_id}"
    fields = [(name.encode(), value.encode()) for name, value in headers]
    return asyncio.ensure_future(asked(world, target, [*world.admin.proof("GET", target), *fields]))


async def asked(world, target, fields):
    application = world.backroom.application
    return checked(await ask(application, "GET", target.encode(), b"", fields, []), "GET")
