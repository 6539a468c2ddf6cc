"""Real `backroom` processes on loopback, and what they print."""

import os
import select
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BACKROOM = str(Path(sys.executable).with_name("backroom"))
READY_WITHIN_S = 20
ENDS_WITHIN_S = 20


@dataclass(frozen=True)
class Served:
    endpoint: str
    data: Path
    process: "subprocess.Popen[str]"

    @property
    def authority(self) -> Path:
        return self.data / "tls" / "ca.pem"

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def serving(
    data: Path, *arguments: str, command: tuple[str, ...] | None = None
) -> Iterator[Served]:
    """A server on a free loopback port while it answers; `command` for another than ours."""
    first = command or (BACKROOM, "serve", "--data", str(data))
    command = (*first, "--port", "0", *arguments)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
            line = process.stdout.readline() if readable else "(nothing in time)"
            word, _, endpoint = line.strip().partition(" ")
            assert word == "ready", line
            yield Served(endpoint, data, process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(ENDS_WITHIN_S)


def backroom(*arguments: str, **more: object) -> "subprocess.CompletedProcess[str]":
    """One command to its end, whatever its exit code."""
    return subprocess.run(
        [BACKROOM, *arguments],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
        **more,
    )


def environment(data: Path) -> dict[str, str]:
    """What `backroom env` prints for a shell."""
    words = shlex.split(backroom("env", "--data", str(data)).stdout)
    pairs = (word.partition("=") for word in words if word != "export")
    return {name: value for name, _, value in pairs}


def with_environment(data: Path, **before: str) -> dict[str, str]:
    """The environment of a program whose shell evaluated it, on top of what was set before."""
    return os.environ | before | environment(data)
