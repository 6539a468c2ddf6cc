import asyncio

import pytest

from backroom.api.app import Application


def application():
    return Application(None, None, None)


def run(scope, *messages):
    sent, remaining = [], list(messages)

    async def receive():
        return remaining.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(application()(scope, receive, send))
    assert remaining == []
    return [message["type"] for message in sent]


def test_startup_and_shutdown_are_confirmed():
    messages = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert run({"type": "lifespan"}, *messages) == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize("kind", ["websocket", "other"])
def test_what_is_not_http_is_left_alone(kind):
    assert run({"type": kind}) == []
