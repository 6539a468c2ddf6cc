"""What must be known before partitions may be asked to move: what is there, and what is planned."""

from collections.abc import Mapping, Sequence
from math import ceil

from backroom.domain.errors import InsufficientDisk, InvalidInput, PartitionsMoving, TopicNotFound
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.instance import Instance
from backroom.domain.task import Kind, State
from backroom.operations.reassign_partitions import (
    REASSIGN_PARTITIONS,
    ReassignPartitions,
    TopicPlan,
    bytes_onto,
    lack_of_room,
    moves_of,
    targets_of,
)
from backroom.ports import KafkaAdmin, TaskFinder, Topic

USUAL_BYTES_PER_S = 50e6  # what is reckoned with where nothing is said
OVERHEAD_S = 1.0
SEARCHED_AT_ONCE = 100


class Reassignments:
    def __init__(self, kafka: KafkaAdmin, finder: TaskFinder) -> None:
        self._kafka = kafka
        self._finder = finder

    async def check(self, instance: Instance, asked: ReassignPartitions) -> Mapping[str, Topic]:
        """The topics it is about. Raises TopicNotFound, InvalidInput, or InsufficientDisk."""
        names = [plan.topic for plan in asked.topics]
        topics = await self._kafka.topics(instance.id, names)
        alive = {broker.id for broker in await self._kafka.brokers(instance.id)}
        for plan in asked.topics:
            if plan.topic not in topics:
                raise TopicNotFound(plan.topic)
            _check(plan, topics[plan.topic], alive)
        dirs = await self._kafka.log_dirs(instance.id, names)
        why = lack_of_room(moves_of(asked.topics, topics), dirs)
        if why is not None:
            raise InsufficientDisk(why)
        return topics

    async def estimate_s(self, instance: Instance, asked: ReassignPartitions) -> int:
        """Of the broker that has the most to take in; whole seconds, at least one."""
        topics = await self.check(instance, asked)
        sizes = (await self._kafka.log_dirs(instance.id, list(topics))).sizes
        onto = bytes_onto(moves_of(asked.topics, topics), sizes)
        rate = min(USUAL_BYTES_PER_S, asked.throttle_bytes_per_s or USUAL_BYTES_PER_S)
        return ceil(OVERHEAD_S + max(onto.values(), default=0) / rate)

    async def require_none_planned(self, instance: Instance) -> None:
        """Raises PartitionsMoving while a reassignment of the instance waits for its time."""
        wanted = TaskSearch(
            project_id=instance.project_id,
            instance_id=instance.id,
            kinds=frozenset({Kind.SCHEDULED}),
            states=frozenset({State.WAITING, State.RUNNING}),
            names=frozenset({REASSIGN_PARTITIONS.name}),
        )
        after: Position | None = None
        while True:
            found = await self._finder.search(wanted, after, SEARCHED_AT_ONCE)
            if found.tasks:
                raise PartitionsMoving(f"planned by {found.tasks[0].id}")
            if found.position is None:
                return
            after = found.position


def _check(plan: TopicPlan, topic: Topic, alive: set[int]) -> None:
    if not plan.assignment:  # [I] one that is there wins: what the brokers say counts for nothing
        _check_brokers("brokers", plan.brokers, alive)
    factor = plan.replication_factor or len(topic.partitions[0].replicas)
    if not plan.assignment and factor > len(plan.brokers):
        why = f"{factor} replicas need as many brokers"
        raise InvalidInput(f"reassignments[{plan.topic}].brokers", why)
    for at, replicas in targets_of(plan, topic).items():
        if at >= len(topic.partitions):
            why = f"there is no partition {at}"
            raise InvalidInput(f"reassignments[{plan.topic}].assignment", why)
        _check_brokers("partition_brokers", replicas, alive)


def _check_brokers(parameter: str, brokers: Sequence[int], alive: set[int]) -> None:
    unknown = sorted(set(brokers) - alive)
    if unknown:
        raise InvalidInput(parameter, f"must be of {sorted(alive)}, not {unknown[0]}")
