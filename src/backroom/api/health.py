"""What whoever runs Backroom looks at: is it alive, can it serve, what does it do."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

import msgspec

from backroom.api.endings import Ended, Endings
from backroom.api.exchange import Request, Response, json_response
from backroom.api.measures import BOUNDS_S, Measures
from backroom.domain.errors import StoreUnavailable
from backroom.domain.ids import NOWHERE
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import Clock, Journal, Load, TaskFinder

STORE_WITHIN_S = 1.0
METRICS = b"text/plain; version=0.0.4; charset=utf-8"


class HealthBody(msgspec.Struct, frozen=True):
    """`store` is there when the database was asked: `ok`, or what is wrong with it."""

    status: str
    store: str | None = None


class HealthHandlers:
    def __init__(
        self, finder: TaskFinder, journal: Journal, measures: Measures, clock: Clock
    ) -> None:
        self._journal = journal
        self._finder = finder
        self._measures = measures
        self._clock = clock
        self._endings = Endings(journal)

    async def show_health(self, _request: Request) -> Response:
        """The process answers: nothing else is looked at, so that nobody restarts it in vain."""
        return json_response(HealthBody("ok"))

    async def show_readiness(self, _request: Request) -> Response:
        """Whether requests would succeed: the database answers."""
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                await self._journal.head(NOWHERE)  # one look-up, however much is queued
        except TimeoutError:
            return json_response(HealthBody("unavailable", "no answer"), 503)
        except StoreUnavailable as away:
            return json_response(HealthBody("unavailable", str(away)), 503)
        return json_response(HealthBody("ok", "ok"))

    async def show_metrics(self, _request: Request) -> Response:
        load = await self._finder.load()
        durations = {name: await self._finder.durations(name) for name in CATALOGUE}
        await self._endings.look()
        figures = Figures(load, self._endings.counts, durations)
        shown = families(self._measures, figures, self._clock.now())
        return Response(200, _rendered(shown), content_type=METRICS)


class Figures(msgspec.Struct, frozen=True):
    """Of the whole deployment. `ended` and `durations` go by the names of operations."""

    load: Load
    ended: Ended
    durations: Mapping[str, Mapping[str, float]]


def families(measures: Measures, figures: Figures, now: datetime) -> list[Any]:
    """Every metric, also those without a value yet."""
    return [
        *_requests(measures),
        *_engine(figures.load, now),
        _ended(figures.ended),
        _steps(figures.durations),
    ]


def _requests(measures: Measures) -> list[Any]:
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415  57 ms of every start

    family = HistogramMetricFamily(
        "backroom_request_seconds", "Answered requests by call and status.",
        labels=("operation", "status"),
    )  # fmt: skip
    bounds = (*map(str, BOUNDS_S), "+Inf")
    for (operation, status), counts in sorted(measures.taken.items()):
        family.add_metric(
            (operation, str(status)),
            buckets=list(zip(bounds, accumulate(counts), strict=True)),
            sum_value=measures.spent_s[operation, status],
        )
    return [family]


def _engine(load: Load, now: datetime) -> list[Any]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    tasks = GaugeMetricFamily(
        "backroom_tasks", "Tasks in flight by state and name.", labels=("state", "name")
    )
    for tally in load.tallies:
        tasks.add_metric((tally.state.value, tally.name), tally.count)
    figures = (
        ("backroom_lanes", "Queues that are not empty.", load.lanes),
        ("backroom_lane_depth_max", "Unfinished tasks of the longest queue.", load.deepest),
        (
            "backroom_lane_overdue_seconds",
            "For how long the queue has been ready that waits longest.",
            _age_s(load.overdue_since, now),
        ),
        (
            "backroom_lease_age_seconds", "For how long the oldest lease has been held.",
            _age_s(load.oldest_claim_at, now),
        ),
        (
            "backroom_beat_age_seconds", "Age of the oldest beat of a worker that holds tasks.",
            _age_s(load.oldest_beat_at, now),
        ),
    )  # fmt: skip
    return [tasks, *(GaugeMetricFamily(name, text, value) for name, text, value in figures)]


def _ended(ended: Ended) -> Any:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

    family = CounterMetricFamily(
        "backroom_tasks_ended",
        "Tasks that ended since this process was first asked, by state and name.",
        labels=("state", "name"),
    )
    for (state, name), count in sorted(ended.items()):
        family.add_metric((state.value, name), count)
    return family


def _steps(durations: Mapping[str, Mapping[str, float]]) -> Any:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    family = GaugeMetricFamily(
        "backroom_step_seconds", "Median over the last 20 tasks of that name that succeeded.",
        labels=("name", "step"),
    )  # fmt: skip
    for name, steps in durations.items():
        for step, median_s in steps.items():
            family.add_metric((name, step), median_s)
    return family


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _rendered(families: list[Any]) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
    from prometheus_client.registry import Collector  # noqa: PLC0415

    class Given(Collector):
        def collect(self) -> list[Any]:
            return families

    registry = CollectorRegistry()
    registry.register(Given())
    rendered: bytes = generate_latest(registry)
    return rendered
