"""Partitions move to other brokers: checked, held back by a throttle, in batches, verified.

After a crash everything is read from the cluster again. Reads may be stale, so nothing that is
seen once is taken for an end: a partition has arrived when it is not listed any more, has the
replicas it is to have, and all of them are in sync.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from backroom.domain.errors import KafkaUnavailable, OutcomeUnknown, StepNotReady, StepRejected
from backroom.domain.instance import Instance, require_running
from backroom.domain.placement import spread
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.replication_throttle import (
    FOLLOWER_REPLICAS,
    LEADER_REPLICAS,
    Throttle,
    clear_leftover,
    clear_throttle,
    rates_in_force,
    set_throttle,
)
from backroom.ports import (
    ConfigResource,
    ItemError,
    LogDirs,
    Partition,
    Reassignment,
    Topic,
    TopicPartition,
)

LOOK_S = 0.25  # until a change that was acknowledged is looked for again
POLL_S = 1.0
GRACE_S = 5.0  # what is missing at first may just not be seen yet
UNDO_WITHIN_S = 50.0  # the engine allows a minute
MOVES_PER_BROKER = 5  # copies that one broker takes in at once, as Cruise Control has it
MOVES_AT_ONCE = 100

MOVING = "DMS.00500980"
NO_TOPIC = "DMS.00400876"
NOT_POSSIBLE = "DMS.00400800"
NO_ROOM = "DMS.00500982"
PLAN = "plan_moves"


class Assignment(msgspec.Struct, frozen=True):
    partition: int
    replicas: tuple[int, ...]


class TopicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`assignment` names replicas; where it is empty, all partitions are spread over `brokers`."""

    topic: str
    brokers: tuple[int, ...] = ()
    replication_factor: int | None = None
    assignment: tuple[Assignment, ...] = ()


class ReassignPartitions(msgspec.Struct, frozen=True, kw_only=True):
    topics: tuple[TopicPlan, ...]
    throttle_bytes_per_s: int | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """`before` is kept for those who want to go back."""

    at: TopicPartition
    before: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def adding(self) -> tuple[int, ...]:
        return tuple(broker for broker in self.target if broker not in self.before)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    moves: tuple[Move, ...]
    throttle: Throttle | None


Context = StepContext[ReassignPartitions]


def targets_of(plan: TopicPlan, topic: Topic) -> dict[int, tuple[int, ...]]:
    """Which replicas each partition is to have; those that are not named stay where they are."""
    if plan.assignment:
        return {one.partition: one.replicas for one in plan.assignment}
    count = len(topic.partitions)
    factor = plan.replication_factor or len(topic.partitions[0].replicas)
    return dict(enumerate(spread(topic.name, sorted(plan.brokers), range(count), factor)))


def moves_of(plans: Iterable[TopicPlan], topics: Mapping[str, Topic]) -> tuple[Move, ...]:
    """What has to move, of partitions that there are."""
    return tuple(
        Move(at=TopicPartition(plan.topic, at), before=partition.replicas, target=target)
        for plan in plans
        if plan.topic in topics
        for at, target in targets_of(plan, topics[plan.topic]).items()
        for partition in topics[plan.topic].partitions[at : at + 1]
        if partition.replicas != target
    )


def bytes_onto(
    moves: Iterable[Move], sizes: Mapping[TopicPartition, Mapping[int, int]]
) -> Counter[int]:
    """What each broker has to take in."""
    onto = Counter[int]()
    for move in moves:
        size = max(sizes.get(move.at, {}).values(), default=0)
        onto.update(dict.fromkeys(move.adding, size))
    return onto


def lack_of_room(moves: Iterable[Move], dirs: LogDirs) -> str | None:
    """Which broker's disk is too small for what is to move there. What moves away goes last."""
    onto = bytes_onto(moves, dirs.sizes)
    for broker in sorted(onto):
        free = dirs.free_bytes.get(broker, onto[broker])
        if onto[broker] > free:
            return f"broker {broker} would have to take in {onto[broker]} bytes and has {free} free"
    return None


def _prepare(instance: Instance, _params: ReassignPartitions) -> Instance:
    require_running(instance)
    return instance


async def _plan_moves(context: Context) -> object:
    """Changes nothing: all that could be wrong is found here, and what is there is kept."""
    instance_id, params = context.task.instance_id, context.params
    names = [plan.topic for plan in params.topics]
    topics = await context.kafka.topics(instance_id, names)
    moves = moves_of(params.topics, topics)
    never = await _obstacle(context, topics) or await _no_room(context, moves)
    if never is not None:
        started_at = context.task.started_at or context.task.created_at
        if context.clock.now() < started_at + timedelta(seconds=GRACE_S):
            raise StepNotReady(LOOK_S)
        raise never
    return msgspec.to_builtins(Plan(moves=moves, throttle=await _throttle(context, moves)))


async def _obstacle(context: Context, topics: Mapping[str, Topic]) -> StepRejected | None:
    """The first reason not to begin, if there is one."""
    instance_id = context.task.instance_id
    listed = await context.kafka.reassignments(instance_id)
    if listed:
        at = min(listed)
        return StepRejected(MOVING, f"{at.topic}-{at.partition} is being moved by somebody else")
    alive = {broker.id for broker in await context.kafka.brokers(instance_id)}
    resources = [ConfigResource("topic", name) for name in topics]
    configs = await context.kafka.configs(instance_id, resources)
    for plan in context.params.topics:
        topic = topics.get(plan.topic)
        if topic is None:
            return StepRejected(NO_TOPIC, f"topic {plan.topic} does not exist")
        entry = configs.get(ConfigResource("topic", plan.topic), {}).get("min.insync.replicas")
        why = _why_not(plan, topic, alive, int(entry.value) if entry is not None else 1)
        if why is not None:
            return StepRejected(NOT_POSSIBLE, f"{plan.topic}: {why}")
    return None


async def _no_room(context: Context, moves: Sequence[Move]) -> StepRejected | None:
    names = {move.at.topic for move in moves}
    why = lack_of_room(moves, await context.kafka.log_dirs(context.task.instance_id, names))
    return None if why is None else StepRejected(NO_ROOM, why)


def _why_not(plan: TopicPlan, topic: Topic, alive: set[int], min_in_sync: int) -> str | None:
    for at, replicas in targets_of(plan, topic).items():
        if at >= len(topic.partitions):
            return f"there is no partition {at}"
        if len(set(replicas)) < len(replicas):
            return f"partition {at} names a broker twice"
        dead = sorted(set(replicas) - alive)
        if dead:
            return f"brokers that do not answer: {', '.join(map(str, dead))}"
        if len(replicas) < min(min_in_sync, len(topic.partitions[at].replicas)):
            return f"partition {at} would have fewer replicas than min.insync.replicas"
    return None


async def _throttle(context: Context, moves: Sequence[Move]) -> Throttle | None:
    limit = context.params.throttle_bytes_per_s
    copying = [move for move in moves if move.adding]
    if limit is None or not copying:
        return None
    brokers = sorted({broker for move in copying for broker in (*move.before, *move.adding)})
    replicas: dict[str, dict[str, tuple[str, ...]]] = {}
    for move in copying:
        listed = replicas.setdefault(move.at.topic, {LEADER_REPLICAS: (), FOLLOWER_REPLICAS: ()})
        listed[LEADER_REPLICAS] += tuple(f"{move.at.partition}:{one}" for one in move.before)
        listed[FOLLOWER_REPLICAS] += tuple(f"{move.at.partition}:{one}" for one in move.adding)
    return Throttle(
        bytes_per_s=limit,
        brokers=tuple(brokers),
        replicas=replicas,
        before=await rates_in_force(context, brokers),
    )


def _plan(context: Context) -> Plan:
    return msgspec.convert(context.outputs[PLAN], Plan)


async def _set_throttle(context: Context) -> None:
    throttle = _plan(context).throttle
    if throttle is not None and not await set_throttle(context, throttle):
        raise StepNotReady(LOOK_S)


async def _clear_throttle(context: Context) -> None:
    throttle = _plan(context).throttle
    if throttle is not None and not await clear_throttle(context, throttle):
        raise StepNotReady(LOOK_S)


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as seen just now."""

    topics: Mapping[str, Topic]
    listed: Mapping[TopicPartition, Reassignment]
    sizes: Mapping[TopicPartition, Mapping[int, int]]

    def partition(self, move: Move) -> Partition | None:
        """None when its topic is gone: then there is nothing left to move."""
        topic = self.topics.get(move.at.topic)
        found = () if topic is None else topic.partitions[move.at.partition :]
        return found[0] if found else None

    def is_done(self, move: Move) -> bool:
        partition = self.partition(move)
        return partition is None or (
            move.at not in self.listed
            and partition.replicas == move.target
            and set(move.target) <= set(partition.in_sync)
        )

    def is_under_way(self, move: Move) -> bool:
        listed = self.listed.get(move.at)
        return listed is not None and listed.target == move.target

    def size(self, move: Move) -> int:
        return max(self.sizes.get(move.at, {}).values(), default=0)

    def percent(self, moves: Sequence[Move]) -> int:
        """Of the bytes to be copied; of the moves where there are none."""
        total = sum(self.size(move) * len(move.adding) for move in moves)
        if total == 0:
            return 100 * sum(map(self.is_done, moves)) // len(moves)
        return 100 * sum(map(self._copied, moves)) // total

    def _copied(self, move: Move) -> int:
        if self.is_done(move):
            return self.size(move) * len(move.adding)
        sizes = self.sizes.get(move.at, {})
        return sum(sizes.get(broker, 0) for broker in move.adding)


async def _look(context: Context, moves: Sequence[Move]) -> _Look:
    instance_id, names = context.task.instance_id, {move.at.topic for move in moves}
    return _Look(
        topics=await context.kafka.topics(instance_id, names),
        listed=await context.kafka.reassignments(instance_id),
        sizes=(await context.kafka.log_dirs(instance_id, names)).sizes,
    )


async def _move_replicas(context: Context) -> None:
    moves = _plan(context).moves
    look = await _look(context, moves)
    left = [move for move in moves if not look.is_done(move)]
    if not left:
        return
    for move in left:
        if move.at in look.listed and not look.is_under_way(move):
            where = f"{move.at.topic}-{move.at.partition}"
            raise StepRejected(MOVING, f"{where} is being moved elsewhere by somebody else")
    await _require_alive(context, left)
    batch = _next_batch(left, look)
    if batch:
        targets = {move.at: move.target for move in batch}
        _judge(await context.kafka.reassign(context.task.instance_id, targets))
    raise StepNotReady(POLL_S, look.percent(moves))


async def _require_alive(context: Context, moves: Iterable[Move]) -> None:
    """A fault, retried for a while: the broker may come back."""
    alive = {broker.id for broker in await context.kafka.brokers(context.task.instance_id)}
    dead = sorted({broker for move in moves for broker in move.target} - alive)
    if dead:
        raise KafkaUnavailable(f"brokers that do not answer: {', '.join(map(str, dead))}")


def _next_batch(left: Iterable[Move], look: _Look) -> list[Move]:
    """What may begin now, the small ones first, so that much is done early."""
    busy = Counter(broker for move in left if look.is_under_way(move) for broker in move.adding)
    waiting = (move for move in left if not look.is_under_way(move))
    batch: list[Move] = []
    for move in sorted(waiting, key=lambda one: (look.size(one), one.at)):
        has_room = all(busy[broker] < MOVES_PER_BROKER for broker in move.adding)
        if has_room and len(batch) < MOVES_AT_ONCE:
            busy.update(move.adding)
            batch.append(move)
    return batch


def _judge(results: Mapping[TopicPartition, ItemError | None]) -> None:
    for at, error in results.items():
        # a topic that is gone will not be seen at the next look, either
        if error is not None and error.code != "UNKNOWN_TOPIC_OR_PARTITION":
            where = f"{at.topic}-{at.partition}"
            raise StepRejected(NOT_POSSIBLE, f"{where}: {error.code} {error.message}")


async def _verify_replicas(context: Context) -> dict[str, int]:
    """Once more, with another look: what is elsewhere now is a fault, not something to wait for."""
    moves = _plan(context).moves
    look = await _look(context, moves)
    elsewhere = [move.at for move in moves if not look.is_done(move)]
    if elsewhere:
        raise OutcomeUnknown(f"{len(elsewhere)} partitions are not seen where they were moved")
    gone = sum(look.partition(move) is None for move in moves)
    return {"moved": len(moves) - gone, "gone": gone}


async def _elect_leaders(context: Context) -> None:
    """Leaders do not come back by themselves for minutes. One that can't lead is left alone."""
    moves = _plan(context).moves
    look = await _look(context, moves)
    wrong = [
        move.at
        for move in moves
        if (partition := look.partition(move)) is not None
        and partition.leader != partition.replicas[0]
    ]
    if not wrong:
        return
    results = await context.kafka.elect_preferred_leaders(context.task.instance_id, wrong)
    hopeless = {"PREFERRED_LEADER_NOT_AVAILABLE", "UNKNOWN_TOPIC_OR_PARTITION"}
    if any(error is None or error.code not in hopeless for error in results.values()):
        raise StepNotReady(LOOK_S)


async def _undo(context: Context) -> None:
    """What is under way goes back, what has arrived stays; then no throttle is left."""
    if PLAN not in context.outputs:
        return
    plan = _plan(context)
    end = context.clock.now() + timedelta(seconds=UNDO_WITHIN_S)
    is_blind = True  # what was asked for a moment ago may not be seen yet
    while not await _is_undone(context, plan, is_blind=is_blind):
        now, is_blind = context.clock.now(), False
        if now >= end:
            raise OutcomeUnknown("reassignments or throttles are left on the brokers")
        await context.clock.wait(asyncio.Event(), now + timedelta(seconds=LOOK_S))


async def _is_undone(context: Context, plan: Plan, *, is_blind: bool) -> bool:
    with suppress(KafkaUnavailable, OutcomeUnknown):
        if await _cancel(context, plan):
            return False
        throttle = plan.throttle
        return throttle is None or await clear_throttle(context, throttle, is_blind=is_blind)
    return False


async def _sweep(context: Context) -> bool:
    """What the undo had to leave: a throttle, as soon as nothing it held back is on its way."""
    throttle = _plan(context).throttle if PLAN in context.outputs else None
    if throttle is None:
        return True
    listed = await context.kafka.reassignments(context.task.instance_id)
    if any(move.at in listed for move in _plan(context).moves):
        return False
    return await clear_leftover(context, throttle)


async def _cancel(context: Context, plan: Plan) -> bool:
    """Whether anything of ours was or may still be under way."""
    look = await _look(context, plan.moves)
    ours = [
        move
        for move in plan.moves
        if look.is_under_way(move) or not (move.at in look.listed or look.is_done(move))
    ]
    if not ours:
        return False
    targets = dict.fromkeys(move.at for move in ours)
    results = await context.kafka.reassign(context.task.instance_id, targets)
    return None in results.values() or any(map(look.is_under_way, ours))


REASSIGN_PARTITIONS = Operation(
    # [I] no source shows the name; the console says "Kafka partition reassignment", audit events
    # are called kafka_reassignmentTask...
    name="kafkaReassignment",
    params=ReassignPartitions,
    prepare=_prepare,
    steps=(
        Step(PLAN, _plan_moves),
        Step("set_throttle", _set_throttle, is_undone=True),
        Step("move_replicas", _move_replicas, 94),
        Step("verify_replicas", _verify_replicas),
        Step("clear_throttle", _clear_throttle),
        Step("elect_leaders", _elect_leaders, 2),
    ),
    undo=_undo,
    sweep=_sweep,
    shows_executing=True,  # [O] Terraform waits through it for this call
    max_attempts=20,
)
