"""Real `backroom` processes on loopback, and what they print."""

import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
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

    def kill(self) -> None:
        """As a crash of the host does: nothing is tidied up."""
        self.process.kill()
        self.process.wait(ENDS_WITHIN_S)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def serving(
    data: Path,
    *arguments: str,
    log: Path | None = None,
    prefix: Sequence[str] = (),
    command: tuple[str, ...] | None = None,
) -> Iterator[Served]:
    """A server on a free loopback port while it answers; `command` for another than ours.

    What it says on standard error is kept in a pipe, which fills up, or added to the file `log`.
    """
    first = command or (BACKROOM, "serve", "--data", str(data))
    with (
        nullcontext(subprocess.PIPE) if log is None else log.open("ab") as errors,
        subprocess.Popen(
            (*prefix, *first, "--port", "0", *arguments),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
            line = process.stdout.readline() if readable else "(nothing in time)"
            word, _, endpoint = line.strip().partition(" ")
            assert word == "ready", line
            yield Served(endpoint, data, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
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
