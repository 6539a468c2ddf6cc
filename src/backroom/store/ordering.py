"""How many tasks of a stream come before a key, and which key comes at a place.

Tasks are counted in blocks of 2^6, 2^12 and 2^18 keys, kept by each insert and delete. Both
questions then read at most 64 counts a level, whatever the depth; a stream from which nothing was
deleted needs no reading at all. Measured in bench/show.
"""

from typing import Any

import apsw

from backroom.store.queries import load

BASE_SHIFT = 36  # a task's key is its stream's id * 2^36 + its ordinal, which counts from 1
LEVELS = (6, 12, 18)

_SQL = load("tasks")


def count(connection: apsw.Connection, key: int, difference: int) -> None:
    """A task with this key came (1) or went (-1)."""
    for level in LEVELS:
        connection.execute(_SQL.add_to_count, (level, key >> level, difference))


class CountedKeys:
    """The keys of one stream, within one snapshot."""

    def __init__(
        self, connection: apsw.Connection, stream_id: int, last_ordinal: int, live: int
    ) -> None:
        self._execute = connection.execute
        self._first = stream_id << BASE_SHIFT
        self._last = self._first + last_ordinal
        self._live = live
        self._is_dense = live == last_ordinal

    def rank(self, key: int) -> int:
        """How many tasks of the stream have a lower key."""
        if key > self._last:
            return self._live
        if self._is_dense:
            return max(0, key - self._first - 1)
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
        """The key that has `rank` tasks of its stream below it. There must be one."""
        if self._is_dense:
            return self._first + 1 + rank
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
