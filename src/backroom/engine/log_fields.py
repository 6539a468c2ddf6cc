"""What a line of the log about a task has beside its words."""

from typing import Any

from backroom.domain.task import Task


def of_task(task: Task) -> dict[str, Any]:
    return {"request_id": task.request_id, "task_id": task.id, "instance_id": task.instance_id}
