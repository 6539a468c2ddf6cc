from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, PROJECT, after
from tests.support.chains import START, ListJournal, make_chain, make_event, sealed
from tests.support.coroutines import asyncio

from backroom.audit import period
from backroom.audit.chains import BrokenChain
from backroom.audit.period import before, first_from
from backroom.domain.chain import ChainHead

HOUR_S = 3600


def chain_at(*hours: float):
    return sealed([make_event(n, after(hour * HOUR_S)) for n, hour in enumerate(hours, start=1)])


async def first(chain, hour):
    journal = ListJournal(chain)
    head = await journal.head(PROJECT)
    return await first_from(journal, PROJECT, after(hour * HOUR_S), head)


@pytest.mark.parametrize(("hour", "wanted"), [(0, 1), (1, 1), (1.5, 2), (2, 2), (3, 3), (3.1, 4)])
async def test_first_event_not_before_a_moment(hour, wanted):
    assert await first(chain_at(1, 2, 3), hour) == wanted


async def test_without_events_it_is_the_first_to_come():
    assert await first([], 1) == 1


async def test_clock_that_went_back_does_not_hide_an_event():
    assert await first(chain_at(1, 5, 4.5, 6), 4.9) == 2
    assert await first(chain_at(1, 5, 4.5, 6), 5.1) == 4


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [(datetime(1, 1, 1, tzinfo=UTC), 1), (datetime(9999, 12, 31, tzinfo=UTC), 3)],
)
async def test_first_and_last_moment_there_is(moment, wanted):
    journal = ListJournal(chain_at(1, 2))
    head = await journal.head(PROJECT)
    assert await first_from(journal, PROJECT, moment, head) == wanted


async def test_cost_grows_with_the_slack_and_not_with_the_chain():
    chain = chain_at(*range(2000))
    journal = ListJournal(chain)
    assert await first_from(journal, PROJECT, after(1500 * HOUR_S), ChainHead(2000, b"")) == 1501
    assert len(journal.reads) < 20
    assert sum(journal.reads) <= 1100  # a page, and one a bisection


async def test_chain_before_an_event():
    chain = chain_at(1, 2)
    assert await before(ListJournal(chain), PROJECT, 1) == START
    assert await before(ListJournal(chain), PROJECT, 3) == ChainHead(2, chain[1].hash)


async def test_missing_events_are_refused():
    with pytest.raises(BrokenChain, match="there is no event"):
        await first_from(ListJournal(make_chain(2)), PROJECT, NOW, ChainHead(50, b""))


steps = st.lists(st.integers(-300, 900), max_size=40)


@given(steps, st.integers(-1000, 20_000))
def test_found_as_by_looking_at_all(moves, at):
    """Time goes on by jerks, and back by less than the slack."""
    minutes, latest = [], 0
    for move in moves:
        minutes.append(latest + move)
        latest = max(latest, minutes[-1])
    chain = sealed([make_event(n, NOW + timedelta(minutes=m)) for n, m in enumerate(minutes, 1)])
    moment = NOW + timedelta(minutes=at)
    looked = [one.sequence for one in chain if one.event.at >= moment]
    journal = ListJournal(chain)
    head = ChainHead(len(chain), b"")
    found = asyncio.run(first_from(journal, PROJECT, moment, head))
    assert found == (looked[0] if looked else len(chain) + 1)
    assert timedelta(minutes=300) < period.SLACK
