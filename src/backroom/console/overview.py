"""What goes on: outcomes by hour, how long things take, what waits, and who works."""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from backroom.console.plots import HOURS, SHOWN, hour_plot, spans
from backroom.console.searching import quick_total, total
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit
from backroom.domain.filter import TaskSearch
from backroom.domain.ids import ProjectId
from backroom.domain.task import State
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import OutcomeTally, TaskFigures

QUEUES: Final = 10
WORKERS: Final = 20
LATE: Final = timedelta(hours=1)  # a task that ended in an hour is written by then
ALIVE: Final = timedelta(seconds=30)  # a lease: who has not beaten for so long has lost its tasks


KEPT_HOURS: Final = 5_000


class Outcomes:
    """By hour; an hour that is over is asked for once, unless so many others were since."""

    def __init__(self, figures: TaskFigures) -> None:
        self._figures = figures
        self._kept: OrderedDict[tuple[ProjectId, datetime], list[OutcomeTally]] = OrderedDict()

    async def last_hours(self, project_id: ProjectId, now: datetime) -> list[OutcomeTally]:
        this = now.replace(minute=0, second=0, microsecond=0)
        tallies: list[OutcomeTally] = []
        for back in range(HOURS):
            tallies += await self._of_hour(project_id, this - timedelta(hours=back), this)
        return tallies

    async def _of_hour(
        self, project_id: ProjectId, hour: datetime, this: datetime
    ) -> list[OutcomeTally]:
        known = self._kept.get((project_id, hour))
        if known is not None:
            return known
        found = await self._figures.outcomes(project_id, hour, hour + timedelta(hours=1))
        if hour < this - LATE:
            self._kept[project_id, hour] = found
            if len(self._kept) > KEPT_HOURS:
                self._kept.popitem(last=False)
        await asyncio.sleep(0)  # reads may never wait: others must have their turn
        return found


class OverviewPages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._outcomes = Outcomes(around.figures)

    async def show(self, visit: Visit) -> Response:
        figures, project_id = self._around.figures, visit.project_id
        now = self._around.clock.now()
        taken = {name: await figures.spans_s(project_id, name) for name in CATALOGUE}
        queues = await figures.queues(project_id, QUEUES)
        names = {}
        for queue in queues:
            instance = await self._around.instances.get(project_id, queue.instance_id)
            names[queue.instance_id] = None if instance is None else instance.name
        running, waiting = [
            TaskSearch(project_id=project_id, states=frozenset({state}))
            for state in (State.RUNNING, State.WAITING)
        ]
        context = {
            "plot": hour_plot(await self._outcomes.last_hours(project_id, now), now),
            "shown": SHOWN,
            "spans": spans(taken),
            "queues": queues,
            "names": names,
            "workers": await figures.workers(project_id, WORKERS),
            "alive_since": now - ALIVE,
            "now": now,
            "running": await total(self._around, running),
            "waiting": await total(self._around, waiting),
            "all": await quick_total(self._around, TaskSearch(project_id=project_id)),
        }
        return visit.page("overview.html", context)
