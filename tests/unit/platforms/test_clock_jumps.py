"""What the simulated world had begun goes on when the clock jumps back: it doesn't stand still."""

from datetime import timedelta

import pytest
from tests.support.builders import instance_id
from tests.support.engine_world import SPEC

from backroom.platforms.jumps import SLACK
from backroom.ports import NewTopic, PublicAddress, TopicPartition

ID = instance_id()
A = PublicAddress("a", "100.64.0.1")
HOUR_S = 3_600
T0 = TopicPartition("t", 0)


@pytest.fixture
def platform(world):
    return world.platform


async def test_address_that_was_asked_for_comes_as_soon_as_it_would_have(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    world.clock.move(HOUR_S)
    await platform.attach_public(ID, (A,))
    world.clock.move(0.5 - HOUR_S)
    assert (await platform.observe(ID)).public == ()
    world.clock.move(1)
    assert (await platform.observe(ID)).public == (A,)


async def test_broker_that_restarts_comes_back_as_another_incarnation(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    before = [machine.incarnation for machine in (await platform.observe(ID)).machines]
    await platform.restart_broker(ID, 0, before[0])
    world.clock.move(-HOUR_S)
    assert [one.incarnation for one in (await platform.observe(ID)).machines] == before
    world.clock.move(1.3)
    seen = await platform.observe(ID)
    assert seen.running == (0, 1, 2)
    after = [machine.incarnation for machine in seen.machines]
    assert after[0] != before[0]
    assert after[1:] == before[1:]


async def test_disks_go_on_growing_and_deleted_brokers_go_on_stopping(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.extend_storage(ID, 900)  # takes 3 s
    world.clock.move(1)
    world.clock.move(-HOUR_S)
    await platform.observe(ID)
    world.clock.move(3)
    assert (await platform.observe(ID)).storage_gb == 900
    await platform.delete_cluster(ID)
    world.clock.move(-HOUR_S)
    assert await platform.observe(ID) is not None
    world.clock.move(1)
    assert await platform.observe(ID) is None


async def test_clocks_of_hosts_that_differ_a_little_move_nothing(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    kept = await world.stores.clusters.load(ID, "brokers")
    world.clock.move(-SLACK / timedelta(seconds=1))
    await platform.observe(ID)
    assert await world.stores.clusters.load(ID, "brokers") == kept


async def test_partition_goes_on_moving_and_a_new_topic_is_seen(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    new = NewTopic(name="t", partition_count=1, replication_factor=1)
    await world.kafka.create_topics(ID, [new])
    world.clock.move(-HOUR_S)
    assert await world.kafka.topics(ID) == {}
    world.clock.move(0.1)
    (partition,) = (await world.kafka.topics(ID))["t"].partitions
    target = ((partition.replicas[0] + 1) % 3,)
    await world.kafka.reassign(ID, {T0: target})  # 64 MiB at 50 MB/s
    world.clock.move(0.7)
    half = (await world.kafka.log_dirs(ID, ["t"])).sizes[T0][target[0]]
    world.clock.move(-HOUR_S)
    await world.kafka.reassignments(ID)
    world.clock.move(1.5)  # what was copied is not remembered
    assert (await world.kafka.topics(ID))["t"].partitions[0].replicas == target
    assert 0 < half < 64 * 1024 * 1024
