"""One client that asks, waits for the answer, and asks again; on one connection if it may."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANSWERS_WITHIN_S = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@contextmanager
def one_processor(pid: int) -> Iterator[None]:
    """This process and all threads of `pid` take turns on one; theirs they keep, ours go back.

    Of a client that waits and a server, one works at a time. Where the scheduler puts them apart,
    each request wakes idle processors, which may cost more than a bare server does: so a run would
    measure where they happened to be put.
    """
    ours = os.sched_getaffinity(0)
    one = {min(ours)}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), one)
    os.sched_setaffinity(0, one)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


class OneClient:
    """Opens a new connection only where the server closes, or says that it does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises OSError, or RuntimeError for any status but 200."""
        if self._socket is None:
            address = ("127.0.0.1", self._port)
            self._socket = socket.create_connection(address, ANSWERS_WITHIN_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        head, _, body = self._received().partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        missing = 0 if length is None else int(length[1]) - len(body)
        while missing > 0:
            more = self._received()
            body += more
            missing -= len(more)
        if _CLOSES.search(head):
            self.close()
        if b" 200 " not in head[:16]:
            raise RuntimeError((head + body)[:400].decode("latin-1"))
        return body

    def _received(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError("the server closed")
        return data

    def per_s(self, request: bytes, count: int) -> float:
        """Requests per second, after a tenth as many to warm up."""
        for _ in range(count // 10):
            self.ask(request)
        began = time.perf_counter()
        for _ in range(count):
            self.ask(request)
        return count / (time.perf_counter() - began)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
