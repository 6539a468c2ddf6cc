"""How often somebody may try to sign in from one address."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from backroom.ports import Clock

FAILURES_MOST: Final = 20  # of one address; a name is locked after five
WITHIN: Final = timedelta(minutes=5)
ADDRESSES_MOST: Final = 10_000


class AddressAttempts:
    """Failures of the addresses that failed last. Holds in this process only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def is_locked(self, address: str) -> bool:
        return self._count(address) >= FAILURES_MOST

    def note(self, address: str) -> None:
        """A failure; the time of an address begins with its first one."""
        now = self._clock.now()
        count = self._count(address)
        _, began_at = self._failures.pop(address, (0, now))
        self._failures[address] = (count + 1, began_at if count else now)
        if len(self._failures) > ADDRESSES_MOST:
            self._failures.popitem(last=False)

    def _count(self, address: str) -> int:
        count, began_at = self._failures.get(address, (0, None))
        if began_at is None or abs(self._clock.now() - began_at) >= WITHIN:
            return 0
        return count
