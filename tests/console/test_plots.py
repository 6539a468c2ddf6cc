from datetime import UTC, datetime, timedelta

import pytest

from backroom.console.differences import Difference, differences
from backroom.console.plots import HOURS, SHOWN, hour_plot, nice_top, spans
from backroom.console.rendering import TEXT
from backroom.domain.task import State
from backroom.ports import OutcomeTally

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
HOUR = NOW.replace(minute=0)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 2), (1, 2), (2, 2), (3, 4), (7, 8), (9, 10), (11, 20), (45, 50), (101, 200)],
)
def test_the_scale_ends_at_a_round_number(most, top):
    assert nice_top(most) == top


def test_every_scale_holds_its_bars():
    for most in range(3_000):
        assert most <= nice_top(most) <= max(2, 2 * most)
        assert nice_top(most) % 2 == 0


def test_outcomes_are_stacked_in_their_hour():
    tallies = [
        OutcomeTally(HOUR, State.SUCCEEDED, 3),
        OutcomeTally(HOUR, State.FAILED, 1),
        OutcomeTally(HOUR - timedelta(hours=HOURS), State.FAILED, 9),  # too old
    ]
    plot = hour_plot(tallies, NOW)
    assert len(plot.columns) == HOURS
    last = plot.columns[-1]
    assert (last.hour, last.counts) == (HOUR, (3, 0, 1))
    good, bad = last.bars
    assert (good.state, bad.state) == (State.SUCCEEDED, State.FAILED)
    assert good.y + good.height == plot.bottom
    assert bad.y + bad.height == pytest.approx(good.y)
    assert good.height == pytest.approx(3 * bad.height, rel=0.02)
    assert plot.totals == (3, 0, 1)
    assert len(SHOWN) == len(plot.totals)


def test_an_empty_day_has_no_bars():
    plot = hour_plot([], NOW)
    assert all(not column.bars for column in plot.columns)


def test_percentiles_are_by_nearest_rank_and_the_longest_comes_first():
    made = spans({"short": [float(n) for n in range(1, 101)], "long": [500.0], "none": []})
    assert [(one.name, one.count, one.p50_s, one.p95_s) for one in made] == [
        ("long", 1, 500.0, 500.0), ("short", 100, 50.0, 95.0),
    ]  # fmt: skip
    assert [(one.p50_percent, one.p95_percent) for one in made] == [(100, 100), (10, 19)]


def test_differences_are_told_leaf_by_leaf():
    before = {"name": "a", "access": None, "brokers": [1], "same": {"x": 1}}
    after = {"name": "b", "access": {"ip": "i", "empty": {}}, "brokers": [1, 2], "same": {"x": 1}}
    assert differences(before, after) == [
        Difference("name", '"a"', '"b"'),
        Difference("access.ip", None, '"i"'),
        Difference("access.empty", None, "{}"),
        Difference("brokers[1]", None, "2"),
    ]
    assert differences(None, after) == differences(before, None) == []


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (None, "\u2013", "\u2013"),
        (0.25, "250 ms", "250 毫秒"),
        (4.26, "4.3 s", "4.3 秒"),
        (59, "59 s", "59 秒"),
        (61, "1 min 1 s", "1 分 1 秒"),
        (7_260, "2 h 1 min", "2 小时 1 分"),
        (90_000, "1 d 1 h", "1 天 1 小时"),
    ],
)
def test_lengths_of_time_are_told_in_two_units_at_most(seconds, english, chinese):
    assert TEXT["en"].span(seconds) == english
    assert TEXT["zh"].span(seconds) == chinese
