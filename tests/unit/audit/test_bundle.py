import asyncio
import json
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256

import pytest
from tests.support.builders import NOW, OTHER_PROJECT, PROJECT, after
from tests.support.chains import ListJournal, make_chain, make_event, sealed
from tests.support.world import changed

from backroom.audit.bundle import header_of, written
from backroom.audit.chains import BrokenChain, pages
from backroom.audit.checking import UnreadableBundle, checked, gap
from backroom.audit.period import Period
from backroom.audit_key import AuditKey, is_signed

ALL = Period()


@pytest.fixture
def signer(tmp_path):
    return AuditKey(tmp_path / "audit.key")


async def export(chain, signer, period=ALL, project_id=PROJECT):
    journal = ListJournal(chain)
    header, last = await header_of(journal, project_id, period, NOW)
    events = pages(journal, project_id, header.before.sequence, last)
    return [part async for part in written(header, events, signer)]


def bundle(chain, signer, period=ALL, project_id=PROJECT):
    return b"".join(asyncio.run(export(chain, signer, period, project_id))).splitlines(
        keepends=True
    )


def test_bundle_is_whole_as_written(signer):
    lines = bundle(make_chain(5), signer)
    found = checked(lines, is_signed)
    assert found.why is None
    assert (found.followed.count, found.header.project_id) == (5, PROJECT)
    assert (found.followed.first_at, found.followed.last_at) == (after(1), after(5))
    assert found.public_key == signer.public_key
    assert [json.loads(line).get("sequence") for line in lines] == [None, 1, 2, 3, 4, 5, 5]


def test_bundle_without_events_is_valid(signer):
    for chain, period in (
        ([], ALL),
        (make_chain(3), Period(after(60), after(70))),
        (make_chain(3), Period(after(-70), after(-60))),
        (make_chain(3), Period(after(2), after(2))),
    ):
        found = checked(bundle(chain, signer, period), is_signed)
        assert (found.why, found.followed.count) == (None, 0)


def test_bundle_can_be_checked_by_what_is_written_in_the_documents(signer):
    """The signature as somebody with another program would verify it."""
    *content, trailer = bundle(make_chain(2), signer)
    text = f"backroom-audit/1 {sha256(b''.join(content)).hexdigest()}\n"
    known = json.loads(trailer)
    assert known["signature"] == b64encode(signer.sign(text.encode())).decode()


@pytest.mark.parametrize("place", range(7))
def test_any_changed_byte_is_found(signer, place):
    lines = bundle(make_chain(5), signer)
    line = bytearray(lines[place])
    for at in range(len(line)):
        kept = line[at]
        line[at] = ord("1") if kept != ord("1") else ord("2")
        try:
            found = checked([*lines[:place], bytes(line), *lines[place + 1 :]], is_signed)
        except UnreadableBundle:
            pass
        else:
            assert found.why is not None or found.public_key != signer.public_key, line
        line[at] = kept


def test_changed_event_is_named(signer):
    lines = bundle(make_chain(5), signer)
    lines[3] = lines[3].replace(b"user-3", b"user-4")
    assert checked(lines, is_signed).why.startswith("event 3: hash is ")


@pytest.mark.parametrize("place", range(1, 5))
def test_removed_or_swapped_or_repeated_line_is_found(signer, place):
    lines = bundle(make_chain(5), signer)
    without = [*lines[:place], *lines[place + 1 :]]
    assert checked(without, is_signed).why.startswith(f"event {place}: sequence is {place + 1}")
    twice = [*lines[: place + 1], *lines[place:]]
    assert checked(twice, is_signed).why.startswith(f"event {place + 1}: sequence is {place}")
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    assert checked(lines, is_signed).why is not None


def test_removed_last_event_is_found_by_the_signature(signer):
    lines = bundle(make_chain(5), signer)
    del lines[5]
    assert "signature doesn't fit" in checked(lines, is_signed).why


def test_whole_chain_made_anew_needs_another_key(signer, tmp_path):
    forged = make_chain(5)
    forged = sealed([changed(one.event, actor="mallory") for one in forged])
    other = AuditKey(tmp_path / "other.key")
    found = checked(bundle(forged, other), is_signed)
    assert found.why is None
    assert found.public_key != signer.public_key


def test_trailer_that_states_something_else_is_found(signer):
    lines = bundle(make_chain(2), signer)
    lines[-1] = lines[-1].replace(b'"count":2', b'"count":3')
    assert "trailer states (3," in checked(lines, is_signed).why


@pytest.mark.parametrize("kept", range(6))
def test_cut_off_bundle_is_unreadable(signer, kept):
    lines = bundle(make_chain(4), signer)
    with pytest.raises(UnreadableBundle):
        checked(lines[:kept], is_signed)
    with pytest.raises(UnreadableBundle):
        checked([*lines[:kept], lines[kept][:20]], is_signed)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"backroom-audit/1"', b'"backroom-audit/2"', "its format is backroom-audit/2"),
        (b"Ed25519", b"none", "it is signed by none"),
        (b'"sequence":1,', b'"sequence":1,"more":1,', "line 2: "),
        (b'"to_state":"waiting"', b'"to_state":"lost"', "line 2: "),
        (b"04:06.678Z", b"04:06.678+00:00", "is no moment like"),
        (b"04:06.678Z", b"04:06.678+08:00", "is no moment like"),
        (b"04:06.678Z", b"04:06.678", "is no moment like"),
        (b"2026-01-02T03:04:06.678Z", b"yesterday", "line 2: 'yesterday' is no moment"),
        (b'"hash":"', b'"hash":"xy', "is no hash in hex"),
        (b'"signature":"', b'"signature":"!', "must be base64"),
    ],
)
def test_what_is_no_bundle_is_said_in_words(signer, old, new, said):
    text = b"".join(bundle(make_chain(1), signer))
    assert old in text
    with pytest.raises(UnreadableBundle, match=said.replace("/", ".")):
        checked(text.replace(old, new).splitlines(keepends=True), is_signed)


def test_neither_nothing_nor_noise_is_a_bundle():
    for lines in ([], [b"\n"], [b"\xff\xfe\n"], [b"{}\n"], [b"[" * 100_000]):
        with pytest.raises(UnreadableBundle):
            checked(lines, is_signed)


def test_periods_that_meet_give_bundles_that_join(signer):
    """The clock went back at the border: each event is in one of the two, in its order."""
    seconds = [1, 9, 12, 9.5, 8, 13, 20]
    chain = sealed([make_event(n, after(at)) for n, at in enumerate(seconds, start=1)])
    one = checked(bundle(chain, signer, Period(None, after(10))), is_signed)
    two = checked(bundle(chain, signer, Period(after(10), after(15))), is_signed)
    three = checked(bundle(chain, signer, Period(after(15), None)), is_signed)
    assert [one.why, two.why, three.why] == [None] * 3
    assert [found.followed.count for found in (one, two, three)] == [2, 4, 1]
    assert (gap(one, two), gap(two, three)) == (None, None)
    assert gap(one, three) == "it goes on after event 6, the file before ends at 2"
    assert gap(two, one) == "it goes on after event 0, the file before ends at 6"


def test_bundles_of_two_histories_do_not_join(signer):
    chain = make_chain(4)
    other = sealed([changed(one.event, actor="x") for one in chain])
    one = checked(bundle(chain, signer, Period(None, after(3))), is_signed)
    two = checked(bundle(other, signer, Period(after(3), None)), is_signed)
    assert gap(one, two) == "it goes on from another event 2 than the file before ends with"


def test_header_tells_the_period(signer):
    lines = bundle(make_chain(3), signer, Period(after(2), NOW + timedelta(days=1)))
    header = json.loads(lines[0])
    assert (header["from"], header["to"]) == (
        "2026-01-02T03:04:07.678Z", "2026-01-03T03:04:05.678Z"
    )  # fmt: skip
    assert header["before"]["sequence"] == 1


def test_events_of_another_project_are_not_in_it(signer):
    both = [*make_chain(2), *make_chain(3, OTHER_PROJECT)]
    assert checked(bundle(both, signer, project_id=OTHER_PROJECT), is_signed).followed.count == 3


async def test_broken_chain_is_not_signed(signer):
    chain = make_chain(5)
    chain[3] = changed(chain[3], hash=bytes(32))
    with pytest.raises(BrokenChain, match="event 4: hash is 0000"):
        await export(chain, signer)
