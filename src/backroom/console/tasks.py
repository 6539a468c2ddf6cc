"""The list of tasks, and one task with all there is about it."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from backroom.console.deeds import DEEDS, possible
from backroom.console.differences import differences
from backroom.console.filters import Filter, decode_filter, decode_position, encode_position
from backroom.console.rendering import pretty, rendered
from backroom.console.searching import page_of, quick_total, total
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit
from backroom.domain.chain import SealedEvent
from backroom.domain.errors import InvalidInput
from backroom.domain.filter import EventFilter
from backroom.domain.ids import InstanceId, TaskId
from backroom.domain.task import Kind, State, Task
from backroom.operations.catalogue import CATALOGUE

EVENTS_MOST: Final = 500  # of one task; the rest is in the raw JSON of the native API


class TaskPages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def list(self, visit: Visit) -> Response:
        try:
            wanted, after = decode_filter(visit.query), decode_position(dict(visit.query))
        except InvalidInput as error:
            return await self._refused_list(visit, error)
        search = wanted.search(visit.project_id)
        found = await page_of(self._around, search, after)
        known = await quick_total(self._around, search)
        older = "" if found.position is None else encode_position(found.position)
        return await self._list(
            visit, wanted, tasks=found.tasks, total=known, older=older, is_cut=found.is_cut,
            is_first=after is None,
        )  # fmt: skip

    async def _refused_list(self, visit: Visit, error: InvalidInput) -> Response:
        _, text = self._around.error_texts(error, in_chinese=visit.in_chinese)
        return await self._list(visit, Filter(), problem=text)

    async def _list(self, visit: Visit, wanted: Filter, **given: Any) -> Response:
        context = {
            "tasks": [], "total": 0, "older": "", "is_cut": False, "is_first": True, "problem": "",
            **given,
            "filter": wanted,
            "instance_names": await self._names(visit, given.get("tasks", [])),
            "operations": sorted(CATALOGUE),
            "states": list(State),
            "kinds": list(Kind),
            "now": self._around.clock.now(),
            "deeds": DEEDS if visit.session.may_change else (),
        }  # fmt: skip
        return visit.page("tasks.html", context, 400 if context["problem"] else 200)

    async def _names(self, visit: Visit, tasks: Sequence[Task]) -> dict[InstanceId, str]:
        names: dict[InstanceId, str] = {}
        for instance_id in {task.instance_id for task in tasks if task.kind is not Kind.BULK}:
            instance = await self._around.instances.get(visit.project_id, instance_id)
            if instance is not None:
                names[instance_id] = instance.name
        return names

    async def total(self, visit: Visit) -> Response:
        """A piece of the list's page that is asked for later, where counting takes long."""
        wanted = decode_filter(visit.query)
        count = await total(self._around, wanted.search(visit.project_id))
        return rendered("total.html", {"t": visit.t, "total": count, "filter": wanted})

    async def show(self, visit: Visit) -> Response:
        record = await self._record(visit)
        task_id = TaskId(record["id"])
        events = await self._events(visit, task_id)
        steps = [step.name for step in CATALOGUE[record["name"]].steps] if (
            record["name"] in CATALOGUE
        ) else []  # fmt: skip
        instance_id = InstanceId(record["instance_id"])
        instance = await self._around.instances.get(visit.project_id, instance_id)
        context = {
            "task": record,
            "steps": _steps(record, steps),
            "events": events,
            "differences": differences(record["before"], record["after"]),
            "instance": instance,
            "deeds": possible(record) if visit.session.may_change else (),
            "now": self._around.clock.now(),
            "raw": pretty(record),
            "made": visit.request.query_params.get("made") == "1",
        }
        return visit.page("task.html", context)

    async def raw(self, visit: Visit) -> Response:
        return JSONResponse(await self._record(visit))

    async def _record(self, visit: Visit) -> dict[str, Any]:
        task_id = visit.request.path_params["task_id"]
        record: dict[str, Any] = await self._around.calls.call(
            visit.session.identity, "ShowTask", {"task_id": task_id}
        )
        return record

    async def _events(self, visit: Visit, task_id: TaskId) -> Sequence[SealedEvent]:
        wanted = EventFilter(project_id=visit.project_id, task_id=task_id)
        return await self._around.journal.events(wanted, EVENTS_MOST)


def _steps(record: dict[str, Any], names: Sequence[str]) -> Sequence[dict[str, Any]]:
    """All of the operation in their order, those not begun too.

    While the task is running, so is its first step without a record.
    """
    begun = {step["name"]: step for step in record["steps"]}
    listed = [
        begun.pop(name, {"name": name, "state": None, "percent": 0, "started_at": None,
                         "ended_at": None, "output": None})
        for name in names
    ]  # fmt: skip
    under_way = [step for step in listed if step["state"] not in ("succeeded", "failed")]
    if record["state"] == "running" and under_way:
        under_way[0]["state"] = "running"
    return [*listed, *begun.values()]
