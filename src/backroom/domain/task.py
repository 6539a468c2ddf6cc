"""A task, its steps, attempts and events: what is stored, in our words."""

from datetime import datetime
from enum import StrEnum, unique
from typing import Any

import msgspec

from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId
from backroom.domain.instance import Instance
from backroom.domain.stamps import Stamp


@unique
class State(StrEnum):
    WAITING = "waiting"  # asked for, snoozed, or given back after a fault or a lost worker
    RUNNING = "running"  # a worker has the lease
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@unique
class Kind(StrEnum):
    BACKGROUND = "background"  # does the work
    SCHEDULED = "scheduled"  # at execute_at it submits a background task, and that is its success
    BULK = "bulk"  # acts on many tasks of its project; its instance_id is the project's id


@unique
class StepState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@unique
class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    SNOOZED = "snoozed"  # a step was not ready; the attempt is given back
    FAULTED = "faulted"  # an exception; retried while attempts are left
    REJECTED = "rejected"  # a step said never
    CANCELLED = "cancelled"
    LOST = "lost"  # the worker died or lost the store


class TaskRecord(msgspec.Struct, frozen=True, gc=False):
    """What anybody may see of a task, as it was stored: made in numbers, and cheap.

    `state` is the word of a State, `kind` that of a Kind; `params` is JSON text with secrets
    masked. `created_at` never decreases within one instance and kind, so newest first is also last
    submitted first; `updated_at` >= `created_at`.
    """

    id: TaskId
    name: str
    user_name: str
    user_id: UserId
    params: str
    state: str
    created_at: Stamp
    updated_at: Stamp
    execute_at: Stamp | None
    kind: str
    project_id: ProjectId
    instance_id: InstanceId


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """All of a task, to decide upon. It has a lease (`worker_id`, `epoch`) exactly while it runs.

    `version` grows by one with each stored change and is what the store compares and swaps on.
    `epoch` grows with each claim: a worker whose epoch is not the stored one has lost its lease.
    `attempt` counts claims that were not given back by a snooze. `lane` is what it queues in: the
    instance for a change to it, the task itself for one that may run beside others.
    `params` is JSON text with secrets masked; `internal` is the typed parameters as JSON, sealed
    when they hold secrets. `before` and `after` are the instance as JSON text when the task was
    submitted and when it succeeded.
    """

    id: TaskId
    project_id: ProjectId
    instance_id: InstanceId
    kind: Kind
    name: str
    user_id: UserId
    user_name: str
    params: str
    state: State
    created_at: datetime
    updated_at: datetime
    execute_at: datetime | None = None
    lane: str
    internal: bytes
    version: int = 1
    epoch: int = 0
    attempt: int = 0
    worker_id: WorkerId | None = None
    claimed_at: datetime | None = None  # since when the lease is held
    due_at: datetime | None = None  # not to be claimed before this
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_asked_at: datetime | None = None
    error_code: str | None = None
    error_msg: str | None = None
    reason: str | None = None  # the requester's own words
    request_id: str | None = None
    parent_id: TaskId | None = None  # what it retries, or the schedule or bulk task it came from
    before: str | None = None
    after: str | None = None


def following(old: Task, task_id: TaskId, at: datetime, **given: Any) -> Task:
    """A task that waits to do what `old` was asked for: named after it, else begun anew."""
    about = {
        "kind": Kind.BACKGROUND, "user_id": old.user_id, "user_name": old.user_name,
        "lane": old.instance_id, "reason": old.reason, "request_id": old.request_id,
    }  # fmt: skip
    return Task(
        id=task_id,
        project_id=old.project_id,
        instance_id=old.instance_id,
        name=old.name,
        params=old.params,
        internal=old.internal,
        state=State.WAITING,
        created_at=at,
        updated_at=at,
        parent_id=old.id,
        **about | given,
    )


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one task. `output` is JSON, there once the step succeeded."""

    name: str
    position: int  # from 0, in the operation's order
    state: StepState
    percent: int = 0
    started_at: datetime
    ended_at: datetime | None = None
    output: bytes | None = None


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One go by one worker, from claim to outcome. `epoch` tells attempts of one task apart."""

    epoch: int
    number: int
    worker_id: WorkerId
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    step: str | None = None
    error: str | None = None
    trace: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One transition: who moved which task from where to where, when, and in which step."""

    at: datetime
    verb: str
    actor: str  # a user's name, or a worker's id
    from_state: State | None
    to_state: State | None  # None when the record was deleted
    step: str | None = None
    attempt: int = 0
    detail: str | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to a submit with a client token, kept until `until`.

    `digest` is the SHA-256 of what was asked: the same token with another one is refused.
    """

    project_id: ProjectId
    token: str
    digest: bytes
    task_id: TaskId
    instance_id: InstanceId
    until: datetime


class QueueLimits(msgspec.Struct, frozen=True):
    """How many tasks that have not ended an instance (of one kind) and a project may have."""

    instance: int
    project: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision wants written, all of it or nothing.

    The store writes it only where the stored version is `task.version - 1`, and `instance`, as it
    is to be shown from now on, likewise. `receipt` and `limits` come with a submit only.
    """

    task: Task
    event: Event
    steps: tuple[StepRecord, ...] = ()
    attempt: AttemptRecord | None = None
    instance: Instance | None = None
    receipt: Receipt | None = None
    limits: QueueLimits | None = None
