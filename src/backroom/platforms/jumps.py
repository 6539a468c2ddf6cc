"""What a simulated world remembers of moments, when the clock has gone back since."""

from datetime import datetime, timedelta
from typing import TypeVar, cast

import msgspec

T = TypeVar("T")

SLACK = timedelta(seconds=1)  # clocks of two hosts differ by less


def jumped_by(newest: datetime, now: datetime) -> timedelta | None:
    """How far the clock has gone back since `newest` was written down; None: it has not."""
    ahead = newest - now
    return ahead if ahead > SLACK else None


def earlier(record: T, by: timedelta) -> T:
    """The same with all its moments so much earlier: what was to come in a second still is."""
    if isinstance(record, datetime):
        return cast("T", record - by)
    if isinstance(record, (tuple, list)):
        return cast("T", type(record)(earlier(part, by) for part in record))
    if isinstance(record, dict):
        return cast("T", {key: earlier(value, by) for key, value in record.items()})
    if isinstance(record, msgspec.Struct):
        parts = {name: earlier(getattr(record, name), by) for name in record.__struct_fields__}
        return msgspec.structs.replace(record, **parts)
    return record
