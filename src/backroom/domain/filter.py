"""Which tasks a reader wants, and which page of them."""

from datetime import datetime

import msgspec

from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.task import Kind, State, Task, TaskRecord


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks of one instance and kind, `created_from` <= created_at <= `created_to`."""

    project_id: ProjectId
    instance_id: InstanceId
    kind: Kind = Kind.BACKGROUND
    created_from: datetime | None = None
    created_to: datetime | None = None


class Page(msgspec.Struct, frozen=True):
    skip: int = 0
    limit: int = 10


class TaskPage(msgspec.Struct, frozen=True):
    """`tasks` newest first; `total` counts all that the filter matches, whatever the page."""

    tasks: list[TaskRecord]
    total: int


class TaskSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks of a project. Empty sets and None mean any; `created_from` <= created_at <= `_to`.

    `user` is a user's name or id, `text` occurs somewhere in the public params, case and all.
    """

    project_id: ProjectId
    instance_id: InstanceId | None = None
    kinds: frozenset[Kind] = frozenset()
    states: frozenset[State] = frozenset()
    names: frozenset[str] = frozenset()
    user: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None


class Position(msgspec.Struct, frozen=True):
    """Behind which task a search goes on: it stays good whatever is added or deleted."""

    created_at: str
    key: int


class Found(msgspec.Struct, frozen=True):
    """`tasks` newest first; `position` is where to go on, None at the end.

    A search looks at a bounded number of tasks: fewer than asked for, or none, with a position
    mean that there may be more.
    """

    tasks: list[Task]
    position: Position | None


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a project with `sequence` > `after`; at most one of instance and task is given."""

    project_id: ProjectId
    after: int = 0
    instance_id: InstanceId | None = None
    task_id: TaskId | None = None
