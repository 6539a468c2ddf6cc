"""A tail where other processes write: their events are there before the bell tells of them."""

import asyncio

import pytest
from tests.support.builders import PROJECT, after, instance_id, known_id
from tests.support.clocks import MovedClock, settled

from backroom.api.following import Tails
from backroom.api.watching import Watch
from backroom.domain.chain import GENESIS, ChainHead, SealedEvent
from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import EventFilter
from backroom.domain.task import Event, State


class Elsewhere:
    """A journal that others write. `gate` cleared: an answer stays under way."""

    def __init__(self) -> None:
        self.rung = 0
        self.sealed: list[SealedEvent] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False
        self.looks = 0

    def add(self, count: int = 1) -> None:
        event = Event(
            at=after(0), verb="claim", actor="w", from_state=State.WAITING, to_state=State.RUNNING
        )
        for _ in range(count):
            sequence = len(self.sealed) + 1
            self.sealed.append(
                SealedEvent(
                    project_id=PROJECT, sequence=sequence, instance_id=instance_id(1),
                    task_id=known_id(1), event=event, hash=b"",
                )
            )  # fmt: skip

    async def events(self, wanted: EventFilter, limit: int) -> list[SealedEvent]:
        self.looks += 1
        found = [one for one in self.sealed if one.sequence > wanted.after][:limit]
        await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("away")
        return found

    async def head(self, _project_id: str) -> ChainHead:
        return ChainHead(len(self.sealed), GENESIS)


@pytest.fixture
def journal():
    return Elsewhere()


@pytest.fixture
def tail(journal):
    watch = Watch(journal, MovedClock(), asyncio.Event())
    with Tails(journal, watch).following(PROJECT) as made:
        yield made


def wanted(sequence):
    return EventFilter(project_id=PROJECT, after=sequence)


def sequences(look):
    return [one.sequence for one in look.events]


async def test_who_is_ahead_of_the_bell_gets_nothing_twice(journal, tail):
    journal.add(2)
    assert await tail.position() == 2
    journal.add(2)  # nobody has rung
    look = await tail.look(wanted(4), 10)
    assert (sequences(look), look.position) == ([], 4)
    journal.rung += 1
    look = await tail.look(wanted(look.position), 10)
    assert (sequences(look), look.position) == ([], 4)
    journal.add()
    journal.rung += 1
    assert sequences(await tail.look(wanted(look.position), 10)) == [5]


async def test_who_is_behind_may_see_what_nobody_rang_for_and_then_goes_on_after_it(journal, tail):
    journal.add(2)
    await tail.position()
    journal.add()
    look = await tail.look(wanted(0), 10)
    assert (sequences(look), look.position) == ([1, 2, 3], 3)


async def test_ring_while_it_reads_is_read_for_again(journal, tail):
    await tail.position()
    journal.add()
    journal.rung += 1
    journal.gate.clear()
    first = asyncio.ensure_future(tail.look(wanted(0), 10))
    await settled()
    journal.add()  # the answer that is under way doesn't have it
    journal.rung += 1
    second = asyncio.ensure_future(tail.look(wanted(0), 10))
    await settled()
    assert journal.looks == 1
    journal.gate.set()
    assert sequences(await second) == [1, 2]
    assert sequences(await first) in ([1], [1, 2])
    assert journal.looks == 2


async def test_who_gives_up_takes_the_answer_from_nobody(journal, tail):
    await tail.position()
    journal.add()
    journal.rung += 1
    journal.gate.clear()
    both = [asyncio.ensure_future(tail.look(wanted(0), 10)) for _ in range(2)]
    await settled()
    both[0].cancel()
    await settled()
    journal.gate.set()
    assert sequences(await both[1]) == [1]
    assert journal.looks == 1


async def test_all_who_look_while_it_is_away_are_told_and_the_next_one_asks_again(journal, tail):
    await tail.position()
    journal.add()
    journal.rung += 1
    journal.is_away = True
    told = await asyncio.gather(
        *(tail.look(wanted(0), 10) for _ in range(5)), return_exceptions=True
    )
    assert {type(one) for one in told} == {StoreUnavailable}
    assert journal.looks == 1
    journal.is_away = False
    assert sequences(await tail.look(wanted(0), 10)) == [1]
