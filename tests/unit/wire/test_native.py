import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import (
    NOW,
    OTHER_PROJECT,
    PROJECT,
    after,
    instance_id,
    make_running,
    make_scheduled,
    make_step,
    make_task,
)

from backroom.domain.errors import InvalidInput
from backroom.domain.estimate import Estimate
from backroom.domain.filter import Found, Position, TaskSearch
from backroom.domain.stamps import stamp
from backroom.domain.task import AttemptRecord, Kind, State
from backroom.ports import History, Place
from backroom.wire import native

EMPTY = History((), (), ())
words = st.sets(st.text("abc", min_size=1, max_size=5), max_size=3).map(frozenset)
searches = st.builds(
    TaskSearch,
    project_id=st.sampled_from([PROJECT, OTHER_PROJECT]),
    instance_id=st.sampled_from([None, instance_id(1), instance_id(2)]),
    kinds=st.sets(st.sampled_from(Kind)).map(frozenset),
    states=st.sets(st.sampled_from(State)).map(frozenset),
    names=words,
    user=st.none() | st.text(max_size=5),
    text=st.none() | st.text(max_size=5),
)
positions = st.builds(
    Position,
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(stamp),  # noqa: DTZ001
    st.integers(0, 2**63 - 1),
)


# cursors


@given(positions, searches)
def test_cursor_leads_to_where_it_was_made(position, wanted):
    cursor = native.encode_cursor(position, wanted)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=&%")
    assert native.decode_cursor(cursor, wanted) == position


@given(positions, searches, searches)
def test_cursor_of_another_search_is_refused(position, wanted, other):
    if wanted == other:
        return
    with pytest.raises(InvalidInput, match="this very search"):
        native.decode_cursor(native.encode_cursor(position, wanted), other)


@given(positions, searches, st.data())
def test_cursor_that_was_tampered_with_is_refused_or_the_same(position, wanted, data):
    cursor = native.encode_cursor(position, wanted)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = cursor[:at] + data.draw(st.characters(max_codepoint=300)) + cursor[at + 1 :]
    try:
        found = native.decode_cursor(other, wanted)
    except InvalidInput:
        return
    assert isinstance(found.key, int)
    assert len(found.created_at) == len("2020-06-15T08:55:53.606Z")


@given(st.text(max_size=60))
def test_cursor_that_nobody_made_is_refused(text):
    with pytest.raises(InvalidInput):
        native.decode_cursor(text, TaskSearch(project_id=PROJECT))


@pytest.mark.parametrize(
    "content",
    [
        ["2020-06-15T08:55:53.606Z", -1], ["2020-06-15T08:55:53.606Z", 2**63],
        ["2020-06-15T08:55:53.606Z", 2**80], ["", 1], ["x' OR 1", 1], [None, 1], [1], "x", {},
    ],
)  # fmt: skip
def test_cursor_with_the_right_digest_and_a_wrong_place_is_refused(content):
    wanted = TaskSearch(project_id=PROJECT)
    digest = native._digest(wanted)
    whole = [*content, digest] if isinstance(content, list) else content
    text = urlsafe_b64encode(json.dumps(whole).encode()).decode()
    with pytest.raises(InvalidInput):
        native.decode_cursor(text, wanted)


def test_there_is_no_cursor_at_either_end():
    wanted = TaskSearch(project_id=PROJECT)
    assert native.decode_cursor(None, wanted) is None
    assert native.encode_found(Found([], None), wanted).cursor is None


# searches


def test_search_is_read_from_the_query():
    wanted = native.decode_search(
        {
            "state": "failed,cancelled", "name": "a,b,", "kind": "bulk", "user": "ann",
            "instance_id": instance_id(), "created_from": "2026-03-04T05:06:07Z",
            "created_to": "2026-03-04T07:06:07.25+02:00", "text": "eip", "limit": "3",
        },
        PROJECT,
    )  # fmt: skip
    assert wanted == TaskSearch(
        project_id=PROJECT, states=frozenset({State.FAILED, State.CANCELLED}),
        names=frozenset({"a", "b"}), kinds=frozenset({Kind.BULK}), user="ann",
        instance_id=instance_id(), created_from=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        created_to=datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC), text="eip",
    )  # fmt: skip
    assert native.decode_search({}, PROJECT) == TaskSearch(project_id=PROJECT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "FAILED"), ("state", "failed,"), ("state", "done"), ("state", "failed;running"),
        ("kind", "task"), ("instance_id", "x"), ("instance_id", instance_id().upper()),
        ("created_from", "2026-03-04"), ("created_from", "2026-03-04T05:06:07"),
        ("created_from", "2026-03-04 05:06:07Z"), ("created_from", "20260304050607"),
        ("created_from", "2026-03-04T05:06:07 02:00"), ("created_from", "2026-13-04T05:06:07Z"),
        ("created_to", "0001-01-01T00:00:00+23:59"), ("created_to", "9999-12-31T23:59:59.9999Z"),
        ("created_to", "\u0662026-03-04T05:06:07Z"), ("name", "n" * 257), ("user", "u" * 257),
        ("text", "t" * 257), ("sate", "failed"), ("states", "failed"), ("start", "1"),
    ],
)  # fmt: skip
def test_search_that_nobody_understands_is_refused(name, value):
    with pytest.raises(InvalidInput) as raised:
        native.decode_search({name: value}, PROJECT)
    assert raised.value.parameter == name
    assert raised.value.why


@given(st.sampled_from(native.SEARCH_NAMES), st.text(max_size=40))
def test_search_is_understood_or_refused(name, value):
    blamed = name
    try:
        native.decode_search({name: value}, PROJECT)
    except InvalidInput as refused:
        blamed = refused.parameter
    assert blamed == name


@pytest.mark.parametrize("text", ["0", "101", "-1", "x", "1.0", "\u0663", "1" * 40, " 1"])
def test_limit_out_of_range_is_refused(text):
    with pytest.raises(InvalidInput):
        native.decode_limit({"limit": text}, 20, 100)


def test_limit_is_what_is_asked_for_or_the_usual_one():
    assert [native.decode_limit({"limit": text}, 20, 100) for text in ("1", "100")] == [1, 100]
    assert native.decode_limit({}, 20, 100) == 20


# filters of bulk actions

OPEN = (State.WAITING, State.RUNNING)


def test_filter_is_the_search_of_the_same_words_narrowed_to_what_can_be_done():
    body = native.FilterBody(name="a", user="ann")
    wanted, public = native.decode_filter(body, PROJECT, OPEN)
    assert public == {"name": "a", "user": "ann"}
    assert wanted == msgspec.structs.replace(
        native.decode_search(public, PROJECT),
        states=frozenset(OPEN),
        kinds=frozenset({Kind.BACKGROUND, Kind.SCHEDULED}),
    )
    one, _ = native.decode_filter(native.FilterBody(state="running", kind="bulk"), PROJECT, OPEN)
    assert (one.states, one.kinds) == ({State.RUNNING}, {Kind.BULK})


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({}, "filter"), ({"state": ""}, "state"), ({"state": "succeeded"}, "state"),
        ({"instance_id": "", "state": "waiting"}, "instance_id"), ({"name": ","}, "name"),
        ({"name": "a,"}, "name"), ({"name": " "}, "name"), ({"user": ""}, "user"),
        ({"text": ""}, "text"), ({"created_to": ""}, "created_to"), ({"kind": "bulk,"}, "kind"),
        ({"state": "running,failed"}, "state"), ({"state": "x"}, "state"), ({"kind": "x"}, "kind"),
        ({"text": "\0"}, "text"), ({"created_from": "today"}, "created_from"),
    ],
)  # fmt: skip
def test_filter_that_could_mean_too_much_is_refused(given, parameter):
    with pytest.raises(InvalidInput) as raised:
        native.decode_filter(native.FilterBody(**given), PROJECT, OPEN)
    assert raised.value.parameter == parameter


# events


@pytest.mark.parametrize("text", ["", "x", "-1", "1e3", "9" * 17, "\u0663"])
def test_place_in_the_events_must_be_a_number(text):
    with pytest.raises(InvalidInput):
        native.decode_after({"after": text or "x"}, None)
    if text.isascii() and text:
        with pytest.raises(InvalidInput, match="Last-Event-ID"):
            native.decode_after({}, text.encode())


def test_last_event_id_counts_before_the_query():
    assert native.decode_after({}, None) == 0
    assert native.decode_after({"after": "7"}, None) == 7
    assert native.decode_after({"after": "7"}, b"") == 7
    assert native.decode_after({"after": "7"}, b"9") == 9


@pytest.mark.parametrize(
    ("text", "kept"),
    [(None, None), ("", None), (" \n", None), (" why ", "why"), ("x" * 1000, "x" * 1000)],
)
def test_reason_is_kept_without_blanks_around_it(text, kept):
    assert native.decode_reason(text) == kept


@pytest.mark.parametrize("text", ["x" * 1001, "a\0b"])
def test_reason_that_can_not_be_kept_is_refused(text):
    with pytest.raises(InvalidInput):
        native.decode_reason(text)


# records


def encoded(task, history=EMPTY, waits=None, *, is_admin=True):
    body = native.encode_task(task, history, Estimate(7, 9), waits, is_admin=is_admin)
    return json.loads(msgspec.json.encode(body))


def test_record_shows_every_field_of_a_task_but_the_internal_params():
    shown = encoded(make_running(internal=b'{"password": "Hush"}', params='{"a": [1]}'))
    fields = {field.name for field in msgspec.structs.fields(make_task())}
    assert fields - set(shown) == {"internal"}
    assert shown["params"] == {"a": [1]}
    assert "Hush" not in json.dumps(shown)
    assert shown["progress"] == {"percent": 7, "remaining_s": 9}


def test_record_names_what_the_task_changed():
    before, after_it = '{"a": 1, "b": {"c": [2]}, "d": 3}', '{"a":1,"b":{"c":[3]},"e":3}'
    shown = encoded(make_task(before=before, after=after_it))
    assert (shown["before"], shown["after"]) == (json.loads(before), json.loads(after_it))
    assert shown["changed"] == ["b", "d", "e"]
    assert encoded(make_task(before=before))["changed"] is None


def test_trace_is_for_admins_only():
    attempt = AttemptRecord(
        epoch=1, number=1, worker_id="w", started_at=NOW, error="broke", trace="line 1"
    )
    history = History((make_step(output=b'{"x":1}'),), (attempt,), ())
    for is_admin, trace in ((True, "line 1"), (False, None)):
        shown = encoded(make_task(), history, is_admin=is_admin)
        assert shown["attempts"][0]["trace"] == trace
        assert shown["attempts"][0]["error"] == "broke"
        assert shown["steps"][0]["output"] == {"x": 1}


@pytest.mark.parametrize(
    ("task", "place", "why"),
    [
        (make_scheduled(1, after(60)), Place(None, (), after(60)), "schedule"),
        (make_task(), Place(make_running(), (), None), "lane"),
        (make_task(), Place(None, ("a",), NOW), "lane"),
        (make_task(due_at=after(5), started_at=NOW), Place(None, (), after(5)), "step"),
        (make_task(), Place(None, (), NOW), "worker"),
        (make_task(due_at=NOW, started_at=NOW), Place(None, (), NOW), "worker"),
    ],
)
def test_record_says_why_a_task_waits(task, place, why):
    waits = native.encode_waits(task, place, after(3), NOW)
    assert (waits.why, waits.expected_at) == (why, stamp(after(3)))
    assert waits.ahead == len(place.ahead)
    assert encoded(task, waits=waits)["waits"]["why"] == why


def test_only_the_first_of_a_long_queue_are_named():
    place = Place(None, tuple(map(str, range(1000))), NOW)
    waits = native.encode_waits(make_task(), place, None, NOW)
    assert (waits.ahead, len(waits.ahead_names), waits.expected_at) == (1000, 100, None)


def test_entity_tag_is_of_all_that_is_shown():
    assert native.entity_tag(b"a") == native.entity_tag(b"a") != native.entity_tag(b"b")
    assert native.entity_tag(b"a").startswith(b'"')
