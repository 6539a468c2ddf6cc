"""What is kept of an exception: its type, its words where they can't hold a secret, its places."""

import traceback
from types import TracebackType

from backroom.domain.lifecycle import Fault

FAULT_CODE = "DMS.00500000"  # [D] Internal service error.


def fault_of(error: BaseException, step: str | None, *, hides_values: bool) -> Fault:
    return Fault(
        code=FAULT_CODE,
        message=_said_by(error, hides_values=hides_values),
        step=step,
        trace=_trace(error.__traceback__),
    )


def storable(text: str) -> str:
    """File names may hold halves of characters, which no database takes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _said_by(error: BaseException, *, hides_values: bool) -> str:
    """What the exception says; its type alone where its text could quote a secret."""
    name = type(error).__name__
    return name if hides_values or not str(error) else storable(f"{name}: {error}")


def _trace(where: TracebackType | None) -> str:
    """Places and source lines only: no values."""
    return "".join(traceback.format_tb(where)) or "(no trace)"
