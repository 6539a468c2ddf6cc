"""Moments as text: UTC, fixed width, milliseconds, `2020-06-15T08:55:53.606Z`.

The one form in which a moment sorts as text, is stored, and is shown: nothing is parsed or
formatted on the way from the store to the wire (docs/adr/0009).
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NewType

Stamp = NewType("Stamp", str)


@lru_cache(maxsize=512)  # one moment is in several rows of what is written together
def stamp(moment: datetime) -> Stamp:
    """Of an aware UTC moment; what is finer than a millisecond is cut off."""
    return Stamp(moment.isoformat(timespec="milliseconds")[:-6] + "Z")


def stamp_not_before(moment: datetime) -> Stamp:
    """The first stamp that is not before an aware UTC moment."""
    rest = moment.microsecond % 1000
    return stamp(moment + timedelta(microseconds=1000 - rest) if rest else moment)
