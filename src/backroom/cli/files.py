"""Reads and writes the files of commands: in pieces, and a written one whole or not at all."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backroom.domain.errors import BackroomError

MAX_LINE = 64 * 1024 * 1024  # bytes; what is longer is no line of ours


class CanNotWrite(BackroomError):
    pass


def lines(file: IO[bytes], seen: Callable[[int], None]) -> Iterator[bytes]:
    """Each with its end; `seen` is told how many bytes were read."""
    size = 0
    while line := file.readline(MAX_LINE):
        size += len(line)
        yield line
        seen(size)


@contextmanager
def writing(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """Gives what writes to a new file, for its owner only, or to standard output."""
    if path is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file.write
                file.flush()
                os.fsync(file.fileno())
            os.link(new, path)  # unlike a rename, it never takes the place of another file
        finally:
            new.unlink()
    except FileExistsError:
        raise CanNotWrite(f"{path} is there already; choose another --output") from None
    except OSError as error:
        raise CanNotWrite(f"{path}: {error.strerror}") from None
