"""How many tasks ended, by state and name: counted from the journal, whoever ran them."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from backroom.domain.ids import ProjectId
from backroom.domain.task import FINAL, State
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import Journal

AT_ONCE = 5_000  # events of one read: some milliseconds
MOST = 100_000  # events of one look; what is left is of the next


class Endings:
    """Of the whole deployment, since the first look of this process."""

    def __init__(self, journal: Journal) -> None:
        self.counts = Counter({(state, name): 0 for state in FINAL for name in CATALOGUE})
        self._journal = journal
        self._seen: dict[ProjectId, int] | None = None
        self._one_by_one = asyncio.Lock()

    async def look(self) -> None:
        """Count what was written since the last look. The cost grows with that, up to a bound."""
        async with self._one_by_one:
            heads = await self._journal.heads()
            if self._seen is None:
                self._seen = dict(heads)
                return
            await self._catch_up(self._seen, heads)

    async def _catch_up(self, seen: dict[ProjectId, int], heads: Mapping[ProjectId, int]) -> None:
        left = MOST
        for project_id in sorted(heads, key=lambda one: heads[one] - seen.get(one, 0)):
            head, at = heads[project_id], seen.get(project_id, 0)
            if head < at:  # put back to an earlier state
                seen[project_id] = head
            while at < head and left > 0:
                until = min(head, at + min(AT_ONCE, left))
                for tally in await self._journal.ends(project_id, at, until):
                    self.counts[tally.state, tally.name] += tally.count
                left -= until - at
                seen[project_id] = at = until
                await asyncio.sleep(0)  # others first


Ended = Mapping[tuple[State, str], int]
