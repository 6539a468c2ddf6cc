"""Lengths of time and moments, as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from backroom.cli.durations import between_s, in_words, moment_of, seconds_of

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800),
     ("250ms", 0.25)],
)  # fmt: skip
def test_a_length_is_read(text, seconds):
    assert seconds_of(text, "--timeout") == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "10 m", "m", "-5s", "5x", "0", "0s", "400d", "1e3", "nan"]
)
def test_a_bad_length_is_refused_with_the_option(text):
    with pytest.raises(typer.BadParameter) as refused:
        seconds_of(text, "--timeout")
    assert refused.value.param_hint == "--timeout"


def test_no_length_is_none():
    assert seconds_of(None, "--timeout") is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0s"), (0.4, "0.4s"), (5, "5s"), (65, "1m5s"), (3600, "1h"), (5400, "1h30m"),
     (90061, "1d1h")],
)  # fmt: skip
def test_a_length_is_told(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-04T06:00:00Z", NOW.replace(hour=6, minute=0, second=0)),
        ("2026-03-04T06:00:00", NOW.replace(hour=6, minute=0, second=0)),
        ("2026-03-04T14:00:00+08:00", NOW.replace(hour=6, minute=0, second=0)),
        ("2026-03-04", NOW.replace(hour=0, minute=0, second=0)),
        ("+90m", NOW + timedelta(minutes=90)),
    ],
)
def test_a_moment_is_read(text, moment):
    assert moment_of(text, "--at", NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01", "+", "+x", "0001-01-01T00:00:00+23:59"]
)
def test_a_bad_moment_is_refused(text):
    with pytest.raises(typer.BadParameter):
        moment_of(text, "--at", NOW)


@pytest.mark.parametrize(
    ("begin", "end", "seconds"),
    [
        ("2026-03-04T06:00:00.000Z", "2026-03-04T06:00:01.500Z", 1.5),
        (None, "2026-03-04T06:00:01.500Z", None),
        ("2026-03-04T06:00:00.000Z", None, None),
        ("", "x", None),
    ],
)
def test_between_two_moments_of_the_wire(begin, end, seconds):
    assert between_s(begin, end) == seconds
