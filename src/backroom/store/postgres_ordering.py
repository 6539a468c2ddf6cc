"""CountedKeys of store/ordering.py, asked of PostgreSQL."""

from backroom.store.ordering import BASE_SHIFT, LEVELS, Stream
from backroom.store.postgres_connection import Link
from backroom.store.queries import load

_SQL = load("postgres/tasks")


class PostgresCountedKeys:
    """Ranks and places in a stream with gaps, within one snapshot."""

    def __init__(self, link: Link, stream: Stream) -> None:
        self._link = link
        self._first = stream.id << BASE_SHIFT
        self._last = stream.last
        self._live = stream.live

    async def rank(self, key: int) -> int:
        if key > self._last:
            return self._live
        counted, start = 0, self._first
        for level in reversed(LEVELS):
            end = key >> level
            counted += await self._link.fetchval(_SQL.counted, level, start >> level, end)
            start = end << level
        if start == key:
            return counted
        rest: int = await self._link.fetchval(_SQL.keys_counted, start, key)
        return counted + rest

    async def select(self, rank: int) -> int:
        top = LEVELS[-1]
        start, end = self._first, ((self._last >> top) + 1) << top
        for level in reversed(LEVELS):
            blocks = await self._link.fetch(_SQL.counts, level, start >> level, end >> level)
            for block, live in blocks:
                if rank < live:
                    start, end = block << level, (block + 1) << level
                    break
                rank -= live
        key: int = await self._link.fetchval(_SQL.key_at, start, rank)
        return key


class DenseKeys:
    """The same of a stream without gaps: places are differences of keys."""

    def __init__(self, stream: Stream) -> None:
        self._first = stream.first
        self._live = stream.live

    @staticmethod
    def fit(stream: Stream) -> bool:
        return stream.live == stream.last - stream.first + 1

    async def rank(self, key: int) -> int:
        return min(max(key - self._first, 0), self._live)

    async def select(self, rank: int) -> int:
        return self._first + rank
