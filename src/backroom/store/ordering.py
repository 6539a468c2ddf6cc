"""How many tasks of a stream come before a key, and which key comes at a place.

Tasks are counted in blocks of 2^6, 2^12 and 2^18 keys, kept by each insert and delete. Both
questions then read at most 64 counts a level, whatever the depth: measured in bench/show.
"""

from typing import Any

import apsw

from backroom.store.queries import load

BASE_SHIFT = 36  # a task's key is its stream's id * 2^36 + its ordinal, which counts from 1
LEVELS = (6, 12, 18)

_SQL = load("tasks")


class Stream:
    """Where the tasks of one stream are."""

    __slots__ = ("first", "id", "last", "live")

    def __init__(self, stream_id: int, first_ordinal: int, last_ordinal: int, live: int) -> None:
        self.id = stream_id
        self.first = (stream_id << BASE_SHIFT) + first_ordinal
        self.last = (stream_id << BASE_SHIFT) + last_ordinal
        self.live = live


def count(connection: apsw.Connection, key: int, difference: int) -> None:
    """A task with this key came (1) or went (-1)."""
    connection.execute(_SQL.count_key, (key, *LEVELS, difference))


class CountedKeys:
    """Places in a stream that may have gaps, within one snapshot."""

    def __init__(self, connection: apsw.Connection, stream: Stream) -> None:
        self._execute = connection.execute
        self._first = stream.id << BASE_SHIFT
        self._last = stream.last
        self._live = stream.live

    def rank(self, key: int) -> int:
        """How many tasks have a lower key."""
        if key > self._last:
            return self._live
        counted, start = 0, self._first
        for level in reversed(LEVELS):
            end = key >> level
            row: Any = self._execute(_SQL.counted, (level, start >> level, end)).fetchone()
            counted += row[0]
            start = end << level
        if start == key:
            return counted
        row = self._execute(_SQL.keys_counted, (start, key)).fetchone()
        return counted + int(row[0])

    def select(self, rank: int) -> int:
        """The key that has `rank` tasks below it. There must be one."""
        top = LEVELS[-1]
        start, end = self._first, ((self._last >> top) + 1) << top
        for level in reversed(LEVELS):
            bounds = (level, start >> level, end >> level)
            for block, live in self._execute(_SQL.counts, bounds):
                if rank < live:
                    start, end = block << level, (block + 1) << level
                    break
                rank -= live
        row: Any = self._execute(_SQL.key_at, (start, rank)).fetchone()
        return int(row[0])
