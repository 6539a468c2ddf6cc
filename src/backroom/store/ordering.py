"""How many tasks of a stream come before a key, and which key comes at a place.

Tasks are counted in blocks of 2^6, 2^12 and 2^18 keys, kept by each insert and delete. Both
questions then read at most 64 counts a level, whatever the depth: measured in bench/show.
"""

from typing import Any

import apsw

from backroom.store.queries import load

BASE_SHIFT = 36  # a task's key is its stream's id * 2^36 + its ordinal
LEVELS = (6, 12, 18)

_SQL = load("tasks")


class CountedKeys:
    def __init__(self, connection: apsw.Connection, stream_id: int) -> None:
        self._execute = connection.execute
        self._first = stream_id << BASE_SHIFT
        self._end = (stream_id + 1) << BASE_SHIFT

    def add(self, key: int, difference: int) -> None:
        for level in LEVELS:
            self._execute(_SQL.add_to_count, (level, key >> level, difference))

    def rank(self, key: int) -> int:
        """How many tasks of the stream have a lower key."""
        key = min(key, self._end)
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
        start, end = self._first, self._end
        for level in reversed(LEVELS):
            bounds = (level, start >> level, end >> level)
            for block, live in self._execute(_SQL.counts, bounds):
                if rank < live:
                    start, end = block << level, (block + 1) << level
                    break
                rank -= live
        row: Any = self._execute(_SQL.key_at, (start, rank)).fetchone()
        return int(row[0])
