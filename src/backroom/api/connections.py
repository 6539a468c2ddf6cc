"""Ends a client's connection without an answer, which no HTTP server offers."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

OPEN_FILES = "/dev/fd"  # Linux and macOS list a process's own there


def cut_off(client: Sequence[Any] | None) -> bool:
    """End the connection of the peer with this host and port. Whether it was found."""
    if client is None:
        return False
    wanted = str(client[0]), int(client[1])
    for listed in Path(OPEN_FILES).iterdir():
        with suppress(OSError):
            if _cut_off_if(int(listed.name), wanted):
                return True
    return False


def _cut_off_if(number: int, wanted: tuple[str, int]) -> bool:
    """Raises OSError where the file is no connected socket, or gone meanwhile."""
    copy = os.dup(number)
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # what is no socket is not taken over
        raise
    with found:
        is_wanted: bool = found.getpeername()[:2] == wanted
        if is_wanted:
            found.shutdown(socket.SHUT_RDWR)
        return is_wanted
