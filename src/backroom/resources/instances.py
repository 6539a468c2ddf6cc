"""Reading instances. What changes one is an operation."""

from typing import Protocol

from backroom.domain.errors import InstanceNotFound, InvalidOffset
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance, InstanceFilter
from backroom.domain.task import TaskRecord
from backroom.ports import InstanceStore


class CurrentTasks(Protocol):
    async def current(self, instance_id: InstanceId) -> TaskRecord | None:
        """The task at the head of the instance's lane; None when nothing is in flight."""


async def existing_instance(
    store: InstanceStore, project_id: ProjectId, instance_id: InstanceId
) -> Instance:
    """Raises InstanceNotFound for a missing one and for another project's alike."""
    instance = await store.get(project_id, instance_id)
    if instance is None:
        raise InstanceNotFound(instance_id)
    return instance


class Instances:
    def __init__(self, store: InstanceStore, tasks: CurrentTasks) -> None:
        self._store = store
        self._tasks = tasks

    async def show(
        self, project_id: ProjectId, instance_id: InstanceId
    ) -> tuple[Instance, TaskRecord | None]:
        instance = await existing_instance(self._store, project_id, instance_id)
        return instance, await self._tasks.current(instance_id)

    async def list(self, wanted: InstanceFilter, page: Page) -> tuple[list[Instance], int]:
        """Newest first, and how many match in all."""
        found, total = await self._store.find(wanted, page)
        if 0 < total <= page.skip:
            # [O] Terraform's comment in its data source of instances
            raise InvalidOffset("offset", f"must be less than {total}, the number that match")
        return found, total
