"""A client that reads a Server-Sent Event stream of an ASGI application, event by event."""

import asyncio
import json
from typing import Any

from tests.support.clocks import settled
from tests.support.world import Caller


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
