"""What this process has answered, and how fast: counted on the way, rendered only when asked."""

from bisect import bisect_left
from collections import defaultdict

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Measures:
    """`taken` counts, by operation and status, the answers within each bound and beyond the last.

    On the hot path: two look-ups and two additions.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, int], list[int]] = defaultdict(
            lambda: [0] * (len(BOUNDS_S) + 1)
        )
        self.spent_s: dict[tuple[str, int], float] = defaultdict(float)

    def note(self, operation: str, status: int, spent_s: float) -> None:
        which = operation, status
        self.taken[which][bisect_left(BOUNDS_S, spent_s)] += 1
        self.spent_s[which] += spent_s
