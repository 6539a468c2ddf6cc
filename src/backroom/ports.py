"""What the middle asks of the edge: stores, platform, clock, vault.

The contract of each method is its docstring; tests/contract quotes it. A port may promise only
what a real Kafka, and a database shared by many processes, can keep.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from backroom.domain.account import AccessKey, Project, Token, User
from backroom.domain.filter import Page, TaskFilter, TaskPage
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId
from backroom.domain.instance import Broker, Instance, InstanceFilter
from backroom.domain.task import (
    AttemptRecord,
    Change,
    Event,
    StepRecord,
    Task,
    TaskRecord,
)


class History(msgspec.Struct, frozen=True):
    """Steps by position, attempts by epoch, events in the order written."""

    steps: tuple[StepRecord, ...]
    attempts: tuple[AttemptRecord, ...]
    events: tuple[Event, ...]


class TaskStore(Protocol):
    """Tasks, their steps, attempts and events, and the lanes they queue in."""

    async def write(self, *changes: Change) -> None:
        """Write all changes, with the instances they carry, in one transaction, or nothing.

        A change of version 1 adds a task: it gets its place at the end of its lane, and a
        created_at not before that of the task added to the same instance and kind last. Any other
        is written only where the stored version is one less; one that releases or ends a task
        moves its lane on. An instance of version 1 is added; any other only where the stored
        version is one less. Else StaleTask, also for one to be added that is there already.
        Durable when it returns.
        """

    async def get(self, task_id: TaskId) -> Task | None:
        """All of a task as last written by any process."""

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        """What anybody may see of a task: `get`, but cheap. One indexed look-up."""

    async def find(self, wanted: TaskFilter, page: Page) -> TaskPage:
        """A page, newest first, and the exact total; the cost doesn't grow with the depth."""

    async def current(self, lane: str) -> TaskRecord | None:
        """The task at the head of a lane: running, or next to run; None for an empty lane."""

    async def queued(self, lane: str) -> int:
        """How many waiting tasks a lane has."""

    async def history(self, task_id: TaskId) -> History: ...

    async def claim(self, worker_id: WorkerId, limit: int, now: datetime) -> list[Task]:
        """Take up to `limit` lanes that are ready, oldest first, and claim the task at their head.

        Two workers never get the same lane. A claim is a beat too: who took a task is not taken
        for dead before its next beat lands. Costs the same however many tasks are queued.
        """

    async def next_due(self) -> datetime | None:
        """When the next lane that nobody holds gets ready; None if nothing is queued."""

    async def beat(self, worker_id: WorkerId, now: datetime) -> None:
        """Say that this worker lives. All its leases stand on this one row."""

    async def dead_workers(self, beaten_before: datetime) -> list[WorkerId]:
        """Workers that hold running tasks and whose last beat is before that moment."""

    async def held(self, worker_id: WorkerId) -> list[Task]:
        """Running tasks of this worker, the longest held first."""


class InstanceStore(Protocol):
    async def get(self, project_id: ProjectId, instance_id: InstanceId) -> Instance | None:
        """None for a missing instance and for another project's alike."""

    async def find(self, wanted: InstanceFilter, page: Page) -> tuple[list[Instance], int]:
        """A page, newest first, and how many match in all."""

    async def save(self, instance: Instance) -> None:
        """Version 1 adds, any other is written only where the stored version is one less.

        Else StaleTask.
        """

    async def remove(self, instance_id: InstanceId) -> None:
        """Gone, or was not there: safe to repeat. Its finished tasks stay until their retention."""


class AccountStore(Protocol):
    async def access_key(self, access_key: str) -> AccessKey | None:
        """As last written; a change by another process may take 10 ms to be seen.

        By this process, a revoked key is gone at once.
        """

    async def access_keys(self) -> list[AccessKey]: ...

    async def add_access_key(self, key: AccessKey) -> None:
        """Raises NameTaken for a known access key."""

    async def revoke_access_key(self, access_key: str) -> bool:
        """False if it was not there."""

    async def project(self, project_id: ProjectId) -> Project | None: ...

    async def projects(self) -> list[Project]: ...

    async def add_project(self, project: Project) -> None: ...

    async def user(self, user_id: UserId) -> User | None: ...

    async def user_named(self, name: str) -> User | None: ...

    async def add_user(self, user: User) -> None: ...

    async def token(self, digest: str) -> Token | None: ...

    async def add_token(self, token: Token) -> None: ...

    async def use_signature(self, digest: bytes, now: datetime, until: datetime) -> bool:
        """True for the first use of a signature in all processes; remembered until `until`."""

    async def forget_signature(self, digest: bytes) -> None:
        """The request it signed was refused: it may be sent again."""


class ClusterStore(Protocol):
    """Where a platform keeps what it must know in every process."""

    async def load(self, instance_id: InstanceId) -> tuple[bytes, int] | None:
        """The document and its version."""

    async def save(self, instance_id: InstanceId, document: bytes, version: int) -> None:
        """Version 1 adds, any other is written only where the stored version is one less.

        Else StaleTask.
        """

    async def remove(self, instance_id: InstanceId) -> None:
        """Gone, or was not there."""


class PublicAddress(msgspec.Struct, frozen=True):
    id: str
    address: str


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The brokers behind an instance as last observed. `public` is in broker order."""

    brokers: tuple[Broker, ...]
    running: tuple[int, ...]  # ids of the brokers that answer
    public: tuple[PublicAddress, ...] = ()


class ClusterSpec(msgspec.Struct, frozen=True, kw_only=True):
    broker_count: int
    storage_gb: int
    kafka_version: str


class Platform(Protocol):
    """What runs the brokers.

    Every change is asked for, not done: it returns once it is accepted, and is safe to repeat. An
    observation may lag behind an accepted change, so a step observes until it sees what it asked
    for. A platform that can't do a thing raises StepRejected.
    """

    async def create_cluster(self, instance_id: InstanceId, spec: ClusterSpec) -> None: ...

    async def delete_cluster(self, instance_id: InstanceId) -> None: ...

    async def attach_public(
        self, instance_id: InstanceId, addresses: Sequence[PublicAddress]
    ) -> None: ...

    async def detach_public(self, instance_id: InstanceId) -> None: ...

    async def observe(self, instance_id: InstanceId) -> Cluster | None:
        """None when there is no cluster, or not yet, or no longer."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC, whole milliseconds. May jump, in either direction."""

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        """Return True when `event` is set, False at `until` (None: never), whichever is first."""


class Vault(Protocol):
    def seal(self, plain: bytes) -> bytes: ...

    def unseal(self, sealed: bytes) -> bytes: ...


__all__ = [
    "AccountStore",
    "Clock",
    "Cluster",
    "ClusterSpec",
    "ClusterStore",
    "History",
    "InstanceStore",
    "Platform",
    "PublicAddress",
    "TaskStore",
    "Vault",
]
