"""Waits for what another process does, up to a deadline."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 20.0
POLL_S = 0.05


def wait_until(
    condition: Callable[[], T | None], within_s: float = DEADLINE_S, poll_s: float = POLL_S
) -> T:
    """What `condition` answers as soon as that is true."""
    until = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(poll_s)  # another process: there is no event to wait for
    return found


async def until(is_so: Callable[[], object]) -> None:
    """The same, and the loop goes on meanwhile."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110  the event is another process's
            await asyncio.sleep(0.001)
