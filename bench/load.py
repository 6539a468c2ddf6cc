"""Keep-alive load from this process, and the processor time it costs the server's process.

A plain epoll loop: a client that can't keep the server busy would measure itself.
"""

import os
import select
import socket
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ANSWER_WITHIN_S = 10
_LENGTH = b"content-length: "


@dataclass(frozen=True)
class Measured:
    cpu_us: float  # of the server's process, per request
    p50_ms: float
    p99_ms: float
    per_s: float


class _Connection:
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, port: int, requests: list[bytes], start: int, count: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._at = start
        self._left = count
        self._buffer = b""
        self.took: list[float] = []
        self._sent_at = 0.0

    def send(self) -> None:
        request = self._requests[self._at]
        self._at = (self._at + 1) % len(self._requests)
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what came; true once this connection has had all its answers."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError("the server closed")
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        at = buffer.find(_LENGTH, 0, end) + len(_LENGTH)
        if end < 0 or len(buffer) < end + 4 + int(buffer[at : buffer.find(b"\r", at)]):
            self._buffer = buffer
            return False
        if not buffer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(buffer[:400].decode("latin-1"))
        self._buffer = b""
        self.took.append(time.perf_counter() - self._sent_at)
        self._left -= 1
        if self._left:
            self.send()
        return not self._left


def load(
    port: int, pid: int, requests: list[bytes], *, count: int, connections: int = 32
) -> Measured:
    """`count` requests in all, spread over the connections; each starts elsewhere in the list."""
    clients = {}
    poll = select.epoll()
    for number in range(connections):
        start = number * len(requests) // connections
        client = _Connection(port, requests, start, count // connections)
        clients[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)
    cpu_before, began = cpu_s(pid), time.perf_counter()
    for client in clients.values():
        client.send()
    under_way = len(clients)
    while under_way:
        ready = poll.poll(ANSWER_WITHIN_S)
        if not ready:
            raise TimeoutError(f"no answer within {ANSWER_WITHIN_S} s")
        for descriptor, _ in ready:
            under_way -= clients[descriptor].receive()
    elapsed, cpu = time.perf_counter() - began, cpu_s(pid) - cpu_before
    poll.close()
    for client in clients.values():
        client.socket.close()
    took = sorted(took for client in clients.values() for took in client.took)
    return Measured(
        cpu / len(took) * 1e6,
        took[len(took) // 2] * 1e3,
        took[len(took) * 99 // 100] * 1e3,
        len(took) / elapsed,
    )


def cpu_s(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
