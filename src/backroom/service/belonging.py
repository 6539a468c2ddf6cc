"""What is whose: somebody else's task looks like a missing one."""

from backroom.domain.account import Identity
from backroom.domain.errors import TaskNotFound
from backroom.domain.ids import NOWHERE, InstanceId, ProjectId, TaskId
from backroom.domain.task import Kind, Task
from backroom.ports import TaskStore


def project_of(identity: Identity) -> ProjectId:
    """The project that an identity acts in; in that of one scoped to a domain there is nothing."""
    return identity.project_id or NOWHERE


async def task_of_project(tasks: TaskStore, project_id: ProjectId, task_id: TaskId) -> Task:
    """Of any kind. Raises TaskNotFound."""
    task = await tasks.get(task_id)
    if task is None or task.project_id != project_id:
        raise TaskNotFound(task_id)
    return task


async def task_of_instance(
    tasks: TaskStore, project_id: ProjectId, instance_id: InstanceId, task_id: TaskId, kind: Kind
) -> Task:
    """Raises TaskNotFound, also for a task of another kind."""
    task = await task_of_project(tasks, project_id, task_id)
    if task.instance_id != instance_id or task.kind is not kind:
        raise TaskNotFound(task_id)
    return task
