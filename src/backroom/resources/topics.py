"""Topics of an instance: reads, and changes that are done when they are answered.

No tasks are made of these: a broker does each of them at once. A change is answered once it is
seen, or after SEEN_WITHIN_S when it was acknowledged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Protocol

import msgspec

from backroom.domain.errors import (
    BackroomError,
    InvalidConfig,
    InvalidInput,
    InvalidPartitionCount,
    KafkaUnavailable,
    OutcomeUnknown,
    PartitionsExhausted,
    PartitionsMoving,
    Refused,
    StaleTask,
    TooManyReplicas,
    TopicExists,
    TopicNotFound,
)
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance, require_running
from backroom.domain.task import FINAL, Kind, TaskRecord
from backroom.domain.topic import MIN_IN_SYNC, TopicChange, TopicNote, TopicOrder
from backroom.operations.reassign_partitions import REASSIGN_PARTITIONS
from backroom.ports import (
    Clock,
    ClusterStore,
    ConfigEntry,
    ConfigResource,
    InstanceStore,
    ItemError,
    KafkaAdmin,
    NewPartitions,
    NewTopic,
    PartitionLog,
    Topic,
    TopicPartition,
)
from backroom.resources.instances import existing_instance

SEEN_WITHIN_S = 5.0
LOOK_S = 0.05
NOTES = "topic-notes"  # the part of a cluster's documents


class CurrentTasks(Protocol):
    async def current(self, lane: str) -> TaskRecord | None:
        """The task at the head of a lane."""


class ShownTopics(msgspec.Struct, frozen=True, kw_only=True):
    """`topics` by name; those made by others have no note."""

    instance: Instance
    topics: tuple[Topic, ...]
    configs: Mapping[str, Mapping[str, ConfigEntry]]
    notes: Mapping[str, TopicNote]


class TopicDetail(msgspec.Struct, frozen=True, kw_only=True):
    topic: Topic
    logs: Mapping[int, PartitionLog]
    sizes: Mapping[TopicPartition, Mapping[int, int]]


class Topics:
    def __init__(
        self,
        kafka: KafkaAdmin,
        instances: InstanceStore,
        tasks: CurrentTasks,
        clusters: ClusterStore,
        clock: Clock,
    ) -> None:
        self._kafka = kafka
        self._instances = instances
        self._tasks = tasks
        self._clusters = clusters
        self._clock = clock

    async def list(self, project_id: ProjectId, instance_id: InstanceId) -> ShownTopics:
        instance = await self.instance(project_id, instance_id)
        topics = await self._kafka.topics(instance_id)
        resources = [ConfigResource("topic", name) for name in topics]
        configs = await self._kafka.configs(instance_id, resources)
        notes, _ = await self._notes(instance_id)
        return ShownTopics(
            instance=instance,
            topics=tuple(topics[name] for name in sorted(topics)),
            configs={resource.name: entries for resource, entries in configs.items()},
            notes=notes,
        )

    async def show(self, project_id: ProjectId, instance_id: InstanceId, name: str) -> TopicDetail:
        """Raises TopicNotFound."""
        await self.instance(project_id, instance_id)
        topic = (await self._kafka.topics(instance_id, [name])).get(name)
        if topic is None:
            raise TopicNotFound(name)
        return TopicDetail(
            topic=topic,
            logs=await self._kafka.logs(instance_id, name),
            sizes=(await self._kafka.log_dirs(instance_id, [name])).sizes,
        )

    async def create(self, instance: Instance, order: TopicOrder, partitions_max: int) -> None:
        """Raises TopicExists, TooManyReplicas, PartitionsExhausted, InvalidConfig."""
        require_running(instance)
        new = await self._new_topic(instance, order)
        topics = await self._kafka.topics(instance.id)
        if new.name in topics:
            raise TopicExists(new.name)
        _require_room(topics.values(), new.partition_count, partitions_max)
        is_certain = True
        try:
            results = await self._kafka.create_topics(instance.id, [new])
            _raise_for(results[new.name], new.name)
        except OutcomeUnknown:
            is_certain = False
        await self._note(instance.id, new.name, order.description)
        is_seen = await self._until(lambda: self._are_there(instance.id, {new.name}))
        if not (is_seen or is_certain):
            raise KafkaUnavailable(f"topic {new.name} was not seen after it was asked for")

    async def _new_topic(self, instance: Instance, order: TopicOrder) -> NewTopic:
        alive = await self._kafka.brokers(instance.id)
        count, factor = order.partition_count, order.replication_factor
        if count is None or factor is None:
            resource = ConfigResource("broker", str(alive[0].id))
            found = (await self._kafka.configs(instance.id, [resource])).get(resource, {})
            usual = {name: entry.value for name, entry in found.items()}
            usual |= dict(instance.static_configs)
            count = count or int(usual.get("num.partitions", "1"))
            usual_factor = int(usual.get("default.replication.factor", "1"))
            factor = factor or min(len(alive), usual_factor)
        if factor > len(alive):
            raise TooManyReplicas("replication", f"{len(alive)} brokers are there")
        configs = dict(order.configs)
        if order.is_synchronous:
            configs[MIN_IN_SYNC] = str(factor)
        return NewTopic(
            name=order.name, partition_count=count, replication_factor=factor, configs=configs
        )

    async def delete(
        self, instance: Instance, names: Iterable[str]
    ) -> dict[str, PartitionsMoving | None]:
        """Each that is gone now, also one that never was there; or why it is not."""
        require_running(instance)
        moving = await self._moving(instance)
        wanted = list(dict.fromkeys(names))
        outcomes = {
            name: PartitionsMoving(f"of {name}") if name in moving else None for name in wanted
        }
        doomed = {name for name, refused in outcomes.items() if refused is None}
        is_certain = True
        try:
            if doomed:
                await self._kafka.delete_topics(instance.id, doomed)
        except OutcomeUnknown:
            is_certain = False
        is_seen = await self._until(lambda: self._are_gone(instance.id, doomed))
        if not (is_seen or is_certain):
            raise KafkaUnavailable("topics were still seen after they were to be deleted")
        await self._change_notes(
            instance.id, lambda notes: [notes.pop(one, None) for one in doomed]
        )
        return outcomes

    async def update(
        self, instance: Instance, changes: Iterable[TopicChange], partitions_max: int
    ) -> dict[str, BackroomError]:
        """Why a topic was not changed, or not all of it; those that were are left out."""
        require_running(instance)
        failed: dict[str, BackroomError] = {}
        for change in changes:
            try:
                await self._update(instance, change, partitions_max)
            except (Refused, KafkaUnavailable) as error:
                failed[change.name] = error
        return failed

    async def add_partitions(
        self, instance: Instance, name: str, total_count: int, partitions_max: int
    ) -> None:
        require_running(instance)
        change = TopicChange(name=name, partition_count=total_count)
        await self._update(instance, change, partitions_max)

    async def _update(self, instance: Instance, change: TopicChange, partitions_max: int) -> None:
        topics = await self._kafka.topics(instance.id)
        topic = topics.get(change.name)
        if topic is None:
            raise TopicNotFound(change.name)
        count = change.partition_count
        if count is not None and count != len(topic.partitions):
            added = count - len(topic.partitions)
            if added < 0:
                raise InvalidPartitionCount("new_partition_numbers", "can only grow")
            if change.name in await self._moving(instance):
                raise PartitionsMoving(f"of {change.name}")
            _require_room(topics.values(), added, partitions_max)
            await self._add(instance, topic, change, added)
        await self._alter(instance, topic, change)
        if change.description is not None:
            await self._note(instance.id, change.name, change.description)

    async def _add(self, instance: Instance, topic: Topic, change: TopicChange, added: int) -> None:
        count = len(topic.partitions) + added
        factor = len(topic.partitions[0].replicas)
        alive = {broker.id for broker in await self._kafka.brokers(instance.id)}
        brokers = change.partition_brokers
        if not set(brokers) <= alive or 0 < len(brokers) < factor:
            why = f"must be {factor} or more of the brokers {sorted(alive)}"
            raise InvalidInput("new_partition_brokers", why)
        replicas = tuple(
            tuple(brokers[(at + n) % len(brokers)] for n in range(factor))
            for at in range(added if brokers else 0)
        )
        new = NewPartitions(total_count=count, replicas=replicas)
        try:
            results = await self._kafka.create_partitions(instance.id, {topic.name: new})
            _raise_for(results[topic.name], topic.name)
        except OutcomeUnknown:
            pass  # seen below, or not

        async def are_there() -> bool:
            seen = (await self._kafka.topics(instance.id, [topic.name])).get(topic.name)
            return seen is not None and len(seen.partitions) >= count

        if not await self._until(are_there):
            raise KafkaUnavailable(f"partitions of {topic.name} were not seen after being added")

    async def _alter(self, instance: Instance, topic: Topic, change: TopicChange) -> None:
        wanted = dict(change.configs)
        if change.is_synchronous is not None:
            factor = len(topic.partitions[0].replicas)
            wanted[MIN_IN_SYNC] = str(factor) if change.is_synchronous else None
        if not wanted:
            return
        resource = ConfigResource("topic", topic.name)
        try:
            results = await self._kafka.alter_configs(instance.id, {resource: wanted})
            _raise_for(results[resource], topic.name)
        except OutcomeUnknown:
            pass  # seen below, or not

        async def are_set() -> bool:
            seen = (await self._kafka.configs(instance.id, [resource])).get(resource, {})
            own = {name: entry.value for name, entry in seen.items() if entry.is_override}
            return all(own.get(name) == value for name, value in wanted.items())

        if not await self._until(are_set):
            raise KafkaUnavailable(f"configs of {topic.name} were not seen after being set")

    async def _moving(self, instance: Instance) -> set[str]:
        """Topics of a reassignment that has started, whether its moves have begun or not."""
        moving = {at.topic for at in await self._kafka.reassignments(instance.id)}
        current = await self._tasks.current(instance.id)
        if (
            current is not None
            and current.kind == Kind.BACKGROUND
            and current.name == REASSIGN_PARTITIONS.name
            and current.state not in FINAL
        ):
            listed: str = msgspec.json.decode(current.params)["reassignment_topics"]
            moving.update(listed.strip("[]").split(", "))
        return moving

    async def instance(self, project_id: ProjectId, instance_id: InstanceId) -> Instance:
        """Raises InstanceNotFound."""
        return await existing_instance(self._instances, project_id, instance_id)

    async def _are_there(self, instance_id: InstanceId, names: Collection[str]) -> bool:
        return len(await self._kafka.topics(instance_id, names)) == len(names)

    async def _are_gone(self, instance_id: InstanceId, names: Collection[str]) -> bool:
        return not names or not await self._kafka.topics(instance_id, names)

    async def _until(self, is_seen: Callable[[], Awaitable[bool]]) -> bool:
        end = self._clock.now() + timedelta(seconds=SEEN_WITHIN_S)
        while not await is_seen():
            now = self._clock.now()
            if now >= end:
                return False
            await self._clock.wait(asyncio.Event(), now + timedelta(seconds=LOOK_S))
        return True

    async def _note(self, instance_id: InstanceId, name: str, description: str) -> None:
        def change(notes: dict[str, TopicNote]) -> None:
            known = notes.get(name)
            created_at = self._clock.now() if known is None else known.created_at
            notes[name] = TopicNote(created_at, description)

        await self._change_notes(instance_id, change)

    async def _notes(self, instance_id: InstanceId) -> tuple[dict[str, TopicNote], int]:
        kept = await self._clusters.load(instance_id, NOTES)
        if kept is None:
            return {}, 0
        return msgspec.json.decode(kept[0], type=dict[str, TopicNote]), kept[1]

    async def _change_notes(
        self, instance_id: InstanceId, change: Callable[[dict[str, TopicNote]], object]
    ) -> None:
        while True:
            notes, version = await self._notes(instance_id)
            before = dict(notes)
            change(notes)
            if notes == before:
                return
            document = msgspec.json.encode(notes)
            try:
                await self._clusters.save(instance_id, NOTES, document, version + 1)
            except StaleTask:
                continue
            return


def _require_room(topics: Iterable[Topic], added: int, partitions_max: int) -> None:
    used = sum(len(topic.partitions) for topic in topics if not topic.is_internal)
    remaining = max(0, partitions_max - used)
    if added > remaining:
        raise PartitionsExhausted(remaining)


def _raise_for(error: ItemError | None, topic: str) -> None:
    if error is None:
        return
    match error.code:
        case "TOPIC_ALREADY_EXISTS":
            raise TopicExists(topic)
        case "UNKNOWN_TOPIC_OR_PARTITION":
            raise TopicNotFound(topic)
        case "INVALID_REPLICATION_FACTOR":
            raise TooManyReplicas("replication", error.message)
        case "INVALID_PARTITIONS":
            raise InvalidPartitionCount("partition", error.message)
        case "REASSIGNMENT_IN_PROGRESS":
            raise PartitionsMoving(f"of {topic}")
        case _:
            raise InvalidConfig("topic_other_configs", f"{error.code} {error.message}")
