"""Keep-alive load from this process, and the processor time it costs the server's process."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    cpu_us: float  # of the server's process, per request
    p50_ms: float
    p99_ms: float
    per_s: float


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, requests: list[bytes], count: int, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._left = count
        self._at = 0
        self._done = done
        self._buffer = b""
        self.took: list[float] = []
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        at = buffer.find(b"content-length: ")
        length = int(buffer[at + 16 : buffer.find(b"\r\n", at)])
        if len(buffer) < end + 4 + length:
            self._buffer = buffer
            return
        if not buffer.startswith(b"HTTP/1.1 200"):
            self._done.set_exception(RuntimeError(buffer[:400].decode("latin-1")))
            return
        self._buffer = b""
        self.took.append(time.perf_counter() - self._sent_at)
        self._left -= 1
        if self._left:
            self._send()
        else:
            self._transport.close()
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the server closed"))

    def _send(self) -> None:
        request = self._requests[self._at % len(self._requests)]
        self._at += 1
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def load(
    port: int, pid: int, requests: list[bytes], *, count: int, connections: int = 32
) -> Measured:
    """`count` requests in all, spread over the connections; each starts elsewhere in the list."""
    loop = asyncio.get_running_loop()
    clients: list[_Connection] = []
    waits: list[asyncio.Future[None]] = []
    cpu_before, began = cpu_s(pid), time.perf_counter()
    for number in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        start = number * len(requests) // connections
        client = _Connection(requests[start:] + requests[:start], count // connections, done)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
        clients.append(client)
        waits.append(done)
    await asyncio.gather(*waits)
    elapsed, cpu = time.perf_counter() - began, cpu_s(pid) - cpu_before
    took = sorted(took for client in clients for took in client.took)
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
