"""Waits for what another process does, up to a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 20.0
POLL_S = 0.05


def wait_until(condition: Callable[[], T | None]) -> T:
    """What `condition` answers as soon as that is true."""
    until = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(POLL_S)  # another process: there is no event to wait for
    return found
