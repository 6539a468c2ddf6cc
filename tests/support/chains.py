"""Chains of events for tests, each event another one."""

from datetime import datetime, timedelta

from tests.support.builders import NOW, PROJECT, instance_id, known_id

from backroom.domain.chain import GENESIS, ChainHead, SealedEvent, digest, link
from backroom.domain.task import Event, State

START = ChainHead(0, GENESIS)


def make_event(number: int, at: datetime | None = None, **given) -> Event:
    about = {
        "at": at or NOW + timedelta(seconds=number), "verb": "submit", "actor": f"user-{number}",
        "from_state": None, "to_state": State.WAITING, "detail": f"名 {number}",
    }  # fmt: skip
    return Event(**about | given)


def sealed(events: list[Event], project_id=PROJECT, start: ChainHead = START) -> list[SealedEvent]:
    found, previous = [], start.hash
    for sequence, event in enumerate(events, start=start.sequence + 1):
        about = project_id, instance_id(sequence), known_id(sequence)
        previous = link(previous, digest(*about, event))
        found.append(
            SealedEvent(
                project_id=project_id, sequence=sequence, instance_id=about[1], task_id=about[2],
                event=event, hash=previous,
            )
        )  # fmt: skip
    return found


def make_chain(count: int, project_id=PROJECT) -> list[SealedEvent]:
    return sealed([make_event(number) for number in range(1, count + 1)], project_id)


class ListJournal:
    """A Journal of these events. `head` is what its chain says; `reads` what was asked for."""

    def __init__(self, events: list[SealedEvent], head: ChainHead | None = None) -> None:
        self.kept = events
        self._head = head
        self.reads: list[int] = []

    async def events(self, wanted, limit: int) -> list[SealedEvent]:
        found = [one for one in self.kept if one.project_id == wanted.project_id]
        page = [one for one in found if one.sequence > wanted.after][:limit]
        self.reads.append(len(page))
        if any(one.event.verb == "unreadable" for one in page):
            raise ValueError("'x' is not a valid State")
        return page

    async def head(self, project_id) -> ChainHead:
        if self._head is not None:
            return self._head
        found = [one for one in self.kept if one.project_id == project_id]
        return ChainHead(found[-1].sequence, found[-1].hash) if found else START
