"""Runs a command on a terminal of its own, and reads what a person would see."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

WITHIN_S = 20.0
_ORDERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.raw = ""

    @property
    def text(self) -> str:
        """Without the terminal's orders."""
        return _ORDERS.sub("", self.raw)

    def read_until(self, words: str) -> str:
        until = time.monotonic() + WITHIN_S
        while words not in self.text:
            assert time.monotonic() < until, self.text
            assert self._read(until), self.text
        return self.text

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def end(self) -> int:
        """The exit code, once everything was read."""
        until = time.monotonic() + WITHIN_S
        while self._read(until):
            pass
        return self._process.wait(WITHIN_S)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return False
        try:
            more = os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.raw += more.decode("utf-8", "replace")
        return bool(more)


@contextmanager
def terminal(*command: str, columns: int = 120, **environment: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        env.pop(name, None)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  for Ctrl-C
    ) as process:  # fmt: skip
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)
