"""A KafkaAdmin whose topics only exist as a document: metadata that lags, replicas that take time.

Sizes and throttles decide how long a move takes. All times are the Clock's. What has happened
since the document was written follows from the clock when it is read; nothing runs in between.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TypeVar

import msgspec

from backroom.domain.errors import KafkaUnavailable, StaleTask
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Broker
from backroom.domain.placement import spread
from backroom.platforms.jumps import earlier, jumped_by
from backroom.platforms.simulated import SimulatedPlatform
from backroom.ports import (
    Clock,
    ClusterStore,
    ConfigEntry,
    ConfigResource,
    ItemError,
    LogDirs,
    NewPartitions,
    NewTopic,
    Partition,
    PartitionLog,
    Reassignment,
    Topic,
    TopicPartition,
)

PART = "kafka"  # of what is kept of a cluster
EVERY_BROKER = ""
GIB = 2**30
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LEADER_RATE = "leader.replication.throttled.rate"
FOLLOWER_RATE = "follower.replication.throttled.rate"
LEADER_REPLICAS = "leader.replication.throttled.replicas"
FOLLOWER_REPLICAS = "follower.replication.throttled.replicas"
RATES = frozenset({LEADER_RATE, FOLLOWER_RATE})  # not listed unless set
BROKER_DEFAULTS: Mapping[str, str] = {  # what the brokers' file says, and may be altered
    "min.insync.replicas": "1",
    "message.max.bytes": "10485760",
    "auto.create.groups.enable": "true",
    "max.connections.per.ip": "1000",
    "unclean.leader.election.enable": "false",
    "offsets.retention.minutes": "20160",
}
BROKER_READ_ONLY: Mapping[str, str] = {  # what it says, and only a restart changes
    "connections.max.idle.ms": "600000",
    "log.retention.hours": "72",
    "group.max.session.timeout.ms": "1800000",
    "default.replication.factor": "3",
    "num.partitions": "3",
    "group.min.session.timeout.ms": "6000",
    "allow.everyone.if.no.acl.found": "true",
    "auto.create.topics.enable": "false",
}
TOPIC_DEFAULTS: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "flush.messages": "9223372036854775807",
    LEADER_REPLICAS: "",
    FOLLOWER_REPLICAS: "",
    "max.message.bytes": "10485760",
    "message.timestamp.type": "LogAppendTime",
    "min.insync.replicas": "1",
    "retention.ms": "259200000",
}
_UNKNOWN = ItemError("UNKNOWN_TOPIC_OR_PARTITION", "This server does not host this partition.")

Key = TypeVar("Key")
Outcomes = dict[Key, ItemError | None]


class KafkaTimings(msgspec.Struct, frozen=True, kw_only=True):
    """`partition_bytes` is how much each new partition holds: else nothing would take time."""

    metadata_lag_s: float = 0.1
    move_bytes_per_s: float = 50e6  # what one broker takes in, without a throttle
    partition_bytes: int = 64 * 1024 * 1024
    message_bytes: int = 1024
    moves_at_once: bool = False  # whatever their size and throttle


class _Move(msgspec.Struct, kw_only=True):
    """`copied` has each replica that is to come, with the bytes it has got."""

    before: tuple[int, ...]
    target: tuple[int, ...]
    copied: dict[int, float]


class _Partition(msgspec.Struct, kw_only=True):
    replicas: tuple[int, ...]
    leader: int
    size_bytes: int
    written_at: datetime
    move: _Move | None = None


class _Copy(msgspec.Struct, frozen=True):
    """A replica on its way from its leader, `source`, to `broker`."""

    at: TopicPartition
    move: _Move
    source: int
    broker: int
    left_bytes: float


class _Topic(msgspec.Struct, kw_only=True):
    partitions: list[_Partition]
    configs: dict[str, str]


class _Metadata(msgspec.Struct, kw_only=True):
    """What the brokers know, moves as they were at `settled_at`."""

    settled_at: datetime
    topics: dict[str, _Topic] = {}
    brokers: dict[str, dict[str, str]] = {}  # overrides by broker id, EVERY_BROKER for all


class _Version(msgspec.Struct, kw_only=True):
    visible_at: datetime
    metadata: _Metadata


class _Document(msgspec.Struct, kw_only=True):
    """The newest version, and older ones as long as reads may still see them."""

    versions: list[_Version]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Document).decode
_encode_metadata = msgspec.msgpack.Encoder().encode
_decode_metadata = msgspec.msgpack.Decoder(_Metadata).decode


class SimulatedKafka:
    def __init__(
        self,
        clusters: ClusterStore,
        platform: SimulatedPlatform,
        clock: Clock,
        timings: KafkaTimings,
    ) -> None:
        self._clusters = clusters
        self._platform = platform
        self._clock = clock
        self._timings = timings

    async def brokers(self, instance_id: InstanceId) -> tuple[Broker, ...]:
        cluster = await self._platform.observe(instance_id)
        found = () if cluster is None else cluster.brokers
        running = () if cluster is None else cluster.running
        alive = tuple(broker for broker in found if broker.id in running)
        if not alive:
            raise KafkaUnavailable(f"no broker of {instance_id} answers")
        return alive

    async def topics(
        self, instance_id: InstanceId, names: Collection[str] | None = None
    ) -> Mapping[str, Topic]:
        metadata, alive = await self._read(instance_id)
        return {
            name: _shown_topic(name, topic, alive)
            for name, topic in metadata.topics.items()
            if names is None or name in names
        }

    async def create_topics(
        self, instance_id: InstanceId, topics: Sequence[NewTopic]
    ) -> Mapping[str, ItemError | None]:
        def create(metadata: _Metadata, alive: Sequence[int]) -> Outcomes[str]:
            return {topic.name: self._create(metadata, alive, topic) for topic in topics}

        return await self._change(instance_id, create)

    def _create(
        self, metadata: _Metadata, alive: Sequence[int], wanted: NewTopic
    ) -> ItemError | None:
        if wanted.name in metadata.topics:
            return ItemError("TOPIC_ALREADY_EXISTS", f"Topic '{wanted.name}' already exists.")
        if wanted.partition_count < 1:
            return ItemError("INVALID_PARTITIONS", "Number of partitions must be larger than 0.")
        if not 1 <= wanted.replication_factor <= len(alive):
            return ItemError(
                "INVALID_REPLICATION_FACTOR",
                f"Replication factor: {wanted.replication_factor}, brokers: {len(alive)}.",
            )
        unknown = sorted(set(wanted.configs) - set(TOPIC_DEFAULTS))
        if unknown:
            return ItemError("INVALID_CONFIG", f"Unknown topic config name: {unknown[0]}")
        placed = spread(
            wanted.name, alive, range(wanted.partition_count), wanted.replication_factor
        )
        partitions = [self._partition(replicas, metadata.settled_at) for replicas in placed]
        metadata.topics[wanted.name] = _Topic(partitions=partitions, configs=dict(wanted.configs))
        return None

    def _partition(self, replicas: tuple[int, ...], now: datetime) -> _Partition:
        size = self._timings.partition_bytes
        return _Partition(replicas=replicas, leader=replicas[0], size_bytes=size, written_at=now)

    async def delete_topics(
        self, instance_id: InstanceId, names: Collection[str]
    ) -> Mapping[str, ItemError | None]:
        def delete(metadata: _Metadata, _alive: Sequence[int]) -> Outcomes[str]:
            return {
                name: _UNKNOWN if metadata.topics.pop(name, None) is None else None
                for name in names
            }

        return await self._change(instance_id, delete)

    async def create_partitions(
        self, instance_id: InstanceId, wanted: Mapping[str, NewPartitions]
    ) -> Mapping[str, ItemError | None]:
        def create(metadata: _Metadata, alive: Sequence[int]) -> Outcomes[str]:
            return {
                name: self._add_partitions(metadata, alive, name, new)
                for name, new in wanted.items()
            }

        return await self._change(instance_id, create)

    def _add_partitions(
        self, metadata: _Metadata, alive: Sequence[int], name: str, wanted: NewPartitions
    ) -> ItemError | None:
        topic = metadata.topics.get(name)
        if topic is None:
            return _UNKNOWN
        count = len(topic.partitions)
        if wanted.total_count <= count:
            return ItemError("INVALID_PARTITIONS", f"Topic currently has {count} partitions.")
        added = range(count, wanted.total_count)
        factor = min(len(topic.partitions[0].replicas), len(alive))
        placed = wanted.replicas or spread(name, alive, added, factor)
        if len(placed) != len(added) or not all(_is_assignable(one, alive) for one in placed):
            return ItemError("INVALID_REPLICA_ASSIGNMENT", "The manual assignment is no good.")
        topic.partitions += [self._partition(one, metadata.settled_at) for one in placed]
        return None

    async def configs(
        self, instance_id: InstanceId, resources: Collection[ConfigResource]
    ) -> Mapping[ConfigResource, Mapping[str, ConfigEntry]]:
        metadata, alive = await self._read(instance_id)
        files = await self._platform.files_in_force(instance_id)
        found = {resource: _configs_of(metadata, alive, files, resource) for resource in resources}
        return {resource: entries for resource, entries in found.items() if entries is not None}

    async def alter_configs(
        self,
        instance_id: InstanceId,
        changes: Mapping[ConfigResource, Mapping[str, str | None]],
    ) -> Mapping[ConfigResource, ItemError | None]:
        def alter(metadata: _Metadata, alive: Sequence[int]) -> Outcomes[ConfigResource]:
            return {
                resource: _alter(metadata, alive, resource, values)
                for resource, values in changes.items()
            }

        return await self._change(instance_id, alter)

    async def reassign(
        self, instance_id: InstanceId, targets: Mapping[TopicPartition, tuple[int, ...] | None]
    ) -> Mapping[TopicPartition, ItemError | None]:
        def begin(metadata: _Metadata, alive: Sequence[int]) -> Outcomes[TopicPartition]:
            return {at: _reassign(metadata, alive, at, target) for at, target in targets.items()}

        return await self._change(instance_id, begin)

    async def reassignments(self, instance_id: InstanceId) -> Mapping[TopicPartition, Reassignment]:
        metadata, _ = await self._read(instance_id)
        return {
            at: Reassignment(
                replicas=_replicas(partition),
                adding=tuple(one for one in move.target if one not in move.before),
                removing=tuple(one for one in move.before if one not in move.target),
            )
            for at, partition in _every_partition(metadata)
            if (move := partition.move) is not None
        }

    async def log_dirs(self, instance_id: InstanceId, topics: Collection[str]) -> LogDirs:
        metadata, alive = await self._read(instance_id)
        sizes = {
            at: {
                broker: _size_on(partition, broker)
                for broker in _replicas(partition)
                if broker in alive
            }
            for at, partition in _every_partition(metadata)
        }
        used = Counter[int]()
        for of_partition in sizes.values():
            used.update(of_partition)
        cluster = await self._platform.observe(instance_id)
        count = 1 if cluster is None else len(cluster.brokers)
        disk_bytes = 0 if cluster is None else cluster.storage_gb * GIB // count
        return LogDirs(
            sizes={at: of_partition for at, of_partition in sizes.items() if at.topic in topics},
            free_bytes={broker: max(0, disk_bytes - used[broker]) for broker in alive},
        )

    async def elect_preferred_leaders(
        self, instance_id: InstanceId, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, ItemError | None]:
        def elect(metadata: _Metadata, alive: Sequence[int]) -> Outcomes[TopicPartition]:
            return {at: _elect(metadata, alive, at) for at in partitions}

        return await self._change(instance_id, elect)

    async def logs(self, instance_id: InstanceId, topic: str) -> Mapping[int, PartitionLog]:
        metadata, alive = await self._read(instance_id)
        found = metadata.topics.get(topic)
        return {
            at: PartitionLog(
                start_offset=0,
                end_offset=partition.size_bytes // self._timings.message_bytes,
                written_at=partition.written_at if partition.size_bytes else None,
            )
            for at, partition in enumerate([] if found is None else found.partitions)
            if _leader(partition, alive) is not None
        }

    async def fill(self, instance_id: InstanceId, topic: str, partition_bytes: int) -> None:
        """Not of the port: as if producers had written until each partition has this size."""

        def fill(metadata: _Metadata, _alive: Sequence[int]) -> None:
            for partition in metadata.topics[topic].partitions:
                partition.size_bytes = partition_bytes
                partition.written_at = metadata.settled_at

        await self._change(instance_id, fill)

    async def _read(self, instance_id: InstanceId) -> tuple[_Metadata, tuple[int, ...]]:
        """What a broker would answer with, and which brokers are alive."""
        alive = tuple(broker.id for broker in await self.brokers(instance_id))
        now = self._clock.now()
        document, _ = await self._load(instance_id)
        seen = [one for one in document.versions if one.visible_at <= now]
        metadata = (seen or document.versions)[-1 if seen else 0].metadata
        self._settle(metadata, alive, now)
        return metadata, alive

    async def _change(
        self, instance_id: InstanceId, change: Callable[[_Metadata, Sequence[int]], Key]
    ) -> Key:
        while True:
            alive = tuple(broker.id for broker in await self.brokers(instance_id))
            now = self._clock.now()
            document, version = await self._load(instance_id)
            metadata = _copied(document.versions[-1].metadata)
            self._settle(metadata, alive, now)
            outcome = change(metadata, alive)
            if self._timings.moves_at_once:
                self._settle(metadata, alive, now)
            visible_at = now + timedelta(seconds=self._timings.metadata_lag_s)
            added = _Version(visible_at=visible_at, metadata=metadata)
            kept = _Document(versions=[*_still_seen(document.versions, now), added])
            try:
                await self._clusters.save(instance_id, PART, _encode(kept), version + 1)
            except StaleTask:
                continue
            return outcome

    async def _load(self, instance_id: InstanceId) -> tuple[_Document, int]:
        while (kept := await self._clusters.load(instance_id, PART)) is not None:
            document, version = _decode(kept[0]), kept[1]
            by = jumped_by(document.versions[-1].metadata.settled_at, self._clock.now())
            if by is None:
                return document, version
            moved = _Document(versions=[_earlier(one, by) for one in document.versions])
            with suppress(StaleTask):
                await self._clusters.save(instance_id, PART, _encode(moved), version + 1)
        empty = _Metadata(settled_at=self._clock.now())
        return _Document(versions=[_Version(visible_at=BEGINNING, metadata=empty)]), 0

    def _settle(self, metadata: _Metadata, alive: Collection[int], now: datetime) -> None:
        """Let the moves go on from `settled_at` until now, each copy at its rate."""
        left_s = (now - metadata.settled_at).total_seconds()
        if self._timings.moves_at_once:
            left_s = inf
        metadata.settled_at = max(now, metadata.settled_at)
        while True:
            _finish(metadata)
            copies = _copies(metadata, alive) if _is_moving(metadata) else []
            rates = self._rates(copies, metadata)
            moving = [(copy, rate) for copy, rate in zip(copies, rates, strict=True) if rate > 0]
            if left_s <= 0 or not moving:
                return
            step_s = min(left_s, *(copy.left_bytes / rate for copy, rate in moving))
            for copy, rate in moving:
                is_done = copy.left_bytes / rate <= step_s
                copy.move.copied[copy.broker] += copy.left_bytes if is_done else rate * step_s
            left_s -= step_s

    def _rates(self, copies: Sequence[_Copy], metadata: _Metadata) -> list[float]:
        """Bytes per second of each: what a broker takes in is shared, and so is each throttle."""
        onto = Counter(copy.broker for copy in copies)
        rates = [self._timings.move_bytes_per_s / onto[copy.broker] for copy in copies]
        for side, rate_name, replicas_name in (
            ("broker", FOLLOWER_RATE, FOLLOWER_REPLICAS),
            ("source", LEADER_RATE, LEADER_REPLICAS),
        ):
            held: dict[int, list[int]] = {}
            for n, copy in enumerate(copies):
                broker = getattr(copy, side)
                if _is_throttled(metadata, copy.at, replicas_name, broker):
                    held.setdefault(broker, []).append(n)
            for broker, sharing in held.items():
                limit = _rate_of(metadata, broker, rate_name)
                for n in sharing:
                    rates[n] = min(rates[n], limit / len(sharing))
        return rates


def _earlier(version: _Version, by: timedelta) -> _Version:
    """What was always there stays so."""
    visible_at = max(version.visible_at, BEGINNING + by)
    return earlier(msgspec.structs.replace(version, visible_at=visible_at), by)


def _still_seen(versions: list[_Version], now: datetime) -> list[_Version]:
    """All from the newest one on that every read may see."""
    visible = [n for n, one in enumerate(versions) if one.visible_at <= now]
    return versions[visible[-1] if visible else 0 :]


def _every_partition(metadata: _Metadata) -> Iterator[tuple[TopicPartition, _Partition]]:
    for name, topic in metadata.topics.items():
        for at, partition in enumerate(topic.partitions):
            yield TopicPartition(name, at), partition


def _copied(metadata: _Metadata) -> _Metadata:
    """All of it; copy.deepcopy takes several times as long."""
    return _decode_metadata(_encode_metadata(metadata))


def _is_moving(metadata: _Metadata) -> bool:
    return any(partition.move is not None for _, partition in _every_partition(metadata))


def _copies(metadata: _Metadata, alive: Collection[int]) -> list[_Copy]:
    """Those that get bytes now: both ends are alive."""
    found = []
    for at, partition in _every_partition(metadata):
        source = _leader(partition, alive)
        if partition.move is None or source is None:
            continue
        for broker, copied in partition.move.copied.items():
            left_bytes = partition.size_bytes - copied
            if left_bytes > 0 and broker in alive:
                found.append(_Copy(at, partition.move, source, broker, left_bytes))
    return found


def _finish(metadata: _Metadata) -> None:
    """Moves with all their copies complete are over."""
    for _, partition in _every_partition(metadata):
        move = partition.move
        if move is not None and all(got >= partition.size_bytes for got in move.copied.values()):
            partition.replicas = move.target
            partition.move = None
            if partition.leader not in move.target:
                partition.leader = move.target[0]


def _replicas(partition: _Partition) -> tuple[int, ...]:
    move = partition.move
    if move is None:
        return partition.replicas
    return (*move.target, *(one for one in move.before if one not in move.target))


def _size_on(partition: _Partition, broker: int) -> int:
    move = partition.move
    copied = None if move is None else move.copied.get(broker)
    return partition.size_bytes if copied is None else int(copied)


def _in_sync(partition: _Partition, alive: Collection[int]) -> tuple[int, ...]:
    return tuple(
        broker
        for broker in _replicas(partition)
        if broker in alive and _size_on(partition, broker) >= partition.size_bytes
    )


def _leader(partition: _Partition, alive: Collection[int]) -> int | None:
    in_sync = _in_sync(partition, alive)
    if partition.leader in in_sync:
        return partition.leader
    return in_sync[0] if in_sync else None


def _shown_topic(name: str, topic: _Topic, alive: Collection[int]) -> Topic:
    return Topic(
        name=name,
        partitions=tuple(
            Partition(
                id=at,
                replicas=_replicas(partition),
                in_sync=_in_sync(partition, alive),
                leader=_leader(partition, alive),
            )
            for at, partition in enumerate(topic.partitions)
        ),
    )


def _is_assignable(replicas: Sequence[int], alive: Collection[int]) -> bool:
    return bool(replicas) and len(set(replicas)) == len(replicas) and set(replicas) <= set(alive)


def _partition_at(metadata: _Metadata, at: TopicPartition) -> _Partition | None:
    topic = metadata.topics.get(at.topic)
    if topic is None or not 0 <= at.partition < len(topic.partitions):
        return None
    return topic.partitions[at.partition]


def _reassign(
    metadata: _Metadata,
    alive: Collection[int],
    at: TopicPartition,
    target: tuple[int, ...] | None,
) -> ItemError | None:
    partition = _partition_at(metadata, at)
    if partition is None:
        return _UNKNOWN
    move = partition.move
    if target is None:
        if move is None:
            return ItemError("NO_REASSIGNMENT_IN_PROGRESS", "No partition reassignment.")
        partition.replicas, partition.move = move.before, None
        if partition.leader not in move.before:
            partition.leader = move.before[0]
        return None
    if not _is_assignable(target, alive):
        return ItemError("INVALID_REPLICA_ASSIGNMENT", f"Replica assignment {target} is no good.")
    if move is None or move.target != target:
        before = partition.replicas if move is None else move.before
        had = {} if move is None else move.copied
        copied = {one: had.get(one, 0.0) for one in target if one not in before}
        partition.move = _Move(before=before, target=target, copied=copied)
        _finish(metadata)
    return None


def _elect(metadata: _Metadata, alive: Collection[int], at: TopicPartition) -> ItemError | None:
    partition = _partition_at(metadata, at)
    if partition is None:
        return _UNKNOWN
    preferred = _replicas(partition)[0]
    if _leader(partition, alive) == preferred:
        return ItemError("ELECTION_NOT_NEEDED", "Leader election not needed.")
    if preferred not in _in_sync(partition, alive):
        return ItemError("PREFERRED_LEADER_NOT_AVAILABLE", "The preferred leader is not there.")
    partition.leader = preferred
    return None


def _configs_of(
    metadata: _Metadata,
    alive: Collection[int],
    files: Mapping[int, Mapping[str, str]],
    resource: ConfigResource,
) -> dict[str, ConfigEntry] | None:
    if resource.kind == "topic":
        topic = metadata.topics.get(resource.name)
        return None if topic is None else _entries(TOPIC_DEFAULTS, {}, {}, topic.configs)
    for_all = metadata.brokers.get(EVERY_BROKER, {})
    if resource.name == EVERY_BROKER:
        return _entries({}, {}, {}, for_all)
    if not _is_alive(resource, alive):
        return None
    own = metadata.brokers.get(resource.name, {})
    read_only = {**BROKER_READ_ONLY, **files.get(int(resource.name), {})}
    return _entries(BROKER_DEFAULTS, read_only, for_all, own)


def _entries(
    defaults: Mapping[str, str],
    read_only: Mapping[str, str],
    for_all: Mapping[str, str],
    own: Mapping[str, str],
) -> dict[str, ConfigEntry]:
    entries = {name: ConfigEntry(value) for name, value in {**defaults, **for_all}.items()}
    entries |= {name: ConfigEntry(value, is_read_only=True) for name, value in read_only.items()}
    entries |= {name: ConfigEntry(value, is_override=True) for name, value in own.items()}
    return entries


def _is_alive(resource: ConfigResource, alive: Collection[int]) -> bool:
    return resource.name in map(str, alive)


def _alter(
    metadata: _Metadata,
    alive: Collection[int],
    resource: ConfigResource,
    values: Mapping[str, str | None],
) -> ItemError | None:
    refused = _refused_config(metadata, alive, resource, values)
    if refused is not None:
        return refused
    own = (
        metadata.topics[resource.name].configs
        if resource.kind == "topic"
        else metadata.brokers.setdefault(resource.name, {})
    )
    for name, value in values.items():
        if value is None:
            own.pop(name, None)
        else:
            own[name] = value
    return None


def _refused_config(
    metadata: _Metadata,
    alive: Collection[int],
    resource: ConfigResource,
    values: Mapping[str, str | None],
) -> ItemError | None:
    if resource.kind == "topic":
        if resource.name not in metadata.topics:
            return _UNKNOWN
        known: Collection[str] = TOPIC_DEFAULTS.keys()
    else:
        if resource.name != EVERY_BROKER and not _is_alive(resource, alive):
            return ItemError("BROKER_NOT_AVAILABLE", "The broker is not available.")
        known = BROKER_DEFAULTS.keys() | RATES
    for name, value in values.items():
        if name in BROKER_READ_ONLY and resource.kind == "broker":
            return ItemError("INVALID_REQUEST", f"Cannot update this config dynamically: {name}")
        if name not in known:
            return ItemError("INVALID_CONFIG", f"Unknown config name: {name}")
        if name in RATES and value is not None and not value.isdigit():
            return ItemError("INVALID_CONFIG", f"Invalid value {value} for configuration {name}")
    return None


def _rate_of(metadata: _Metadata, broker: int, name: str) -> float:
    """The broker's throttle, which is none where nothing is set."""
    for_all = metadata.brokers.get(EVERY_BROKER, {})
    return float(metadata.brokers.get(str(broker), {}).get(name, for_all.get(name, inf)))


def _is_throttled(metadata: _Metadata, at: TopicPartition, config: str, broker: int) -> bool:
    listed = metadata.topics[at.topic].configs.get(config, "")
    return listed == "*" or f"{at.partition}:{broker}" in listed.split(",")
