"""The peer of bench/show: the least that an ASGI server can be asked to do."""

import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

BODY = b'{"hello": "world"}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}
END = {"type": "http.response.body", "body": BODY}


async def app(_scope, _receive, send):  # type: ignore[no-untyped-def]
    await send(START)
    await send(END)


async def main(port: int) -> None:
    await Server(
        app, "127.0.0.1", port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False
    ).serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
