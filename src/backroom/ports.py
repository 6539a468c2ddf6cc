"""What the middle asks of the edge: stores, platform, clock, vault.

The contract of each method is its docstring; tests/contract quotes it. A port may promise only
what a real Kafka, and a database shared by many processes, can keep.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from backroom.domain.account import AccessKey, Project, Token, User
from backroom.domain.chain import ChainHead, SealedEvent
from backroom.domain.filter import (
    EventFilter,
    Found,
    Page,
    Position,
    TaskFilter,
    TaskPage,
    TaskSearch,
)
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId
from backroom.domain.instance import Broker, Instance, InstanceFilter
from backroom.domain.task import (
    AttemptRecord,
    Change,
    Event,
    Receipt,
    State,
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

        Limits that the submit would pass raise QuotaReached; a receipt whose token is taken, and
        not over at the task's created_at, raises ClientTokenTaken. Each event gets the next place
        in its project's hash chain. Durable when it returns.
        """

    async def get(self, task_id: TaskId) -> Task | None:
        """All of a task as last written by any process."""

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        """What anybody may see of a task: `get`, but cheap. One indexed look-up."""

    async def find(self, wanted: TaskFilter, page: Page) -> TaskPage:
        """A page, newest first, and the exact total; the cost doesn't grow with the depth."""

    async def current(self, lane: str) -> TaskRecord | None:
        """The task at the head of a lane: running, or next to run; None for an empty lane."""

    async def history(self, task_id: TaskId) -> History: ...

    def claim(
        self, worker_id: WorkerId, limit: int, now: datetime, spare: int = 0
    ) -> Awaitable[list[Task]]:
        """Take up to `limit` lanes that are ready, and claim the task at their head.

        Oldest first; a lane that had nothing to do counts as ready a minute before it was. And
        those of the `spare` next that had nothing to do.

        Two workers never get the same lane. A claim is a beat too, to the second: who took a task
        is not taken for dead before its next beat lands. Costs the same however many tasks are
        queued. It may begin with the call, and raise then.
        """

    async def next_due(self) -> datetime | None:
        """When the next lane that nobody holds gets ready; None if nothing is queued."""

    async def beat(self, worker_id: WorkerId, now: datetime) -> None:
        """Say that this worker lives. All its leases stand on this one row."""

    async def hurry(self, now: datetime) -> None:
        """Make every background task that waits for a later moment due now.

        For a clock that went back: what was snoozed would wait as long as the jump. A task that
        comes too early looks at the world and waits again.
        """

    async def dead_workers(self, beaten_before: datetime) -> list[WorkerId]:
        """Workers that hold running tasks and whose last beat is before that moment."""

    async def held(self, worker_id: WorkerId) -> list[Task]:
        """Running tasks of this worker, the longest held first."""


class Place(msgspec.Struct, frozen=True):
    """Where a waiting task is in its lane: behind `holder`, and behind these that wait, in order.

    `holder` runs in the lane now; None when nobody does. `ready_at` is when the lane's head may be
    claimed.
    """

    holder: Task | None
    ahead: tuple[str, ...]  # names of the tasks that wait before it
    ready_at: datetime | None


class Tally(msgspec.Struct, frozen=True):
    state: State
    name: str
    count: int


class Load(msgspec.Struct, frozen=True):
    """What is in flight. `deepest` counts the tasks of the longest lane; moments None if none."""

    tallies: tuple[Tally, ...]
    lanes: int
    deepest: int
    oldest_claim_at: datetime | None
    oldest_beat_at: datetime | None  # of the workers that hold running tasks
    overdue_since: datetime | None  # since when the lane has been ready that waits longest


class TaskFinder(Protocol):
    """What people ask about tasks; nothing that runs one needs it."""

    async def search(self, wanted: TaskSearch, after: Position | None, limit: int) -> Found:
        """Newest first by (created_at, key); the cost is bounded, however few match."""

    async def place(self, task: Task) -> Place:
        """Of a waiting task."""

    async def durations(self, name: str) -> Mapping[str, float]:
        """Median seconds of each step over the last 20 tasks of this name that succeeded."""

    async def load(self) -> Load: ...

    async def ended(self, before: datetime, limit: int) -> list[Task]:
        """Tasks that ended before that moment, oldest end first."""

    async def surplus(self, most: int, limit: int) -> list[Task]:
        """The oldest ended tasks of instances that keep more than `most` of one kind."""

    async def receipt(self, project_id: ProjectId, token: str, now: datetime) -> Receipt | None:
        """What was answered to this client token; None for an unknown one and one that is over."""

    async def forget_receipts(self, now: datetime) -> None:
        """Drop those that are over."""


class Counted(msgspec.Struct, frozen=True):
    """How many match of those looked at; `position` is where to go on, None where all were."""

    count: int
    position: Position | None


class OutcomeTally(msgspec.Struct, frozen=True):
    hour: datetime  # its begin, UTC
    state: State
    count: int


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """The lane of an instance: its head, since when that has been there, and how many in all."""

    instance_id: InstanceId
    open_count: int
    head_id: TaskId
    head_name: str
    head_state: State
    since: datetime


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's last beat, and the tasks of one project it holds."""

    id: WorkerId
    beat_at: datetime
    running_count: int
    oldest_claim_at: datetime | None


class TaskFigures(Protocol):
    """Counts and times of a project's tasks, for an overview."""

    async def count(self, wanted: TaskSearch, after: Position | None) -> Counted:
        """How many match, from there on; the cost of one call is bounded.

        At once, whatever there is, where the tasks of instances and kinds are asked for.
        """

    async def outcomes(
        self, project_id: ProjectId, since: datetime, until: datetime
    ) -> list[OutcomeTally]:
        """Of the tasks that ended since then and before `until`, by hour and state, in that order.

        The cost grows with the number of all that ended then, of any project.
        """

    async def spans_s(self, project_id: ProjectId, name: str) -> list[float]:
        """From first claim to end, of the last tasks of this name that succeeded; at most 200."""

    async def queues(self, project_id: ProjectId, limit: int) -> list[Queue]:
        """Lanes of instances that are not empty, the one whose head is oldest first."""

    async def workers(self, project_id: ProjectId, limit: int) -> list[WorkerLoad]:
        """The last to have beaten first."""


class Journal(Protocol):
    """The events of each project, in the order they were committed; they are never changed."""

    async def events(self, wanted: EventFilter, limit: int) -> list[SealedEvent]:
        """In order of sequence. What is returned once is never preceded by anything later."""

    async def head(self, project_id: ProjectId) -> ChainHead:
        """The last event's place and hash; sequence 0 and GENESIS where there is none."""

    async def heads(self) -> Mapping[ProjectId, int]:
        """The sequence of the last event of each project that has one."""

    async def ends(self, project_id: ProjectId, after: int, until: int) -> list[Tally]:
        """How many events end a task, by final state and name, also of records deleted since.

        Of the events with a sequence beyond `after`, up to `until`: the cost grows with these.
        """

    @property
    def rung(self) -> int:
        """Grows whenever events may have been written, by any process; read it before `events`."""

    async def wait(self, rung: int, until: datetime) -> None:
        """Return once `rung` is another than this, or at `until`."""


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
        """As last written; a change by another process may take a second to be seen.

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

    async def remove_token(self, digest: str) -> None:
        """Gone, or was not there."""

    async def use_signature(self, digest: bytes, now: datetime, until: datetime) -> bool:
        """True for the first use of a signature in all processes; remembered until `until`."""

    async def forget_signature(self, digest: bytes) -> None:
        """The request it signed was refused: it may be sent again."""


class ClusterStore(Protocol):
    """Where a platform keeps what it must know in every process, a few documents a cluster."""

    async def load(self, instance_id: InstanceId, part: str) -> tuple[bytes, int] | None:
        """The document and its version."""

    async def save(self, instance_id: InstanceId, part: str, document: bytes, version: int) -> None:
        """Version 1 adds, any other is written only where the stored version is one less.

        Else StaleTask.
        """

    async def remove(self, instance_id: InstanceId) -> None:
        """All parts. Gone, or was not there."""


class PublicAddress(msgspec.Struct, frozen=True):
    id: str
    address: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What one broker runs on, and which of its processes that is.

    `incarnation` is another text after each start (a pid with its boot time, the uid of a pod);
    None while there is no process. Two of them say nothing about which was first.
    """

    id: int  # the broker's
    incarnation: str | None
    flavor: str = ""  # empty where the platform doesn't know


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The brokers behind an instance as last observed.

    `brokers`, `machines` and `public` are in broker order; `storage_gb` is what the disks of all
    brokers have together. Whether replicas are in sync, only the brokers know: ask KafkaAdmin.
    """

    brokers: tuple[Broker, ...]
    running: tuple[int, ...]  # ids of the brokers that answer
    public: tuple[PublicAddress, ...] = ()
    machines: tuple[Machine, ...] = ()
    storage_gb: int = 0


class ClusterSpec(msgspec.Struct, frozen=True, kw_only=True):
    broker_count: int
    storage_gb: int  # of all brokers together
    kafka_version: str
    flavor: str = ""  # of machine; empty where the platform is to choose


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

    async def restart_broker(
        self, instance_id: InstanceId, broker_id: int, incarnation: str | None
    ) -> None:
        """Replace this incarnation by another; nothing where there is another one already."""

    async def change_flavor(self, instance_id: InstanceId, broker_id: int, flavor: str) -> None:
        """Move one broker to another flavor of machine, which restarts it."""

    async def configure(self, instance_id: InstanceId, configs: Mapping[str, str]) -> None:
        """Let the brokers' file have these values, beside what it has.

        A broker reads it when it starts: those that run keep what they have.
        """

    async def extend_storage(self, instance_id: InstanceId, storage_gb: int) -> None:
        """Let the disks of all brokers together have so much; nothing where they have."""

    async def add_brokers(self, instance_id: InstanceId, broker_count: int) -> None:
        """Let there be so many in all, the new ones with the next ids and with disks like the old.

        Nothing where there are so many. No partition moves to them by itself.
        """

    async def observe(self, instance_id: InstanceId) -> Cluster | None:
        """None when there is no cluster, or not yet, or no longer."""


class ItemError(msgspec.Struct, frozen=True):
    """Why one item of a request was refused: Kafka's own name of the error, and its words."""

    code: str
    message: str = ""


class TopicPartition(msgspec.Struct, frozen=True, order=True):
    topic: str
    partition: int


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """`replicas` are brokers, the preferred leader first; old and new ones while they move."""

    id: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    leader: int | None  # None while there is none


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """`partitions` by id."""

    name: str
    partitions: tuple[Partition, ...]
    is_internal: bool = False


class NewTopic(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    partition_count: int
    replication_factor: int
    configs: Mapping[str, str] = {}


class NewPartitions(msgspec.Struct, frozen=True, kw_only=True):
    """`replicas` of each partition to be added, in order; the cluster chooses where it is empty."""

    total_count: int
    replicas: tuple[tuple[int, ...], ...] = ()


class ConfigResource(msgspec.Struct, frozen=True, order=True):
    """`name` is the topic's, or the broker's id; empty for what is set for all brokers at once."""

    kind: Literal["topic", "broker"]
    name: str


class ConfigEntry(msgspec.Struct, frozen=True):
    """`is_override` where the value was set on this very resource and can be taken away again."""

    value: str
    is_override: bool = False
    is_read_only: bool = False  # no alter, only a restart with another file changes it


class Reassignment(msgspec.Struct, frozen=True):
    """A partition on its way. `replicas` are all it has now: those it is to have come first."""

    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]

    @property
    def target(self) -> tuple[int, ...]:
        return tuple(broker for broker in self.replicas if broker not in self.removing)


class LogDirs(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the brokers' disks.

    `sizes` are bytes by broker, of replicas on their way what they have; `free_bytes` is by broker,
    without those that don't tell (Kafka before 3.3).
    """

    sizes: Mapping[TopicPartition, Mapping[int, int]]
    free_bytes: Mapping[int, int]


class PartitionLog(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets of a partition's leader; `written_at` None where nothing was written."""

    start_offset: int
    end_offset: int
    written_at: datetime | None


class KafkaAdmin(Protocol):
    """What can be asked of the brokers of one instance over Kafka's own protocol.

    A change that was acknowledged is durable, and may not be seen by reads for a while: any broker
    answers, each with what it knows. So whoever changes something looks until it is there, and
    takes "unknown" shortly after an own change for "not yet".

    Items of one request succeed or fail each for itself: every method that changes something
    returns for each item None, or the ItemError with Kafka's name for it. Nothing is undone where
    another item failed.

    Every method may raise KafkaUnavailable: nothing was changed, try again. One that changes
    something may raise OutcomeUnknown: it was done, or not, or in part. Verify, don't assume.
    """

    async def brokers(self, instance_id: InstanceId) -> tuple[Broker, ...]:
        """Those that answer, by id."""

    async def topics(
        self, instance_id: InstanceId, names: Collection[str] | None = None
    ) -> Mapping[str, Topic]:
        """All, or these; what is not there, or not seen yet, is left out."""

    async def create_topics(
        self, instance_id: InstanceId, topics: Sequence[NewTopic]
    ) -> Mapping[str, ItemError | None]:
        """TOPIC_ALREADY_EXISTS, INVALID_REPLICATION_FACTOR, INVALID_PARTITIONS, INVALID_CONFIG."""

    async def delete_topics(
        self, instance_id: InstanceId, names: Collection[str]
    ) -> Mapping[str, ItemError | None]:
        """UNKNOWN_TOPIC_OR_PARTITION."""

    async def create_partitions(
        self, instance_id: InstanceId, wanted: Mapping[str, NewPartitions]
    ) -> Mapping[str, ItemError | None]:
        """UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT."""

    async def configs(
        self, instance_id: InstanceId, resources: Collection[ConfigResource]
    ) -> Mapping[ConfigResource, Mapping[str, ConfigEntry]]:
        """What is in force for each; a resource that is not there, or not seen yet, is left out.

        A replication throttle of a broker is named only where it is set.
        """

    async def alter_configs(
        self,
        instance_id: InstanceId,
        changes: Mapping[ConfigResource, Mapping[str, str | None]],
    ) -> Mapping[ConfigResource, ItemError | None]:
        """Set these names and leave the others; None takes an override away, or there was none.

        INVALID_CONFIG for a value that is no good, INVALID_REQUEST for one that is read-only,
        UNKNOWN_TOPIC_OR_PARTITION, BROKER_NOT_AVAILABLE.
        """

    async def reassign(
        self, instance_id: InstanceId, targets: Mapping[TopicPartition, tuple[int, ...] | None]
    ) -> Mapping[TopicPartition, ItemError | None]:
        """Begin to move partitions to these replicas; None cancels, and what was before is back.

        The same target again while it is under way changes nothing. INVALID_REPLICA_ASSIGNMENT,
        UNKNOWN_TOPIC_OR_PARTITION, and NO_REASSIGNMENT_IN_PROGRESS for a cancel.
        """

    async def reassignments(self, instance_id: InstanceId) -> Mapping[TopicPartition, Reassignment]:
        """Those under way, whoever began them."""

    async def log_dirs(self, instance_id: InstanceId, topics: Collection[str]) -> LogDirs:
        """Of the brokers that answer, and of these topics."""

    async def elect_preferred_leaders(
        self, instance_id: InstanceId, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, ItemError | None]:
        """ELECTION_NOT_NEEDED where it leads already; PREFERRED_LEADER_NOT_AVAILABLE."""

    async def logs(self, instance_id: InstanceId, topic: str) -> Mapping[int, PartitionLog]:
        """By partition; a partition without a leader is left out."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC, whole milliseconds. May jump, in either direction."""

    async def wait(self, event: asyncio.Event, until: datetime | None) -> bool:
        """Return True when `event` is set, False at `until` (None: never), whichever is first."""


class AdjustableClock(Clock, Protocol):
    """Virtual time, of one event loop: it stands, runs faster, or is moved, but never back."""

    @property
    def speed(self) -> float: ...

    @property
    def is_frozen(self) -> bool: ...

    @property
    def next_timer(self) -> datetime | None:
        """The first moment that somebody waits for."""

    @property
    def waiting(self) -> Collection[str]:
        """Names of the asyncio tasks that wait now; not of those whose moment has come."""

    def freeze(self) -> None: ...

    def resume(self, speed: float) -> None: ...

    def move_to(self, moment: datetime) -> None:
        """Whoever waited for this moment, or an earlier one, goes on."""

    def restart(self) -> None:
        """As at the start, and now is the machine's: the one way that leads back."""

    async def next_wait(self) -> None:
        """Return when somebody begins to wait."""


class OpenTask(msgspec.Struct, frozen=True, kw_only=True):
    """One that has not ended. `is_behind`: another one is before it in its lane."""

    id: TaskId
    name: str
    is_scheduled: bool
    is_behind: bool


class WholeStore(Protocol):
    """Everything that is stored, of all projects at once; for an emulator."""

    async def open_tasks(self) -> list[OpenTask]: ...

    async def task_ids(self) -> list[TaskId]:
        """Of every task, oldest first."""

    async def add_past(self, past: Sequence[Sequence[Change]]) -> None:
        """Tasks that have ended, each with all its changes: stored as if these had been written.

        In one transaction; those of one instance come in the order of their created_at. Raises
        StaleTask for one that is there.
        """

    async def take(self) -> "Snapshot":
        """What is stored now."""

    async def put_back(self, snapshot: "Snapshot") -> None:
        """Nothing else is stored from then on; in one transaction."""


class Snapshot(msgspec.Struct, frozen=True):
    """Rows of each table by its name, in the order of its columns."""

    tables: Mapping[str, Sequence[tuple[Any, ...]]]


Facts = Mapping[str, str | int]


class Span(Protocol):
    def told(self, facts: Facts, *, name: str | None = None, is_error: bool = False) -> None:
        """Say more about it before it ends. Nothing secret: others read it."""


class Tracer(Protocol):
    """Tells whoever follows work across processes what is done, and for how long."""

    def request(
        self, request_id: str, facts: Facts, came_with: str | None
    ) -> AbstractContextManager[Span]:
        """One request to us; `came_with` is its traceparent, whatever it holds."""

    def work(self, name: str, facts: Facts, asked_by: str | None) -> AbstractContextManager[Span]:
        """A part of what is being done; linked to the request with the id `asked_by`."""

    def close(self) -> None:
        """Ends within seconds."""


class Vault(Protocol):
    def seal(self, plain: bytes) -> bytes: ...

    def unseal(self, sealed: bytes) -> bytes: ...


__all__ = [
    "AccountStore",
    "AdjustableClock",
    "Clock",
    "Cluster",
    "ClusterSpec",
    "ClusterStore",
    "ConfigEntry",
    "ConfigResource",
    "Counted",
    "Facts",
    "History",
    "InstanceStore",
    "ItemError",
    "Journal",
    "KafkaAdmin",
    "Load",
    "LogDirs",
    "Machine",
    "NewPartitions",
    "NewTopic",
    "OpenTask",
    "OutcomeTally",
    "Partition",
    "PartitionLog",
    "Place",
    "Platform",
    "PublicAddress",
    "Queue",
    "Reassignment",
    "Snapshot",
    "Span",
    "Tally",
    "TaskFigures",
    "TaskFinder",
    "TaskStore",
    "Topic",
    "TopicPartition",
    "Tracer",
    "Vault",
    "WholeStore",
    "WorkerLoad",
]
