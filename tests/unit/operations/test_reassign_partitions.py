"""Moves of partitions: from submit to end, with stale reads, lost answers and dying workers."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.builders import W1, W2, instance_id
from tests.support.engine_world import catalogue_with, doubled
from tests.support.kafkas import CHANGES, FlakyKafka

from backroom.domain import lifecycle
from backroom.domain.errors import InstanceNotReady, StepNotReady
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import State
from backroom.operations import reassign_partitions
from backroom.operations.reassign_partitions import (
    MOVES_PER_BROKER,
    REASSIGN_PARTITIONS,
    Assignment,
    ReassignPartitions,
    TopicPlan,
    lack_of_room,
    moves_of,
    targets_of,
)
from backroom.operations.replication_throttle import (
    FOLLOWER_RATE,
    FOLLOWER_REPLICAS,
    LEADER_RATE,
    LEADER_REPLICAS,
)
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import ConfigResource, LogDirs, NewTopic, TopicPartition

ID = instance_id()
MIB = 1024 * 1024
T0 = TopicPartition("t", 0)
BROKERS = [ConfigResource("broker", str(n)) for n in range(3)]
TOPIC = ConfigResource("topic", "t")
LAGS = [0.0, 0.1, 3.0]


@pytest.fixture(params=LAGS, ids=lambda lag: f"lag {lag} s")
def kafka(world, request):
    return set_up(world, request.param)


@pytest.fixture
def quick(world):
    return set_up(world, 0.1)


def set_up(world, lag_s):
    real = SimulatedKafka(
        world.stores.clusters, world.platform, world.clock, KafkaTimings(metadata_lag_s=lag_s)
    )
    world.kafka = FlakyKafka(real)
    world.around = replace(world.around, kafka=world.kafka)
    return world.kafka


async def make(world, partitions=1, factor=1, name="t", **given):
    """A running instance with a topic that everybody sees."""
    if await world.shown(ID) is None:
        await world.add_instance()
    new = NewTopic(name=name, partition_count=partitions, replication_factor=factor, **given)
    assert await world.kafka.create_topics(ID, [new]) == {name: None}
    world.clock.move(10)
    return [one.replicas for one in (await world.kafka.topics(ID))[name].partitions]


def to(targets, throttle=None, topic="t"):
    assignment = tuple(Assignment(at, replicas) for at, replicas in targets.items())
    plan = TopicPlan(topic=topic, assignment=assignment)
    return ReassignPartitions(topics=(plan,), throttle_bytes_per_s=throttle)


def others(replicas):
    return tuple(broker for broker in (0, 1, 2) if broker not in replicas)


async def now_at(world, topic="t"):
    world.clock.move(10)  # whatever was written is seen
    return [one.replicas for one in (await world.kafka.topics(ID))[topic].partitions]


async def throttles(world):
    world.clock.move(10)
    found = await world.kafka.configs(ID, [*BROKERS, TOPIC])
    names = (FOLLOWER_RATE, LEADER_RATE, FOLLOWER_REPLICAS, LEADER_REPLICAS)
    return {
        (resource.name, name): entries[name].value
        for resource, entries in found.items()
        for name in names
        if name in entries and entries[name].is_override
    }


async def test_partition_moves_and_nothing_is_left_behind(world, kafka):
    (before,) = await make(world)
    target = others(before)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=10 * MIB))
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)
    assert await now_at(world) == [target]
    assert await throttles(world) == {}
    steps = (await world.history(task.id)).steps
    assert [step.name for step in steps] == [step.name for step in REASSIGN_PARTITIONS.steps]
    (move,) = msgspec.json.decode(steps[0].output)["moves"]
    assert move["before"] == list(before)
    partition = (await world.kafka.topics(ID))["t"].partitions[0]
    assert partition.leader == target[0]
    assert set(partition.in_sync) == set(target)


async def test_move_takes_as_long_as_its_throttle_makes_it(world, quick):
    (before,) = await make(world)
    start = world.clock.now()
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)[:1]}, throttle=2 * MIB))
    await world.run_to_end(task.id)
    assert 32 <= (world.clock.now() - start).total_seconds() <= 36
    assert any(step.percent > 0 for step in (await world.history(task.id)).steps)


async def test_progress_is_that_of_the_bytes(world, quick):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)[:1]}, throttle=MIB))
    seen = []
    while not (await world.get(task.id)).state.is_final:
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await world.attempt()
        steps = (await world.history(task.id)).steps
        seen += [step.percent for step in steps if step.name == "move_replicas"]
    assert seen == sorted(seen)
    assert len(set(seen)) > 30


async def test_replicas_that_only_change_order_elect_their_leader(world, kafka):
    (before,) = await make(world, factor=3)
    target = (before[2], before[0], before[1])
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=MIB))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await now_at(world) == [target]
    assert (await world.kafka.topics(ID))["t"].partitions[0].leader == target[0]
    assert world.kafka.changes("alter_configs") == []  # nothing to copy, nothing to hold back


async def test_partition_that_is_there_already_is_left_alone(world, kafka):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: before}, throttle=MIB))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert world.kafka.changes("reassign") == []


async def test_partitions_are_spread_over_the_brokers_named(world, kafka):
    await make(world, partitions=6, factor=1)
    plan = TopicPlan(topic="t", brokers=(2, 0), replication_factor=2)
    task = await world.submit(REASSIGN_PARTITIONS, ReassignPartitions(topics=(plan,)))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    replicas = await now_at(world)
    assert {frozenset(one) for one in replicas} == {frozenset({0, 2})}
    leaders = [one.leader for one in (await world.kafka.topics(ID))["t"].partitions]
    assert leaders.count(0) == leaders.count(2) == 3


async def test_no_broker_takes_in_more_than_its_share_at_once(world, quick):
    before = await make(world, partitions=3 * (MOVES_PER_BROKER + 2))
    targets = {at: (2,) for at, one in enumerate(before) if one != (2,)}
    task = await world.submit(REASSIGN_PARTITIONS, to(targets))
    most = 0
    while not (await world.get(task.id)).state.is_final:
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await world.attempt()
        most = max(most, len(await world.kafka.reassignments(ID)))
    assert most == MOVES_PER_BROKER
    assert set(await now_at(world)) == {(2,)}


async def test_it_ends_the_same_when_each_step_runs_twice(world, kafka):
    (before,) = await make(world)
    target = others(before)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=20 * MIB))
    with catalogue_with(doubled(REASSIGN_PARTITIONS)):
        ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)
    assert await now_at(world) == [target]
    assert await throttles(world) == {}


async def test_it_ends_the_same_when_its_worker_dies_after_any_step(world, kafka):
    """Each go of each step is done, lost before it is recorded, and done again by another."""
    (before,) = await make(world)
    target = others(before)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=20 * MIB))
    ended, worker = await world.get(task.id), 0
    while not ended.state.is_final:
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await _die_after_the_next_step(world, worker)
        await world.attempt((W1, W2)[worker % 2])
        ended, worker = await world.get(task.id), worker + 1
    assert ended.state is State.SUCCEEDED
    assert await now_at(world) == [target]
    assert await throttles(world) == {}


async def _die_after_the_next_step(world, worker):
    (task,) = await world.stores.tasks.claim((W1, W2)[worker % 2], 1, world.clock.now())
    steps = (await world.history(task.id)).steps
    done = {step.name: msgspec.json.decode(step.output) for step in steps if step.output}
    step = next(step for step in REASSIGN_PARTITIONS.steps if step.name not in done)
    with suppress(StepNotReady):
        await step.run(world.context(REASSIGN_PARTITIONS, task, done))
    await world.stores.tasks.write(lifecycle.rescue(task, world.clock.now(), W2))


@pytest.mark.parametrize("how", ["lost", "unsure", "partly", "away"])
async def test_it_goes_on_when_answers_fail_to_come(world, kafka, how):
    """Whether the change was made or not: it is looked for before it is asked for again."""
    (before,) = await make(world)
    target = others(before)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=20 * MIB))
    getattr(kafka, how).update(dict.fromkeys(CHANGES, 2))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await now_at(world) == [target]
    assert await throttles(world) == {}


async def stopped(world, task):
    """Somebody asks to cancel, and the worker finds that out."""
    current = await world.get(task.id)
    await world.stores.tasks.write(lifecycle.ask_cancel(current, world.clock.now(), "tester"))
    return await world.run_to_end(task.id)


@pytest.mark.parametrize("goes", range(1, 9))
async def test_stopped_at_any_moment_it_leaves_neither_moves_nor_throttles(world, kafka, goes):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=4 * MIB))
    for _ in range(goes):
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await world.attempt()
    ended = await stopped(world, task)
    assert ended.state is State.CANCELLED
    assert await now_at(world) == [before]
    assert await world.kafka.reassignments(ID) == {}
    assert await throttles(world) == {}


async def test_undo_finds_a_move_that_no_broker_lists_yet(world):
    kafka = set_up(world, 3.0)
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}))
    begun = asyncio.Event()
    real = kafka._real.reassign

    async def reassign(*arguments):
        begun.set()
        return await real(*arguments)

    kafka._real.reassign = reassign
    while not begun.is_set():
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await world.attempt()
    assert await kafka.reassignments(ID) == {}
    await stopped(world, task)
    assert await now_at(world) == [before]
    assert await kafka.reassignments(ID) == {}


async def test_undo_clears_a_throttle_that_no_broker_shows_yet(world):
    kafka = set_up(world, 3.0)
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=MIB))
    await world.begin()
    assert len(kafka.changes("alter_configs")) == 1
    current = await world.get(task.id)
    await world.stores.tasks.write(lifecycle.ask_cancel(current, world.clock.now(), "tester"))
    assert (await world.run_to_end(task.id)).state is State.CANCELLED
    assert await throttles(world) == {}


async def test_undo_leaves_the_moves_of_others_alone(world, quick):
    (mine,) = await make(world)
    (theirs,) = await make(world, name="theirs")
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(mine)}, throttle=MIB))
    await world.attempt()
    foreign = {TopicPartition("theirs", 0): others(theirs)}
    await world.kafka.reassign(ID, foreign)
    await stopped(world, task)
    assert await now_at(world) == [mine]
    assert await now_at(world, "theirs") == list(foreign.values())


async def test_throttles_of_others_are_there_again_afterwards(world, quick):
    (before,) = await make(world)
    kept = {BROKERS[0]: {LEADER_RATE: "777"}, TOPIC: {FOLLOWER_REPLICAS: "9:9"}}
    await world.kafka.alter_configs(ID, kept)
    before_all = await throttles(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=20 * MIB))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await throttles(world) == before_all == {
        ("0", LEADER_RATE): "777", ("t", FOLLOWER_REPLICAS): "9:9",
    }  # fmt: skip


async def test_list_that_covers_every_replica_is_left_alone(world, quick):
    (before,) = await make(world)
    every = {TOPIC: {FOLLOWER_REPLICAS: "*", LEADER_REPLICAS: "*"}}
    await world.kafka.alter_configs(ID, every)
    world.clock.move(1)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=20 * MIB))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await throttles(world) == {
        ("t", FOLLOWER_REPLICAS): "*", ("t", LEADER_REPLICAS): "*",
    }  # fmt: skip


async def failed(world, params):
    task = await world.submit(REASSIGN_PARTITIONS, params)
    ended = await world.run_to_end(task.id)
    assert ended.state is State.FAILED
    assert world.kafka.changes("reassign") == []
    assert await throttles(world) == {}
    return ended.error_code, ended.error_msg


async def test_it_refuses_to_begin_beside_the_moves_of_others(world, quick):
    (before,) = await make(world)
    (theirs,) = await make(world, name="theirs")
    await quick._real.fill(ID, "theirs", 100_000 * MIB)
    await quick._real.reassign(ID, {TopicPartition("theirs", 0): others(theirs)})
    world.clock.move(1)
    code, message = await failed(world, to({0: others(before)}, throttle=MIB))
    assert code == "DMS.00500980"
    assert "theirs-0" in message


@pytest.mark.parametrize(
    ("params", "code", "why"),
    [
        (to({0: (1,)}, topic="ghost"), "DMS.00400876", "ghost"),
        (to({7: (1,)}), "DMS.00400800", "no partition 7"),
        (to({0: (1, 1)}), "DMS.00400800", "twice"),
        (to({0: (1, 9)}), "DMS.00400800", "brokers that do not answer: 9"),
        (to({0: (1,)}), "DMS.00400800", "min.insync.replicas"),
    ],
)
async def test_it_fails_before_anything_is_changed(world, quick, params, code, why):
    await make(world, factor=3, configs={"min.insync.replicas": "2"})
    found, message = await failed(world, params)
    assert found == code
    assert why in message


async def test_it_waits_for_a_topic_that_is_not_seen_yet(world):
    kafka = set_up(world, 3.0)
    (before,) = await make(world, name="probe")
    new = NewTopic(name="t", partition_count=1, replication_factor=3)
    await kafka.create_topics(ID, [new])
    task = await world.submit(REASSIGN_PARTITIONS, to({0: before}))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await now_at(world) == [before]


async def test_topic_that_is_deleted_meanwhile_needs_no_move(world, quick):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=MIB))
    await world.attempt()
    await world.kafka.delete_topics(ID, ["t"])
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    steps = {step.name: step.output for step in (await world.history(task.id)).steps}
    assert msgspec.json.decode(steps["verify_replicas"]) == {"moved": 0, "gone": 1}
    assert await throttles(world) == {}


async def test_move_that_somebody_cancelled_is_begun_again(world, quick):
    (before,) = await make(world)
    target = others(before)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: target}, throttle=4 * MIB))
    while not await world.kafka.reassignments(ID):
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await world.attempt()
    await world.kafka.reassign(ID, {T0: None})
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await now_at(world) == [target]


async def test_it_is_refused_while_the_instance_is_not_running(world):
    instance = await world.add_instance()
    busy = changed(instance, status=InstanceStatus.RESTARTING)
    with pytest.raises(InstanceNotReady):
        REASSIGN_PARTITIONS.prepare(busy, to({0: (1,)}))
    assert REASSIGN_PARTITIONS.prepare(instance, to({0: (1,)})) is instance


async def test_manual_assignment_wins_over_brokers(world, quick):
    await make(world, partitions=2)
    topic = (await world.kafka.topics(ID))["t"]
    plan = TopicPlan(topic="t", brokers=(0,), assignment=(Assignment(1, (2,)),))
    assert targets_of(plan, topic) == {1: (2,)}


async def test_undo_gives_up_in_time_and_says_what_is_left(world, quick, caplog):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=MIB))
    await world.attempt()
    quick.away["alter_configs"] = 10_000
    assert (await stopped(world, task)).state is State.CANCELLED
    assert "undo faulted" in caplog.text
    assert reassign_partitions.UNDO_WITHIN_S < 60


# room on the disks


async def test_it_refuses_to_begin_where_a_disk_is_too_small(world, quick):
    (before,) = await make(world)  # 100 GiB a broker
    await quick._real.fill(ID, "t", 101 * 1024 * MIB)
    world.clock.move(1)
    target = others(before)[:1]
    code, message = await failed(world, to({0: target}, throttle=MIB))
    assert code == "DMS.00500982"
    assert message.startswith(f"broker {target[0]} would have to take in {101 * 1024 * MIB} bytes")


async def test_room_is_needed_only_for_what_comes(world, quick):
    before = await make(world, partitions=2)
    await quick._real.fill(ID, "t", 60 * 1024 * MIB)
    world.clock.move(1)
    target = others(before[0])[:1]
    both = {at: target for at, replicas in enumerate(before) if replicas != target}
    topics = await world.kafka.topics(ID)
    dirs = await world.kafka.log_dirs(ID, ["t"])
    moves = moves_of(to(both).topics, topics)
    assert lack_of_room(moves[:1], dirs) is None or len(both) == 1
    assert lack_of_room(moves[:1] * 2, dirs) is not None
    unknown = LogDirs(sizes=dirs.sizes, free_bytes={})
    assert lack_of_room(moves[:1] * 2, unknown) is None  # Kafka before 3.3 doesn't tell
    in_order = to({0: before[0]}).topics
    assert lack_of_room(moves_of(in_order, topics), dirs) is None
