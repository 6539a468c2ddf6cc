"""What KafkaAdmin promises, and nothing that a real cluster would not keep."""

import asyncio

import pytest
from tests.contract.kafka.conftest import INSTANCE
from tests.support.promises import promised

from backroom.domain.errors import KafkaUnavailable
from backroom.ports import ConfigResource, KafkaAdmin, NewPartitions, NewTopic, TopicPartition

RATE = "follower.replication.throttled.rate"
THROTTLED = "follower.replication.throttled.replicas"
T0 = TopicPartition("t", 0)
GHOST = TopicPartition("ghost", 0)


def code(error):
    return None if error is None else error.code


async def not_listed(brokers):
    return not await brokers.admin.reassignments(INSTANCE)


async def elsewhere(brokers):
    """Two brokers that have no replica of t-0."""
    (replica,) = (await brokers.topic()).partitions[0].replicas
    return tuple(broker for broker in (0, 1, 2) if broker != replica)


@promised(KafkaAdmin.brokers, "Those that answer, by id.")
async def test_brokers_are_those_that_answer(brokers):
    await brokers.prepare()
    found = await brokers.admin.brokers(INSTANCE)
    assert [broker.id for broker in found] == [0, 1, 2]


@promised(KafkaAdmin, "Every method may raise KafkaUnavailable")
async def test_every_method_says_so_when_no_broker_answers(brokers):
    admin = brokers.admin
    for asked in (
        admin.brokers(INSTANCE),
        admin.topics(INSTANCE),
        admin.create_topics(INSTANCE, []),
        admin.delete_topics(INSTANCE, []),
        admin.create_partitions(INSTANCE, {}),
        admin.configs(INSTANCE, []),
        admin.alter_configs(INSTANCE, {}),
        admin.reassign(INSTANCE, {}),
        admin.reassignments(INSTANCE),
        admin.log_dirs(INSTANCE, []),
        admin.elect_preferred_leaders(INSTANCE, []),
        admin.logs(INSTANCE, "t"),
    ):
        with pytest.raises(KafkaUnavailable):
            await asked


@promised(KafkaAdmin.topics, "what is not there, or not seen yet, is left out")
async def test_topic_is_seen_some_time_after_it_was_made(brokers):
    await brokers.prepare()
    topic = await brokers.make(partitions=4, factor=2)
    assert [partition.id for partition in topic.partitions] == [0, 1, 2, 3]
    for partition in topic.partitions:
        assert len(set(partition.replicas)) == 2
        assert set(partition.in_sync) == set(partition.replicas)
        assert partition.leader == partition.replicas[0]
    assert len({partition.leader for partition in topic.partitions}) == 3
    assert await brokers.admin.topics(INSTANCE, ["ghost"]) == {}


@promised(KafkaAdmin.create_topics, "TOPIC_ALREADY_EXISTS, INVALID_REPLICATION_FACTOR")
async def test_each_topic_is_made_or_refused_for_itself(brokers):
    await brokers.prepare()
    await brokers.make()
    new = [
        NewTopic(name="t", partition_count=1, replication_factor=1),
        NewTopic(name="wide", partition_count=1, replication_factor=4),
        NewTopic(name="empty", partition_count=0, replication_factor=1),
        NewTopic(name="odd", partition_count=1, replication_factor=1, configs={"no.such": "1"}),
        NewTopic(name="good", partition_count=1, replication_factor=1),
    ]
    results = await brokers.admin.create_topics(INSTANCE, new)
    assert {name: code(error) for name, error in results.items()} == {
        "t": "TOPIC_ALREADY_EXISTS",
        "wide": "INVALID_REPLICATION_FACTOR",
        "empty": "INVALID_PARTITIONS",
        "odd": "INVALID_CONFIG",
        "good": None,
    }
    await brokers.until(lambda: brokers.topic("good"))
    assert set(await brokers.admin.topics(INSTANCE)) == {"t", "good"}


async def test_topics_made_at_once_are_all_there(brokers):
    await brokers.prepare()
    await asyncio.gather(*(brokers.make(f"t{n}") for n in range(5)))
    assert len(await brokers.admin.topics(INSTANCE)) == 5


@promised(KafkaAdmin.delete_topics, "UNKNOWN_TOPIC_OR_PARTITION")
async def test_deleted_topic_goes_and_cannot_be_deleted_again(brokers):
    await brokers.prepare()
    await brokers.make()
    results = await brokers.admin.delete_topics(INSTANCE, ["t", "ghost"])
    assert code(results["t"]) is None
    assert code(results["ghost"]) == "UNKNOWN_TOPIC_OR_PARTITION"

    async def is_gone():
        return await brokers.topic() is None

    await brokers.until(is_gone)
    results = await brokers.admin.delete_topics(INSTANCE, ["t"])
    assert code(results["t"]) == "UNKNOWN_TOPIC_OR_PARTITION"


@promised(KafkaAdmin.create_partitions, "UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS")
async def test_partitions_are_added_where_they_are_wanted(brokers):
    await brokers.prepare()
    await brokers.make()
    wrong = {"t": NewPartitions(total_count=1), "ghost": NewPartitions(total_count=2)}
    results = await brokers.admin.create_partitions(INSTANCE, wrong)
    assert code(results["t"]) == "INVALID_PARTITIONS"
    assert code(results["ghost"]) == "UNKNOWN_TOPIC_OR_PARTITION"
    odd = {"t": NewPartitions(total_count=2, replicas=((9,),))}
    results = await brokers.admin.create_partitions(INSTANCE, odd)
    assert code(results["t"]) == "INVALID_REPLICA_ASSIGNMENT"
    good = {"t": NewPartitions(total_count=3, replicas=((2,), (1,)))}
    assert await brokers.admin.create_partitions(INSTANCE, good) == {"t": None}

    async def are_there():
        return len((await brokers.topic()).partitions) == 3

    await brokers.until(are_there)
    assert [one.replicas for one in (await brokers.topic()).partitions[1:]] == [(2,), (1,)]


@promised(KafkaAdmin.alter_configs, "Set these names and leave the others")
async def test_override_of_a_config_comes_and_goes(brokers):
    await brokers.prepare()
    await brokers.make(**{"retention.ms": "1000"})
    resource = ConfigResource("topic", "t")

    async def entries():
        return (await brokers.admin.configs(INSTANCE, [resource])).get(resource, {})

    async def alter(value):
        changes = {resource: {"flush.messages": value}}
        assert await brokers.admin.alter_configs(INSTANCE, changes) == {resource: None}

    assert (await entries())["retention.ms"].value == "1000"
    assert (await entries())["retention.ms"].is_override
    usual = (await entries())["flush.messages"]
    assert not usual.is_override
    await alter("1")

    async def is_set():
        return (await entries())["flush.messages"].value == "1"

    await brokers.until(is_set)
    assert (await entries())["retention.ms"].value == "1000"
    await alter(None)

    async def is_usual():
        return (await entries())["flush.messages"] == usual

    await brokers.until(is_usual)


@promised(KafkaAdmin.configs, "A replication throttle of a broker is named only where it is set.")
async def test_throttle_of_a_broker_is_named_while_it_is_set(brokers):
    await brokers.prepare()
    one, other = ConfigResource("broker", "1"), ConfigResource("broker", "2")

    async def rates():
        found = await brokers.admin.configs(INSTANCE, [one, other])
        return [found[resource].get(RATE) for resource in (one, other)]

    assert await rates() == [None, None]
    await brokers.admin.alter_configs(INSTANCE, {one: {RATE: "5"}})
    await brokers.until(lambda: _first(rates))
    assert (await rates())[1] is None
    await brokers.admin.alter_configs(INSTANCE, {one: {RATE: None}})

    async def is_gone():
        return not await _first(rates)

    await brokers.until(is_gone)


async def _first(rates):
    return (await rates())[0]


@promised(KafkaAdmin.alter_configs, "INVALID_REQUEST for one that is read-only")
async def test_config_is_refused_with_the_name_of_the_error(brokers):
    await brokers.prepare()
    changes = {
        ConfigResource("topic", "ghost"): {"retention.ms": "1"},
        ConfigResource("broker", "9"): {RATE: "1"},
        ConfigResource("broker", "0"): {"log.retention.hours": "1"},
        ConfigResource("broker", "1"): {RATE: "fast"},
        ConfigResource("broker", "2"): {"no.such.config": "1"},
    }
    results = await brokers.admin.alter_configs(INSTANCE, changes)
    assert [code(results[resource]) for resource in changes] == [
        "UNKNOWN_TOPIC_OR_PARTITION", "BROKER_NOT_AVAILABLE", "INVALID_REQUEST",
        "INVALID_CONFIG", "INVALID_CONFIG",
    ]  # fmt: skip


@promised(KafkaAdmin.reassign, "Begin to move partitions to these replicas")
async def test_partition_arrives_where_it_was_sent(brokers):
    await brokers.prepare()
    before = (await brokers.make()).partitions[0].replicas
    target = await elsewhere(brokers)
    assert await brokers.admin.reassign(INSTANCE, {T0: target}) == {T0: None}
    listed = await brokers.until(lambda: brokers.admin.reassignments(INSTANCE))
    assert listed[T0].target == target
    assert set(listed[T0].adding) == set(target)
    assert listed[T0].removing == before
    assert (await brokers.topic()).partitions[0].replicas == (*target, *before)
    sizes = (await brokers.admin.log_dirs(INSTANCE, ["t"])).sizes[T0]
    assert 0 <= sizes[target[0]] < sizes[before[0]]
    await brokers.until(lambda: not_listed(brokers))
    partition = (await brokers.topic()).partitions[0]
    assert partition.replicas == target
    assert set(partition.in_sync) == set(target)
    assert partition.leader in target


@promised(KafkaAdmin.reassign, "The same target again while it is under way changes nothing.")
async def test_same_target_again_keeps_what_was_copied(brokers):
    await brokers.prepare()
    await brokers.make()
    target = await elsewhere(brokers)
    await brokers.admin.reassign(INSTANCE, {T0: target})
    brokers.clock.move(1)
    had = (await brokers.admin.log_dirs(INSTANCE, ["t"])).sizes[T0][target[0]]
    assert await brokers.admin.reassign(INSTANCE, {T0: target}) == {T0: None}
    brokers.clock.move(0.3)
    assert (await brokers.admin.log_dirs(INSTANCE, ["t"])).sizes[T0][target[0]] >= had > 0


@promised(KafkaAdmin.reassign, "None cancels, and what was before is back")
async def test_cancelled_partition_is_where_it_was(brokers):
    await brokers.prepare()
    before = (await brokers.make()).partitions[0]
    await brokers.admin.reassign(INSTANCE, {T0: await elsewhere(brokers)})
    await brokers.until(lambda: brokers.admin.reassignments(INSTANCE))
    assert await brokers.admin.reassign(INSTANCE, {T0: None}) == {T0: None}
    await brokers.until(lambda: not_listed(brokers))
    assert (await brokers.topic()).partitions[0] == before
    results = await brokers.admin.reassign(INSTANCE, {T0: None})
    assert code(results[T0]) == "NO_REASSIGNMENT_IN_PROGRESS"


@promised(KafkaAdmin.reassign, "INVALID_REPLICA_ASSIGNMENT")
async def test_each_partition_is_sent_or_refused_for_itself(brokers):
    await brokers.prepare()
    await brokers.make(partitions=2)
    wrong = {T0: (9,), TopicPartition("t", 1): (1, 1), TopicPartition("t", 7): (1,), GHOST: (1,)}
    results = await brokers.admin.reassign(INSTANCE, wrong)
    assert [code(results[at]) for at in wrong] == [
        "INVALID_REPLICA_ASSIGNMENT", "INVALID_REPLICA_ASSIGNMENT",
        "UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PARTITION",
    ]  # fmt: skip
    brokers.clock.move(1)
    assert await brokers.admin.reassignments(INSTANCE) == {}


async def test_throttle_slows_a_move_and_its_change_counts_at_once(brokers):
    await brokers.prepare()
    await brokers.make()
    target = (await elsewhere(brokers))[:1]
    broker, topic = ConfigResource("broker", str(target[0])), ConfigResource("topic", "t")
    slow = {broker: {RATE: "1000000"}, topic: {THROTTLED: f"0:{target[0]}"}}
    await brokers.admin.alter_configs(INSTANCE, slow)
    await brokers.admin.reassign(INSTANCE, {T0: target})
    brokers.clock.move(10)
    size = (await brokers.admin.log_dirs(INSTANCE, ["t"])).sizes[T0][target[0]]
    assert size == pytest.approx(10_000_000, rel=0.05)
    await brokers.admin.alter_configs(INSTANCE, {broker: {RATE: None}})
    await brokers.until(lambda: not_listed(brokers), limit_s=3)


@promised(KafkaAdmin.elect_preferred_leaders, "ELECTION_NOT_NEEDED where it leads already")
async def test_preferred_replica_leads_again_once_elected(brokers):
    await brokers.prepare()
    first, second = (await brokers.make(factor=2)).partitions[0].replicas
    await brokers.admin.reassign(INSTANCE, {T0: (second, first)})

    async def leader_is(broker):
        partition = (await brokers.topic()).partitions[0]
        return (partition.replicas[0], partition.leader) == (second, broker)

    await brokers.until(lambda: leader_is(first))
    assert await brokers.admin.elect_preferred_leaders(INSTANCE, [T0]) == {T0: None}
    await brokers.until(lambda: leader_is(second))
    results = await brokers.admin.elect_preferred_leaders(INSTANCE, [T0, GHOST])
    assert code(results[T0]) == "ELECTION_NOT_NEEDED"
    assert code(results[GHOST]) == "UNKNOWN_TOPIC_OR_PARTITION"


@promised(KafkaAdmin.logs, "By partition")
async def test_offsets_of_each_partition(brokers):
    await brokers.prepare()
    await brokers.make(partitions=2)
    logs = await brokers.admin.logs(INSTANCE, "t")
    assert sorted(logs) == [0, 1]
    assert all(log.start_offset <= log.end_offset for log in logs.values())
    assert await brokers.admin.logs(INSTANCE, "ghost") == {}


@promised(KafkaAdmin.log_dirs, "Of the brokers that answer, and of these topics.")
async def test_disks_have_less_room_for_what_is_on_them(brokers):
    await brokers.prepare()
    empty = await brokers.admin.log_dirs(INSTANCE, ["t"])
    await brokers.make()
    dirs = await brokers.admin.log_dirs(INSTANCE, ["t"])
    (holder,) = dirs.sizes[T0]
    assert set(dirs.free_bytes) == {one.id for one in await brokers.admin.brokers(INSTANCE)}
    assert all(free > 0 for free in dirs.free_bytes.values())
    assert dirs.free_bytes[holder] <= empty.free_bytes[holder]
    assert (await brokers.admin.log_dirs(INSTANCE, [])).sizes == {}
