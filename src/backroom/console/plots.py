"""Geometry of the small plots: what a template draws as SVG."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import Final

import msgspec

from backroom.domain.task import State
from backroom.ports import OutcomeTally

HOURS: Final = 24
WIDTH: Final = 1100
HEIGHT: Final = 170
LEFT: Final = 44
BOTTOM: Final = 22
TOP: Final = 8
SHOWN: Final = (State.SUCCEEDED, State.CANCELLED, State.FAILED)  # from below


class Bar(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float
    state: State


class Column(msgspec.Struct, frozen=True):
    """One hour; `counts` in the order of SHOWN."""

    hour: datetime
    x: float
    width: float
    bars: tuple[Bar, ...]
    counts: tuple[int, ...]


class Line(msgspec.Struct, frozen=True):
    y: float
    value: int


class HourPlot(msgspec.Struct, frozen=True):
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    totals: tuple[int, ...]  # in the order of SHOWN
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


class Span(msgspec.Struct, frozen=True):
    """Median and 95th percentile, and their bars in percent of the longest."""

    name: str
    count: int
    p50_s: float
    p95_s: float
    p50_percent: float
    p95_percent: float


def hour_plot(tallies: Sequence[OutcomeTally], now: datetime) -> HourPlot:
    """The last 24 hours, this one included."""
    last = now.replace(minute=0, second=0, microsecond=0)
    hours = [last - timedelta(hours=HOURS - 1 - at) for at in range(HOURS)]
    counted: Mapping[tuple[datetime, State], int] = {
        (tally.hour, tally.state): tally.count for tally in tallies
    }
    rows = [tuple(counted.get((hour, state), 0) for state in SHOWN) for hour in hours]
    top = nice_top(max(map(sum, rows)))
    pitch = (WIDTH - LEFT) / HOURS
    columns = tuple(
        _column(hour, LEFT + at * pitch, pitch, counts, top)
        for at, (hour, counts) in enumerate(zip(hours, rows, strict=True))
    )
    marks = sorted({0, top // 2, top})
    return HourPlot(
        columns,
        tuple(Line(_y(mark, top), mark) for mark in marks),
        tuple(map(sum, zip(*rows, strict=True))),
    )


def nice_top(most: int) -> int:
    """A round number not below `most`, even, at least 2."""
    if most <= 2:  # noqa: PLR2004
        return 2
    step: int = 10 ** floor(log10(most))
    tops = (factor * step for factor in (1, 2, 4, 5, 6, 8, 10, 20))
    return next(top for top in tops if top >= most and top % 2 == 0)


def span(name: str, taken_s: Sequence[float], longest_s: float) -> Span:
    ordered = sorted(taken_s)
    p50, p95 = _percentile(ordered, 50), _percentile(ordered, 95)
    whole = longest_s or 1.0
    return Span(
        name, len(ordered), p50, p95, round(100 * p50 / whole, 2), round(100 * p95 / whole, 2)
    )


def spans(taken_s: Mapping[str, Sequence[float]]) -> list[Span]:
    """Of those that were ever taken, the longest first."""
    known = {name: taken for name, taken in taken_s.items() if taken}
    longest_s = max((_percentile(sorted(taken), 95) for taken in known.values()), default=0.0)
    made = [span(name, taken, longest_s) for name, taken in known.items()]
    return sorted(made, key=lambda one: -one.p95_s)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """By nearest rank."""
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def _column(hour: datetime, x: float, pitch: float, counts: tuple[int, ...], top: int) -> Column:
    bars: list[Bar] = []
    below = 0
    for state, count in zip(SHOWN, counts, strict=True):
        if count:
            y = _y(below + count, top)
            height = _y(below, top) - y
            bars.append(Bar(round(x + 2, 1), y, round(pitch - 4, 1), round(height, 1), state))
        below += count
    return Column(hour, round(x, 1), round(pitch, 1), tuple(bars), counts)


def _y(value: int, top: int) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top, 1)
