"""How long a task waits after a fault."""

from collections.abc import Callable
from random import random

FIRST_S = 1.0
CAP_S = 60.0


def delay_s(attempt: int, chance: Callable[[], float] = random) -> float:
    """Doubling from FIRST_S up to CAP_S, then 50 to 100 % of it, so that a crowd spreads out."""
    return min(CAP_S, FIRST_S * 2.0 ** min(attempt - 1, 30)) * (0.5 + chance() / 2)
