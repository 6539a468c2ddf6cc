"""Tasks as a test looks at them, and as it is told about them when it failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from backroom.domain.stamps import stamp
from backroom.domain.task import Task, TaskRecord
from backroom.ports import History
from backroom.wire.tasks import status_of


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: str
    percent: int
    output: Any


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    verb: str
    actor: str
    state: str | None
    step: str | None
    detail: str | None


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is ours, `status` what v2 shows."""

    id: str
    name: str
    project_id: str
    instance_id: str
    state: str
    status: str
    params: dict[str, Any]
    created_at: datetime
    ended_at: datetime | None
    error_code: str | None
    error_msg: str | None
    steps: tuple[StepView, ...]
    events: tuple[EventView, ...]


def view_of(task: Task, record: TaskRecord, history: History) -> TaskView:
    return TaskView(
        id=task.id,
        name=task.name,
        project_id=task.project_id,
        instance_id=task.instance_id,
        state=task.state.value,
        status=status_of(record),
        params=msgspec.json.decode(task.params),
        created_at=task.created_at,
        ended_at=task.ended_at,
        error_code=task.error_code,
        error_msg=task.error_msg,
        steps=tuple(
            StepView(
                name=step.name,
                state=step.state.value,
                percent=step.percent,
                output=None if step.output is None else msgspec.json.decode(step.output),
            )
            for step in history.steps
        ),
        events=tuple(
            EventView(
                at=event.at,
                verb=event.verb,
                actor=event.actor,
                state=None if event.to_state is None else event.to_state.value,
                step=event.step,
                detail=event.detail,
            )
            for event in history.events
        ),
    )


def timeline_of(tasks: Sequence[TaskView]) -> str:
    """Seconds are those since the first task was asked for."""
    if not tasks:
        return "no task was made"
    began_at = tasks[0].created_at
    lines = [f"seconds since {stamp(began_at)}"]
    for task in tasks:
        lines += ["", f"{task.name} {task.id}: {task.status}, on {task.instance_id}"]
        lines += [_line(event, began_at) for event in task.events]
    return "\n".join(lines)


def _line(event: EventView, began_at: datetime) -> str:
    passed_s = (event.at - began_at).total_seconds()
    words = [event.verb, f"-> {event.state}", event.step or "", event.detail or ""]
    return f"{passed_s:10.3f}  " + "  ".join(word for word in words if word)
