"""What waits in a lane, as a reader of the store can see it."""

from tests.support.builders import PROJECT

from backroom.domain.filter import Page, TaskFilter
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.task import State
from backroom.ports import TaskStore


async def queued(tasks: TaskStore, lane: InstanceId, project_id: ProjectId = PROJECT) -> int:
    wanted = TaskFilter(project_id=project_id, instance_id=lane)
    found = await tasks.find(wanted, Page(0, 10_000))
    return sum(record.state == State.WAITING for record in found.tasks)
