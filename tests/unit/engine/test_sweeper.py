"""Throttles that an undo could not reach are taken away later: ours, once nothing moves."""

import asyncio
import logging

import pytest
from msgspec.structs import replace
from tests.support.builders import PROJECT, W1, W2
from tests.support.clocks import settled
from tests.unit.operations.test_reassign_partitions import (
    BROKERS,
    ID,
    MIB,
    TOPIC,
    make,
    others,
    set_up,
    stopped,
    throttles,
    to,
)

from backroom.domain.account import Project
from backroom.domain.errors import StoreUnavailable
from backroom.domain.task import State
from backroom.engine.rescuer import LEASE_S, Rescuer
from backroom.engine.surroundings import Leftovers
from backroom.engine.sweeper import EVERY, SETTLED, Sweeper
from backroom.operations.reassign_partitions import REASSIGN_PARTITIONS
from backroom.operations.replication_throttle import (
    FOLLOWER_RATE,
    FOLLOWER_REPLICAS,
    LEADER_RATE,
    LEADER_REPLICAS,
)
from backroom.ports import TopicPartition


class Accounts:
    async def projects(self):
        return [Project(id=PROJECT, name="p")]


@pytest.fixture
def kafka(world):
    return set_up(world, 0.1)


@pytest.fixture
def sweeper(world, kafka):
    return Sweeper(world.around, world.finder, Accounts())


async def left_behind(world, kafka, mib=1):
    """A reassignment was stopped, and its undo reached no broker in time: the throttle is there."""
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=mib * MIB))
    await world.attempt()
    kafka.away["alter_configs"] = 10_000
    ended = await stopped(world, task)
    kafka.away.clear()
    assert ended.state is State.CANCELLED
    assert len(await throttles(world)) == 8
    return task, before


async def until_clean(world, sweeper, rounds=6):
    for _ in range(rounds):
        if await sweeper.round() == 0:
            return
        world.clock.move(EVERY.total_seconds())
    pytest.fail("never clean")


async def test_throttle_that_was_left_is_taken_away(world, kafka, sweeper):
    await left_behind(world, kafka)
    assert len(world.around.leftovers.task_ids) == 1
    await until_clean(world, sweeper)
    assert await throttles(world) == {}


async def test_next_process_finds_what_was_left(world, kafka, caplog):
    await left_behind(world, kafka)
    world.around = replace(world.around, leftovers=Leftovers())
    with caplog.at_level(logging.INFO):
        await until_clean(world, Sweeper(world.around, world.finder, Accounts()))
    assert await throttles(world) == {}
    assert "something was left by a task that ended" in caplog.text


async def test_what_others_set_stays(world, kafka, sweeper):
    await left_behind(world, kafka)
    theirs = {BROKERS[0]: {LEADER_RATE: "777"}, TOPIC: {FOLLOWER_REPLICAS: "7:7"}}
    listed = (await world.kafka.configs(ID, [TOPIC]))[TOPIC][FOLLOWER_REPLICAS].value
    theirs[TOPIC] = {FOLLOWER_REPLICAS: f"{listed},7:7"}
    await world.kafka.alter_configs(ID, theirs)
    world.clock.move(10)
    await until_clean(world, sweeper)
    assert await throttles(world) == {
        ("0", LEADER_RATE): "777", ("t", FOLLOWER_REPLICAS): "7:7",
    }  # fmt: skip


async def test_throttle_of_a_move_that_still_runs_stays_until_it_is_over(world, kafka, sweeper):
    _, before = await left_behind(world, kafka)
    at = TopicPartition("t", 0)
    await world.kafka.reassign(ID, {at: others(before)})
    world.clock.move(1)
    assert await sweeper.round() == 1
    assert len(await throttles(world)) == 8
    await world.kafka.reassign(ID, {at: None})
    world.clock.move(1)
    await until_clean(world, sweeper)
    assert await throttles(world) == {}


async def test_throttle_of_the_next_task_is_left_alone(world, kafka, sweeper):
    """The same partition, the same rate: what looks left behind is the other's."""
    _, before = await left_behind(world, kafka)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=MIB))
    await world.attempt()
    assert (await world.get(task.id)).state is State.WAITING
    asked = len(kafka.changes("alter_configs"))
    assert await sweeper.round() == 1
    assert len(kafka.changes("alter_configs")) == asked
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    await until_clean(world, sweeper)
    assert await throttles(world) == {}


async def test_task_that_ended_well_enough_is_looked_at_and_nothing_asked(world, kafka, sweeper):
    (before,) = await make(world)
    task = await world.submit(REASSIGN_PARTITIONS, to({0: others(before)}, throttle=MIB))
    await world.attempt()
    await stopped(world, task)
    asked = len(kafka.changes("alter_configs"))
    await until_clean(world, sweeper)
    assert len(kafka.changes("alter_configs")) == asked
    kafka.calls.clear()
    assert await sweeper.round() == 0
    assert kafka.calls == []  # once is enough


async def test_what_is_seen_shortly_after_the_end_may_be_old(world, kafka, sweeper):
    task, _ = await left_behind(world, kafka)
    ended_at = (await world.get(task.id)).ended_at
    while world.clock.now() - ended_at < SETTLED:
        assert await sweeper.round() == 1
        world.clock.move(7)
    assert await sweeper.round() == 0


@pytest.mark.parametrize("how", ["away", "lost", "unsure"])
async def test_sweep_that_fails_is_tried_again(world, kafka, sweeper, how):
    await left_behind(world, kafka)
    getattr(kafka, how)["alter_configs"] = 2
    await until_clean(world, sweeper)
    assert await throttles(world) == {}


async def test_instance_that_is_gone_has_nothing_left(world, kafka, sweeper):
    await left_behind(world, kafka)
    await world.instances.remove(ID)
    kafka.calls.clear()
    assert await sweeper.round() == 0
    assert kafka.calls == []


async def test_sweeper_waits_for_nothing_while_nothing_is_left(world, sweeper):
    loop = asyncio.ensure_future(sweeper.run())
    await settled()
    assert world.clock.next_timer is None
    world.around.stopping.set()
    world.around.leftovers.noted.set()
    await loop


async def test_sweeper_starts_when_an_undo_gives_up_and_when_the_store_is_back(world, kafka):
    class Away(Accounts):
        def __init__(self):
            self.left = 1

        async def projects(self):
            self.left -= 1
            if self.left >= 0:
                raise StoreUnavailable("away")
            return await super().projects()

    loop = asyncio.ensure_future(Sweeper(world.around, world.finder, Away()).run())
    await settled()
    assert world.clock.next_timer is not None
    await left_behind(world, kafka)
    for _ in range(4):
        world.clock.move(EVERY.total_seconds())
        await settled()
    assert await throttles(world) == {}
    world.around.stopping.set()
    world.around.leftovers.noted.set()
    await loop


async def test_loss_of_a_worker_makes_the_others_look_everywhere(world, kafka, sweeper):
    assert await sweeper.round() == 0
    assert world.around.leftovers.is_complete
    await world.add_instance()
    task = await world.submit(REASSIGN_PARTITIONS, to({0: (1,)}))
    await world.stores.tasks.claim(W2, 1, world.clock.now())
    rescuer = Rescuer(W1, world.around)
    for _ in range(6):
        await rescuer.round()
        world.clock.move(LEASE_S / 3)
    assert (await world.get(task.id)).state is State.WAITING
    assert not world.around.leftovers.is_complete


async def test_rates_are_taken_away_only_as_they_were_set(world, kafka, sweeper):
    await left_behind(world, kafka, mib=3)
    changed = {BROKERS[1]: {FOLLOWER_RATE: "5"}}
    await world.kafka.alter_configs(ID, changed)
    world.clock.move(10)
    await until_clean(world, sweeper)
    assert await throttles(world) == {("1", FOLLOWER_RATE): "5"}
    assert LEADER_REPLICAS not in await throttles(world)
