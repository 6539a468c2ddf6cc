"""Instances: their list, and one with its brokers, topics and running task."""

from typing import Any, Final

from starlette.responses import Response

from backroom.console.searching import page_of
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit
from backroom.domain.errors import KafkaUnavailable, OutcomeUnknown
from backroom.domain.filter import Page, TaskSearch
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Instance, InstanceFilter, InstanceStatus
from backroom.domain.task import Kind

PAGE: Final = 50  # instances
RECENT: Final = 8  # tasks


class InstancePages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def list(self, visit: Visit) -> Response:
        query = dict(visit.query)
        name, status = query.get("name", "")[:64], query.get("status", "")
        text = query.get("page", "1")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1  # noqa: PLR2004
        wanted = InstanceFilter(
            project_id=visit.project_id, name=name or None, status=status or None
        )
        skip = (max(number, 1) - 1) * PAGE
        found, total = await self._around.instances.find(wanted, Page(skip, PAGE))
        current = {}
        for instance in found:
            _, task = await self._around.shown.show(visit.project_id, instance.id)
            current[instance.id] = task
        context = {
            "instances": found, "total": total, "current": current, "name": name,
            "status": status, "statuses": list(InstanceStatus), "page": max(number, 1),
            "has_more": skip + len(found) < total,
        }  # fmt: skip
        return visit.page("instances.html", context)

    async def show(self, visit: Visit) -> Response:
        instance_id = InstanceId(visit.request.path_params["instance_id"])
        instance, current = await self._around.shown.show(visit.project_id, instance_id)
        recent = TaskSearch(
            project_id=visit.project_id, instance_id=instance_id,
            kinds=frozenset({Kind.BACKGROUND, Kind.SCHEDULED}),
        )  # fmt: skip
        full = None
        if current is not None:
            full = await self._around.service.full(visit.project_id, current.id)
        topics, problem = await self._topics(visit, instance)
        cluster = await self._around.platform.observe(instance_id)
        context = {
            "instance": instance,
            "current": full,
            "tasks": (await page_of(self._around, recent, None)).tasks[:RECENT],
            "topics": topics,
            "topics_problem": problem,
            "cluster": cluster,
            "now": self._around.clock.now(),
        }
        return visit.page("instance.html", context)

    async def _topics(self, visit: Visit, instance: Instance) -> tuple[Any, str]:
        """What there is, or why that can't be told just now."""
        try:
            return await self._around.topics.list(visit.project_id, instance.id), ""
        except (KafkaUnavailable, OutcomeUnknown) as error:
            _, text = self._around.error_texts(error, in_chinese=visit.in_chinese)
            return None, text
