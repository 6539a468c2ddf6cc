from hashlib import sha256

import pytest
from tests.support.builders import NOW, PROJECT, instance_id, known_id
from tests.support.chains import START, make_chain, make_event
from tests.support.world import changed

from backroom.domain.chain import GENESIS, ChainHead, digest, first_broken, link


def test_digest_is_that_of_the_documented_array():
    """Written down here as somebody else would compute it."""
    event = make_event(1, NOW, step="a", attempt=2)
    text = (
        f'["{PROJECT}","{instance_id(1)}","{known_id(1)}","2026-01-02T03:04:05.678Z","submit",'
        '"user-1",null,"waiting","a",2,"名 1"]'
    )
    own = digest(PROJECT, instance_id(1), known_id(1), event)
    assert own == sha256(text.encode()).digest()
    assert link(GENESIS, own) == sha256(bytes(32) + own).digest()


def test_nothing_is_broken_in_a_chain_as_written():
    chain = make_chain(5)
    assert first_broken(START, chain) is None
    assert first_broken(START, []) is None
    assert first_broken(ChainHead(2, chain[1].hash), chain[2:]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": "delete"}, {"actor": "nobody"}, {"from_state": "running"}, {"to_state": None},
        {"step": ""}, {"attempt": 1}, {"detail": None}, {"detail": ""},
    ],
)  # fmt: skip
def test_any_change_of_an_event_is_found_there(changes):
    chain = make_chain(4)
    chain[2] = changed(chain[2], event=changed(chain[2].event, **changes))
    assert first_broken(START, chain) is chain[2]


@pytest.mark.parametrize(
    "changes",
    [
        {"project_id": "b" * 32}, {"instance_id": instance_id(9)}, {"task_id": known_id(9)},
        {"sequence": 4}, {"hash": bytes(32)},
    ],
)  # fmt: skip
def test_any_change_around_an_event_is_found_there(changes):
    chain = make_chain(4)
    chain[2] = changed(chain[2], **changes)
    assert first_broken(START, chain) is chain[2]


def test_a_later_moment_of_the_same_millisecond_is_the_same_event():
    """What is stored is a stamp; nothing finer is sealed."""
    chain = make_chain(1)
    finer = chain[0].event.at.replace(microsecond=678999)
    assert first_broken(START, [changed(chain[0], event=changed(chain[0].event, at=finer))]) is None


def test_values_can_not_be_moved_from_one_field_to_the_next():
    one = make_event(1, verb="ab", actor="c")
    other = make_event(1, verb="a", actor="bc")
    about = PROJECT, instance_id(1), known_id(1)
    assert digest(*about, one) != digest(*about, other)
