"""Followers: outcomes, several tasks at once, time-outs, servers that go away and come back."""

import msgspec
import pytest

from backroom.cli.exits import CallRefused, Unreachable
from backroom.cli.following import AWAY_MOST_S, Followed, Follower, Terms
from backroom.cli.sentences import choose
from backroom.cli.sources import Sighting, seen_officially
from backroom.cli.views import JsonView, LineView, SilentView

AWAY = Unreachable("It is away.")
GONE = CallRefused("no such task", 404, "DMS.00404001")


@pytest.fixture(autouse=True)
def _english():
    choose("en")
    yield
    choose(None)


def seen(task_id="a", state="running", **more):
    return Sighting(id=task_id, name="bind", word=state, state=state, **more)


class Script:
    """A source whose tasks go through these sightings, one at each look; the last one stays."""

    may_refresh = True

    def __init__(self, clock, **tasks):
        self.clock = clock
        self.tasks = {task_id: list(course) for task_id, course in tasks.items()}
        self.flying = list(tasks)
        self.told = []  # news that it will tell; then always None
        self.looks = []

    def look(self, task_id):
        self.looks.append(task_id)
        course = self.tasks[task_id]
        found = course.pop(0) if len(course) > 1 else course[0]
        if isinstance(found, Exception):
            raise found
        return msgspec.structs.replace(found, id=task_id)

    def in_flight(self):
        return [found for task_id in self.flying if not (found := self.look(task_id)).is_final]

    def news(self, within_s):
        self.clock.now += min(within_s, 1.0)
        return self.told.pop(0) if self.told else None

    def close(self):
        pass


class Clock:
    now = 100.0


@pytest.fixture
def clock():
    return Clock()


class View(SilentView):
    def __init__(self):
        self.seen, self.notes = [], []

    def show(self, one):
        self.seen.append((one.id, one.state))

    def note(self, text):
        self.notes.append(text)


def follower(source, view=None, **terms):
    def pause(delay_s):
        source.clock.now += delay_s

    return Follower(source, view or View(), Terms(**terms), lambda: source.clock.now, pause)


def test_it_ends_when_each_has(clock):
    source = Script(
        clock, a=[seen(), seen(state="succeeded")], b=[seen(), seen(), seen(state="succeeded")]
    )
    followed = follower(source).follow(["a", "b", "a"])

    assert {one.state for one in followed.seen.values()} == {"succeeded"}
    assert followed.exit_code == 0
    assert source.looks == ["a", "b", "a", "b", "b"]


@pytest.mark.parametrize(
    ("states", "is_late", "code"),
    [
        (["succeeded"], False, 0),
        (["succeeded", "failed"], False, 1),
        (["cancelled", "failed"], True, 1),
        (["succeeded", "cancelled"], False, 3),
        (["running", "cancelled"], True, 3),
        (["succeeded", "running"], True, 4),
    ],
)
def test_the_exit_code_is_the_worst_that_is_known(states, is_late, code):
    sightings = {str(at): seen(str(at), state) for at, state in enumerate(states)}

    assert Followed(seen=sightings, is_late=is_late).exit_code == code


def test_only_what_has_news_is_looked_at(clock):
    source = Script(clock, a=[seen(), seen(state="succeeded")], b=[seen(), seen(state="succeeded")])
    source.told = [{"b"}, {"stranger"}, {"a"}]
    follower(source).follow(["a", "b"])

    assert source.looks == ["a", "b", "b", "a"]


def test_a_view_that_ticks_sees_what_moves(clock):
    source = Script(
        clock,
        a=[seen(step="one"), seen(step="two"), seen(state="succeeded")],
        b=[seen(state="waiting"), seen(state="succeeded")],
    )
    source.told = [set(), {"a"}, {"b"}]
    view = View()
    view.tick_s = 1.0
    follower(source, view).follow(["a", "b"])

    assert source.looks == ["a", "b", "a", "a", "b"]


def test_fail_fast_stops_at_the_first_failure(clock):
    source = Script(clock, a=[seen()], b=[seen(), seen(state="failed")])
    followed = follower(source, is_fail_fast=True).follow(["a", "b"])

    assert followed.exit_code == 1
    assert followed.pending == ["a"]


def test_without_it_the_others_are_waited_for(clock):
    source = Script(clock, a=[seen(), seen(), seen(state="succeeded")], b=[seen(state="failed")])
    followed = follower(source).follow(["a", "b"])

    assert followed.exit_code == 1
    assert followed.pending == []


def test_time_is_up(clock):
    followed = follower(Script(clock, a=[seen()]), timeout_s=5).follow(["a"])

    assert followed.exit_code == 4
    assert clock.now == 105.0


def test_a_server_that_restarts_is_waited_for_and_told_once(clock):
    view = View()
    source = Script(clock, a=[seen(), AWAY, AWAY, seen(state="succeeded")])
    followed = follower(source, view).follow(["a"])

    assert followed.exit_code == 0
    assert view.notes == ["It is away. Trying again for up to 5m."]


def test_one_that_stays_away_is_given_up(clock):
    source = Script(clock, a=[seen(), AWAY])
    with pytest.raises(Unreachable):
        follower(source).follow(["a"])
    assert clock.now >= 100 + AWAY_MOST_S


def test_one_that_was_never_there_is_told_at_once(clock):
    with pytest.raises(Unreachable):
        follower(Script(clock, a=[AWAY])).follow(["a"])
    assert clock.now == 100.0


def test_a_time_out_counts_also_while_the_server_is_away(clock):
    with pytest.raises(Unreachable):
        follower(Script(clock, a=[seen(), AWAY]), timeout_s=10).follow(["a"])
    assert clock.now < 115


def test_a_task_that_is_not_there_is_refused(clock):
    with pytest.raises(CallRefused):
        follower(Script(clock, a=[GONE])).follow(["a"])


def test_a_record_that_is_deleted_meanwhile_ends_the_wait(clock):
    followed = follower(Script(clock, a=[seen(), GONE])).follow(["a"])

    assert followed.exit_code == 1
    assert followed.seen["a"].why == "the record of a is gone: it was deleted"


def test_all_is_followed_until_time_is_up_also_what_comes(clock):
    view = View()
    source = Script(clock, a=[seen(), seen(state="succeeded")])
    source.told = [{"new"}, {"a", "deleted"}]
    source.tasks["new"] = [seen("new", "succeeded")]
    source.tasks["deleted"] = [GONE]
    followed = follower(source, view, timeout_s=3).follow_all()

    assert ("new", "succeeded") in view.seen
    assert ("a", "succeeded") in view.seen
    assert "deleted" not in followed.seen


class TestViews:
    COURSE = (
        seen(state="waiting", why="lane"),
        seen(step="one", percent=10, remaining_s=65),
        seen(step="one", percent=20),
        seen(step="two", percent=50),
        seen(state="failed", why="it broke"),
    )

    def printed(self, view, capsys):
        for one in self.COURSE:
            view.show(one)
        return capsys.readouterr().out.splitlines()

    def test_every_change_is_a_line(self, capsys):
        assert self.printed(LineView(is_every_change=True), capsys) == [
            "bind a waiting lane",
            "bind a running one 10% ~1m5s",
            "bind a running two 50%",
            "bind a FAILED: it broke",
        ]

    def test_or_only_the_end(self, capsys):
        assert self.printed(LineView(is_every_change=False), capsys) == ["bind a FAILED: it broke"]

    def test_programs_get_json_lines(self, capsys):
        lines = [msgspec.json.decode(line) for line in self.printed(JsonView(), capsys)]

        assert [line["step"] for line in lines] == [None, "one", "two", None]
        assert lines[-1]["state"] == "failed"
        assert lines[-1]["why"] == "it broke"

    def test_chinese(self, capsys):
        choose("zh")
        assert self.printed(LineView(is_every_change=False), capsys) == [
            "bind a 失败\uff1ait broke"
        ]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", "in flight"), ("EXECUTING", "in flight"), ("SUCCESS", "succeeded"),
        ("FAILED", "failed"), ("CANCELLED", "cancelled"), ("DELETED", "failed"),
    ],
)  # fmt: skip
def test_official_statuses(status, state):
    record = {"id": "a", "name": "n", "status": status, "created_at": "", "updated_at": ""}

    assert seen_officially(record, "i").state == state
