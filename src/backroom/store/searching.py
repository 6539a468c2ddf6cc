"""What a search reads on either database: which range of which index, and how much of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from backroom.domain.filter import Position, TaskSearch
from backroom.domain.stamps import stamp, stamp_not_before
from backroom.domain.task import FINAL, State

MOST_LOOKED_AT = 5_000  # rows of one page of a search: some milliseconds
MOST_KEY = 2**62  # above any key
AFTER_ALL = Position("~", MOST_KEY)  # behind any moment

_OPEN = frozenset(State) - FINAL
_UNWELL = FINAL - {State.SUCCEEDED}


class Bounds(msgspec.Struct, frozen=True):
    """Tasks before (`at`, `key`), newest first, none created before `created_from`."""

    at: str
    key: int
    created_from: str


def range_name(wanted: TaskSearch) -> str:
    """The named block of the narrowest index range that holds all that is wanted."""
    if wanted.instance_id is not None:
        return "of_instance"
    if wanted.states and wanted.states <= _OPEN:
        return "of_project_open"
    if wanted.states and wanted.states <= _UNWELL:
        return "of_project_unwell"
    return "of_project"


def is_whole_streams(wanted: TaskSearch) -> bool:
    """Whether all tasks of some streams are wanted: those are counted as they come and go."""
    some = wanted.states, wanted.names, wanted.user, wanted.text
    return not any((*some, wanted.created_from, wanted.created_to))


def is_whole_range(wanted: TaskSearch) -> bool:
    """Whether all tasks of the range are wanted, so that an index alone can count them.

    Not for an instance: whose it is, only its tasks say.
    """
    some = wanted.instance_id, wanted.kinds, wanted.names, wanted.user, wanted.text
    return not any(some) and wanted.states in (frozenset(), _OPEN, _UNWELL)


def bounds_of(wanted: TaskSearch, after: Position | None) -> Bounds:
    start = after or AFTER_ALL
    at, key = start.created_at, start.key
    if wanted.created_to is not None:
        at, key = min((at, key), (stamp(wanted.created_to), MOST_KEY))
    created_from = wanted.created_from
    return Bounds(at, key, "" if created_from is None else stamp_not_before(created_from))


def medians_s(rows: Iterable[Any]) -> Mapping[str, float]:
    """Median seconds by step, of rows (step, started_at, ended_at)."""
    from statistics import median  # noqa: PLC0415  3 ms, and only a forecast needs it

    taken = defaultdict(list)
    for step, started_at, ended_at in rows:
        spent = datetime.fromisoformat(ended_at) - datetime.fromisoformat(started_at)
        taken[step].append(spent.total_seconds())
    return {step: median(spent_s) for step, spent_s in taken.items()}
