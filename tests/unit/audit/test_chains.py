import pytest
from tests.support.builders import PROJECT, after
from tests.support.chains import START, ListJournal, make_chain
from tests.support.world import changed

from backroom.audit import chains
from backroom.audit.chains import check_chain
from backroom.domain.chain import ChainHead


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(chains, "PAGE", 3)


async def test_whole_chain_is_followed_in_pages():
    seen = []
    journal = ListJournal(make_chain(7))
    followed = await check_chain(journal, PROJECT, seen.append)
    assert followed.broken is None
    assert (followed.count, followed.end.sequence) == (7, 7)
    assert (followed.first_at, followed.last_at) == (after(1), after(7))
    assert max(journal.reads) <= 3
    assert seen == [3, 6, 7]


async def test_project_without_events_is_whole():
    followed = await check_chain(ListJournal([]), PROJECT)
    assert (followed.broken, followed.count, followed.first_at) == (None, 0, None)


@pytest.mark.parametrize("place", [0, 2, 3, 6])
async def test_changed_event_is_named_with_both_hashes(place):
    chain = make_chain(7)
    chain[place] = changed(chain[place], event=changed(chain[place].event, actor="mallory"))
    followed = await check_chain(ListJournal(chain), PROJECT)
    assert followed.broken.sequence == place + 1
    assert followed.broken.event is chain[place]
    assert f"hash is {chain[place].hash.hex()}" in followed.broken.why
    assert followed.count == place


async def test_missing_event_is_named_where_the_next_one_stands():
    chain = make_chain(7)
    del chain[4]
    followed = await check_chain(ListJournal(chain), PROJECT)
    assert followed.broken.text == "event 5: sequence is 6, must be 5"


async def test_events_cut_off_at_the_end_are_missed():
    chain = make_chain(7)
    head = ChainHead(7, chain[-1].hash)
    followed = await check_chain(ListJournal(chain[:5], head), PROJECT)
    assert followed.broken.text == "event 6: the events end at 5, the chain's head is 7"


async def test_all_events_gone_is_missed():
    followed = await check_chain(ListJournal([], ChainHead(2, bytes(32))), PROJECT)
    assert "the events end at 0" in followed.broken.why


async def test_another_last_hash_than_the_heads_is_found():
    followed = await check_chain(ListJournal(make_chain(2), ChainHead(2, b"x" * 32)), PROJECT)
    assert "the chain's head has 7878" in followed.broken.why


async def test_events_behind_the_head_are_found():
    chain = make_chain(4)
    followed = await check_chain(ListJournal(chain, ChainHead(3, chain[2].hash)), PROJECT)
    assert followed.broken.text == "event 4: there is an event 4, the chain's head is 3"


async def test_chain_whose_head_was_removed_is_found():
    followed = await check_chain(ListJournal(make_chain(4), START), PROJECT)
    assert "there is an event 1, the chain's head is 0" in followed.broken.why


async def test_events_that_come_meanwhile_are_left_for_next_time():
    chain = make_chain(6)
    journal = ListJournal(chain[:4])
    heads = [ChainHead(4, chain[3].hash), ChainHead(6, chain[5].hash)]

    async def head(_project_id):
        journal.kept = chain
        return heads.pop(0)

    journal.head = head
    followed = await check_chain(journal, PROJECT)
    assert (followed.broken, followed.end.sequence, heads) == (None, 4, [])


@pytest.mark.parametrize("place", [0, 1, 4, 6])
async def test_event_that_can_not_be_read_is_named(place):
    chain = make_chain(7)
    chain[place] = changed(chain[place], event=changed(chain[place].event, verb="unreadable"))
    followed = await check_chain(ListJournal(chain), PROJECT)
    assert followed.broken.sequence == place + 1
    assert f"the event after {place} can't be read" in followed.broken.why
