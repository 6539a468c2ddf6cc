"""Which tasks a reader wants, and which page of them."""

from datetime import datetime

import msgspec

from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.task import Kind, TaskRecord


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
