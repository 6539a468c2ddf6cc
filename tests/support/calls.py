"""Signed calls over a real connection, on a server that runs in a thread."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.support.signer import Signer


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Calls:
    """`signer` None: nobody proves who it is."""

    def __init__(self, endpoint: str, signer: Signer | None = None) -> None:
        self._connection = HTTPConnection(urlsplit(endpoint).netloc, timeout=20)
        self._host = urlsplit(endpoint).netloc
        self._signer = signer

    def __call__(self, method: str, target: str, content: Any = None) -> Reply:
        if not isinstance(content, bytes):  # those go as they are
            content = b"" if content is None else json.dumps(content).encode()
        body = content
        headers = {"content-type": "application/json"}
        if self._signer is not None:
            proof = self._signer.headers(method, target, body, datetime.now(UTC), self._host)
            headers = {name.decode(): value.decode() for name, value in proof}
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, fields, answer.read())

    def close(self) -> None:
        self._connection.close()
