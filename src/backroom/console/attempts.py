"""How often somebody may try to sign in from one address."""

import ipaddress
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
        return self._count(_network(address)) >= FAILURES_MOST

    def note(self, address: str) -> None:
        """A failure; the time of an address begins with its first one."""
        address, now = _network(address), self._clock.now()
        count = self._count(address)
        _, began_at = self._failures.pop(address, (0, now))
        self._failures[address] = (count + 1, began_at if count else now)
        if len(self._failures) > ADDRESSES_MOST:
            self._failures.popitem(last=False)

    def take_back(self, address: str) -> None:
        """It was none after all."""
        address = _network(address)
        count, began_at = self._failures.get(address, (0, None))
        if count > 1 and began_at is not None:
            self._failures[address] = (count - 1, began_at)
        else:
            self._failures.pop(address, None)

    def _count(self, address: str) -> int:
        count, began_at = self._failures.get(address, (0, None))
        if began_at is None or abs(self._clock.now() - began_at) >= WITHIN:
            return 0
        return count


def _network(address: str) -> str:
    """Who has one IPv6 address has all of its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004  of IP
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
