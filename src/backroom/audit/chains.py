"""Follows the chains in a store, in pages."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime

import msgspec

from backroom.domain.chain import GENESIS, ChainHead, SealedEvent, digest, first_broken, link
from backroom.domain.errors import BackroomError
from backroom.domain.filter import EventFilter
from backroom.domain.ids import ProjectId
from backroom.ports import Journal

PAGE = 1000  # events in memory at once


class BrokenChain(BackroomError):
    """Nothing is signed that doesn't hold."""


class Break(msgspec.Struct, frozen=True):
    """Where a chain is broken, and what differs there. `event` is None where one is missing."""

    sequence: int
    why: str
    event: SealedEvent | None = None

    @property
    def text(self) -> str:
        return f"event {self.sequence}: {self.why}"


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a project from the one after `start` up to `end`, as far as they are in order."""

    project_id: ProjectId
    start: ChainHead
    end: ChainHead
    first_at: datetime | None = None
    last_at: datetime | None = None
    broken: Break | None = None

    @property
    def count(self) -> int:
        return self.end.sequence - self.start.sequence


def begin(project_id: ProjectId, start: ChainHead) -> Followed:
    return Followed(project_id=project_id, start=start, end=start)


def follow(so_far: Followed, page: list[SealedEvent]) -> Followed:
    """So far and these. What comes after the first broken event is not looked at."""
    broken = first_broken(so_far.end, page)
    good = page if broken is None else page[: _place(page, broken)]
    if good:
        last = good[-1]
        so_far = msgspec.structs.replace(
            so_far,
            end=ChainHead(last.sequence, last.hash),
            first_at=so_far.first_at or good[0].event.at,
            last_at=last.event.at,
        )
    if broken is None:
        return so_far
    why = difference(so_far.end, broken)
    return msgspec.structs.replace(so_far, broken=Break(so_far.end.sequence + 1, why, broken))


def _place(page: list[SealedEvent], wanted: SealedEvent) -> int:
    return next(place for place, sealed in enumerate(page) if sealed is wanted)


def difference(before: ChainHead, sealed: SealedEvent) -> str:
    """Why an event doesn't follow from `before`."""
    wanted = before.sequence + 1
    if sealed.sequence != wanted:
        return f"sequence is {sealed.sequence}, must be {wanted}"
    own = digest(sealed.project_id, sealed.instance_id, sealed.task_id, sealed.event)
    computed = link(before.hash, own)
    return f"hash is {sealed.hash.hex()}, its content and what is before it give {computed.hex()}"


async def check_chain(
    journal: Journal, project_id: ProjectId, seen: Callable[[int], None] = lambda _count: None
) -> Followed:
    """From the first event to the head. Events that are added meanwhile are left for next time."""
    head = await journal.head(project_id)
    followed = begin(project_id, ChainHead(0, GENESIS))
    try:
        async for page in pages(journal, project_id, 0, head.sequence):
            followed = follow(followed, page)
            seen(followed.count)
            if followed.broken is not None:
                return followed
        why = await _wrong_end(journal, followed, head)
    except BrokenChain as error:
        why = str(error)
    if why is None:
        return followed
    return msgspec.structs.replace(followed, broken=Break(followed.end.sequence + 1, why))


async def _wrong_end(journal: Journal, followed: Followed, head: ChainHead) -> str | None:
    end = followed.end
    if end.sequence < head.sequence:
        return f"the events end at {end.sequence}, the chain's head is {head.sequence}"
    if end.hash != head.hash:
        return f"the last hash is {end.hash.hex()}, the chain's head has {head.hash.hex()}"
    later = await journal.events(
        EventFilter(project_id=followed.project_id, after=end.sequence), limit=1
    )
    if not later:
        return None
    now = (await journal.head(followed.project_id)).sequence
    if later[0].sequence <= now:
        return None
    return f"there is an event {later[0].sequence}, the chain's head is {now}"


async def pages(
    journal: Journal, project_id: ProjectId, after: int, last: int
) -> AsyncIterator[list[SealedEvent]]:
    """The events after `after`, up to `last` or to the end."""
    while after < last:
        wanted = EventFilter(project_id=project_id, after=after)
        page = await _page(journal, wanted, min(PAGE, last - after))
        page = [sealed for sealed in page if sealed.sequence <= last]
        if not page:
            return
        yield page
        after = page[-1].sequence


async def _page(journal: Journal, wanted: EventFilter, limit: int) -> list[SealedEvent]:
    """Fewer than `limit` before one that can't be read. Raises BrokenChain at that one."""
    try:
        return await journal.events(wanted, limit)
    except (ValueError, TypeError) as error:  # a moment or a state that is none
        if limit == 1:
            raise BrokenChain(f"the event after {wanted.after} can't be read: {error}") from None
        return await _page(journal, wanted, limit // 2)
