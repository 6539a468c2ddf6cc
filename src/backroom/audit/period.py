"""Finds where in a chain a period begins.

Events are in the order of their commits, and `at` is the clock of whoever wrote: it may go back,
by less than SLACK. The first event whose `at` is not before a moment begins what comes after that
moment. So periods that meet give parts of the chain that meet.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from backroom.audit.chains import BrokenChain, pages
from backroom.domain.chain import GENESIS, ChainHead, SealedEvent
from backroom.domain.filter import EventFilter
from backroom.domain.ids import ProjectId
from backroom.ports import Journal

SLACK = timedelta(days=1)
_FIRST = datetime.min.replace(tzinfo=UTC)


class Period(msgspec.Struct, frozen=True):
    """From `begin` until before `end`; None: from the first event, or up to the last."""

    begin: datetime | None = None
    end: datetime | None = None


async def first_from(
    journal: Journal, project_id: ProjectId, moment: datetime, head: ChainHead
) -> int:
    """The sequence of the first event not before `moment`; the one after the head if none is."""
    early = max(moment, _FIRST + SLACK) - SLACK
    after = await _last_surely_before(journal, project_id, early, head.sequence)
    async for page in pages(journal, project_id, after, head.sequence):
        for sealed in page:
            if sealed.event.at >= moment:
                return sealed.sequence
    return head.sequence + 1


async def _last_surely_before(
    journal: Journal, project_id: ProjectId, early: datetime, last: int
) -> int:
    """An event before `early` whose next is not: all up to it are before the moment asked for."""
    low, high = 0, last + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (await _event(journal, project_id, middle)).event.at < early:
            low = middle
        else:
            high = middle
    return low


async def before(journal: Journal, project_id: ProjectId, sequence: int) -> ChainHead:
    """The chain as it was before that event."""
    if sequence <= 1:
        return ChainHead(0, GENESIS)
    previous = await _event(journal, project_id, sequence - 1)
    return ChainHead(previous.sequence, previous.hash)


async def _event(journal: Journal, project_id: ProjectId, sequence: int) -> SealedEvent:
    found = await journal.events(EventFilter(project_id=project_id, after=sequence - 1), limit=1)
    if not found:
        raise BrokenChain(f"{project_id}: there is no event {sequence}")
    return found[0]
