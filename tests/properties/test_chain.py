"""Whatever is done to a chain of events, it is found, and where."""

from datetime import UTC, datetime

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.builders import PROJECT
from tests.support.chains import START, sealed
from tests.support.world import changed

from backroom.audit.chains import begin, follow
from backroom.domain.chain import ChainHead, first_broken
from backroom.domain.task import Event, State

texts = st.text(st.characters(codec="utf-8"), max_size=12)
states = st.none() | st.sampled_from(State)
events = st.builds(
    Event,
    at=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  as hypothesis wants it
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    verb=texts,
    actor=texts,
    from_state=states,
    to_state=states,
    step=st.none() | texts,
    attempt=st.integers(0, 2**31),
    detail=st.none() | texts,
)
chains = st.lists(events, min_size=1, max_size=12).map(sealed)


@given(chains, st.data())
def test_a_chain_as_written_is_whole_from_any_place_on(chain, data):
    place = data.draw(st.integers(0, len(chain)))
    head = ChainHead(place, chain[place - 1].hash) if place else START
    assert first_broken(head, chain[place:]) is None


@given(chains, events, st.data())
def test_a_changed_event_is_found(chain, other, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    assume(other != chain[place].event)
    chain[place] = changed(chain[place], event=other)
    assert first_broken(START, chain) is chain[place]


@given(chains, st.data())
def test_a_removed_event_is_found_at_the_next_one(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    del chain[place]
    following = chain[place] if place < len(chain) else None
    assert first_broken(START, chain) is following  # the last one: only the head tells


@given(chains, st.data())
def test_a_removed_event_is_found_although_the_others_were_renumbered(chain, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    assume(place < len(chain) - 1)
    del chain[place]
    chain = [changed(one, sequence=number) for number, one in enumerate(chain, start=1)]
    assert first_broken(START, chain) is chain[place]


@given(st.lists(events, min_size=2, max_size=12, unique=True).map(sealed), st.data())
def test_two_swapped_events_are_found_at_the_first(chain, data):
    one, other = sorted(data.draw(st.sets(st.integers(0, len(chain) - 1), min_size=2, max_size=2)))
    chain[one], chain[other] = chain[other], chain[one]
    assert first_broken(START, chain) is chain[one]


@given(chains, events, st.data())
def test_an_inserted_event_is_found(chain, event, data):
    place = data.draw(st.integers(0, len(chain)))
    sequence = place + 1
    about = chain[min(place, len(chain) - 1)]
    inserted = changed(about, event=event, sequence=sequence)
    assume(place == len(chain) or event != about.event)
    chain = [
        *chain[:place],
        inserted,
        *(changed(one, sequence=one.sequence + 1) for one in chain[place:]),
    ]
    assert first_broken(START, chain) is inserted


@given(chains, st.integers(1, 5), st.data())
def test_pages_of_any_size_give_the_same_as_the_whole(chain, size, data):
    place = data.draw(st.integers(0, len(chain) - 1))
    chain[place] = changed(chain[place], hash=bytes(32))
    followed = begin(PROJECT, START)
    for start in range(0, len(chain), size):
        if followed.broken is None:
            followed = follow(followed, chain[start : start + size])
    assert followed.broken is not None
    assert (followed.broken.sequence, followed.count) == (place + 1, place)
