"""Restart and extension: one broker at a time, whatever lags, and what is told meanwhile."""

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.builders import instance_id, make_instance
from tests.support.engine_world import SPEC

from backroom.domain.errors import InstanceNotReady, InvalidStorage, StepNotReady, StepRejected
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import State
from backroom.operations.extend_instance import EXTEND_INSTANCE, EXTENDABLE, ExtendInstance
from backroom.operations.restart_instance import (
    RESTART_INSTANCE,
    RESTARTABLE,
    RestartInstance,
)
from backroom.operations.rolling import behind
from backroom.platforms.simulated import SimulatedPlatform, Timings
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import NewTopic, Partition, Reassignment, Topic, TopicPartition

ID = instance_id()
FLAVOR = "c6.4u8g.cluster"
LARGER_DISKS = ExtendInstance(
    kind="storage", storage_gb=1_300, broker_count=3, product_id="c6.2u4g.cluster"
)
MORE_BROKERS = ExtendInstance(
    kind="horizontal", storage_gb=700, broker_count=7, product_id="c6.2u4g.cluster"
)
LARGER_MACHINES = ExtendInstance(kind="vertical", storage_gb=300, broker_count=3, product_id=FLAVOR)


async def extending(world):
    instance = await world.add_instance()
    await world.instances.save(changed(instance, status=InstanceStatus.EXTENDING))


async def restarting(world):
    instance = await world.add_instance()
    await world.instances.save(changed(instance, status=InstanceStatus.RESTARTING))


ROLLS = {
    "restart": (RESTART_INSTANCE, RestartInstance(), restarting),
    "larger machines": (EXTEND_INSTANCE, LARGER_MACHINES, extending),
}
rolls = pytest.mark.parametrize("case", ROLLS)


def slowed(world, **timings):
    """The same clusters, but a world that takes other times."""
    world.platform = SimulatedPlatform(world.stores.clusters, world.clock, Timings(**timings))
    world.kafka = SimulatedKafka(world.stores.clusters, world.platform, world.clock, KafkaTimings())
    world.around = replace(world.around, platform=world.platform, kafka=world.kafka)


class Watched:
    """Another view without any lag, of every change that is asked for."""

    def __init__(self, world, monkeypatch):
        self.truth = SimulatedPlatform(world.stores.clusters, world.clock, Timings())
        self.asked = []
        for name in ("restart_broker", "change_flavor"):
            monkeypatch.setattr(SimulatedPlatform, name, self._watching(name))

    def _watching(self, name):
        real = getattr(SimulatedPlatform, name)

        async def watching(platform, wanted, broker_id, what):
            before = await self.truth.observe(wanted)
            await real(platform, wanted, broker_id, what)
            after = await self.truth.observe(wanted)
            if after.running != before.running:
                self.asked.append((broker_id, before.running))

        return watching


@rolls
@pytest.mark.parametrize("lag_s", [0.0, 0.7, 5.0])
async def test_next_broker_goes_down_only_when_all_are_back(world, monkeypatch, case, lag_s):
    operation, params, begin = ROLLS[case]
    await begin(world)
    world.clock.move(10)
    slowed(world, observation_lag_s=lag_s)
    watched = Watched(world, monkeypatch)
    task = await world.submit(operation, params)
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert watched.asked == [(0, (0, 1, 2)), (1, (0, 1, 2)), (2, (0, 1, 2))]
    assert (await world.shown(ID)).status is InstanceStatus.RUNNING


@rolls
async def test_each_broker_that_is_back_is_told(world, case):
    operation, params, begin = ROLLS[case]
    await begin(world)
    task = await world.submit(operation, params)
    await world.run_to_end(task.id)
    told = [
        event.detail for event in (await world.history(task.id)).events if event.verb == "progress"
    ]
    assert told == ["33 %", "66 %"]
    assert "snooze" not in await world.verbs(task.id)


@rolls
async def test_broker_that_misses_from_the_replicas_in_sync_is_waited_for(world, monkeypatch, case):
    operation, params, begin = ROLLS[case]
    await begin(world)
    late = []

    async def topics(_self, _instance_id, _names=None):
        in_sync = tuple(broker for broker in (0, 1, 2) if broker not in late)
        partition = Partition(id=0, replicas=(0, 1, 2), in_sync=in_sync, leader=in_sync[0])
        return {"t": Topic(name="t", partitions=(partition,))}

    watched = Watched(world, monkeypatch)
    monkeypatch.setattr(SimulatedKafka, "topics", topics)
    task = await world.submit(operation, params)
    await world.begin()
    late.append(0)  # it is down, and will have to catch up
    for _ in range(40):
        world.clock.move(0.5)
        await world.clock.pass_until(lambda: True)
    assert [broker for broker, _ in watched.asked] == [0]
    late.clear()
    await world.run_to_end(task.id)
    assert [broker for broker, _ in watched.asked] == [0, 1, 2]


async def test_broker_that_is_behind_anyhow_goes_first(world, monkeypatch):
    await restarting(world)

    async def topics(_self, _instance_id, _names=None):
        is_new = (await world.platform.observe(ID)).machines[2].incarnation.startswith("2")
        in_sync = (0, 1, 2) if is_new else (0, 1)
        partition = Partition(id=0, replicas=(0, 1, 2), in_sync=in_sync, leader=0)
        return {"t": Topic(name="t", partitions=(partition,))}

    watched = Watched(world, monkeypatch)
    monkeypatch.setattr(SimulatedKafka, "topics", topics)
    task = await world.submit(RESTART_INSTANCE, RestartInstance())
    await world.run_to_end(task.id)
    assert [broker for broker, _ in watched.asked] == [2, 0, 1]


async def test_restart_waits_for_a_cluster_of_which_no_broker_answers(world):
    """One broker only: while it is down, Kafka can't be asked at all."""
    instance = make_instance(broker_count=1, status=InstanceStatus.RESTARTING)
    await world.platform.adopt_cluster(
        ID, msgspec.structs.replace(SPEC, broker_count=1, storage_gb=100)
    )
    await world.instances.save(instance)
    await world.kafka.create_topics(
        ID, [NewTopic(name="t", partition_count=1, replication_factor=1)]
    )
    task = await world.submit(RESTART_INSTANCE, RestartInstance())
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)
    assert (await world.platform.observe(ID)).machines[0].incarnation.startswith("2@")


async def test_brokers_restarted_before_the_task_are_restarted_again(world):
    await restarting(world)
    first = (await world.platform.observe(ID)).machines[1].incarnation
    await world.platform.restart_broker(ID, 1, first)
    world.clock.move(5)
    task = await world.submit(RESTART_INSTANCE, RestartInstance())
    await world.run_to_end(task.id)
    numbers = [
        machine.incarnation.partition("@")[0]
        for machine in (await world.platform.observe(ID)).machines
    ]
    assert numbers == ["2", "3", "2"]


async def test_replica_on_its_way_to_a_broker_keeps_nobody(world, monkeypatch):
    await restarting(world)
    moving = {"t": (2,)}

    async def topics(_self, _instance_id, _names=None):
        partition = Partition(id=0, replicas=(0, 1, 2), in_sync=(0, 1), leader=0)
        return {"t": Topic(name="t", partitions=(partition,))}

    async def reassignments(_self, _instance_id):
        return {
            TopicPartition(name, 0): Reassignment((0, 1, 2), adding, ())
            for name, adding in moving.items()
        }

    monkeypatch.setattr(SimulatedKafka, "topics", topics)
    monkeypatch.setattr(SimulatedKafka, "reassignments", reassignments)
    context = world.context(
        RESTART_INSTANCE, await world.submit(RESTART_INSTANCE, RestartInstance())
    )
    cluster = await world.platform.observe(ID)
    assert await behind(context, cluster) == frozenset()
    moving.clear()
    assert await behind(context, cluster) == {2}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (LARGER_DISKS, ["10 %", "20 %", "30 %", "40 %", "50 %", "60 %", "70 %", "80 %", "90 %"]),
        (MORE_BROKERS, ["25 %", "50 %", "75 %"]),
    ],
)
async def test_extension_tells_how_far_it_is_by_what_it_sees(world, params, told):
    await extending(world)
    task = await world.submit(EXTEND_INSTANCE, params)
    await world.run_to_end(task.id)
    assert [
        event.detail for event in (await world.history(task.id)).events if event.verb == "progress"
    ] == told


async def test_extension_takes_as_long_as_it_is_large(world):
    took = []
    for number, storage_gb in ((1, 600), (2, 3_300)):
        instance = await world.add_instance(number)
        await world.instances.save(changed(instance, status=InstanceStatus.EXTENDING))
        params = msgspec.structs.replace(LARGER_DISKS, storage_gb=storage_gb)
        begun = world.clock.now()
        task = await world.submit(EXTEND_INSTANCE, params, number)
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
        took.append((world.clock.now() - begun).total_seconds())
    assert took[0] < 3
    assert 14 < took[1] < 20


@pytest.mark.parametrize("params", [LARGER_DISKS, MORE_BROKERS, LARGER_MACHINES])
async def test_extension_ends_however_late_it_is_seen(world, params):
    await extending(world)
    world.clock.move(10)
    slowed(world, observation_lag_s=4.0)
    task = await world.submit(EXTEND_INSTANCE, params)
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    shown = await world.shown(ID)
    assert (shown.storage_gb, shown.broker_count, shown.product_id) == (
        params.storage_gb, params.broker_count, params.product_id,
    )  # fmt: skip


async def test_pre_check_waits_until_every_broker_is_up(world):
    await extending(world)
    first = (await world.platform.observe(ID)).machines[0].incarnation
    await world.platform.restart_broker(ID, 0, first)
    task = await world.submit(EXTEND_INSTANCE, LARGER_DISKS)
    context = world.context(EXTEND_INSTANCE, task)
    with pytest.raises(StepNotReady) as waiting:
        await EXTEND_INSTANCE.steps[0].run(context)
    assert waiting.value.percent == 66
    world.clock.move(5)
    assert await EXTEND_INSTANCE.steps[0].run(context) == {"storage_gb": 300, "broker_count": 3}


async def test_published_extension_is_not_counted_again_when_the_next_is_asked_for(world):
    """Cut off between its last write and the record of it, with the next one submitted since."""
    await extending(world)
    params = msgspec.structs.replace(LARGER_DISKS, storage_gb=600)
    task = await world.submit(EXTEND_INSTANCE, params)
    outputs = {"pre_check": {"storage_gb": 300, "broker_count": 3}}
    context = world.context(EXTEND_INSTANCE, task, outputs)
    await world.platform.extend_storage(ID, 600)
    world.clock.move(60)
    await EXTEND_INSTANCE.steps[2].run(context)
    prepared = EXTEND_INSTANCE.prepare(
        await world.shown(ID), msgspec.structs.replace(params, storage_gb=900)
    )
    await world.instances.save(prepared)
    await EXTEND_INSTANCE.steps[2].run(context)
    assert await world.shown(ID) == prepared
    assert prepared.extend_count == 1


FAILS = {
    "restart": (RESTART_INSTANCE, RestartInstance(), restarting, InstanceStatus.ERROR),
    "larger disks": (EXTEND_INSTANCE, LARGER_DISKS, extending, InstanceStatus.EXTEND_FAILED),
    "more brokers": (EXTEND_INSTANCE, MORE_BROKERS, extending, InstanceStatus.EXTEND_FAILED),
    "larger machines": (EXTEND_INSTANCE, LARGER_MACHINES, extending, InstanceStatus.EXTEND_FAILED),
}


@pytest.mark.parametrize("case", FAILS)
async def test_instance_shows_that_its_operation_failed_with_its_old_sizes(
    world, monkeypatch, case
):
    async def rejected(*_):
        raise StepRejected("DMS.00500982", "no room")

    operation, params, begin, status = FAILS[case]
    await begin(world)
    before = await world.shown(ID)
    for change in ("restart_broker", "extend_storage", "add_brokers", "change_flavor"):
        monkeypatch.setattr(SimulatedPlatform, change, rejected)
    task = await world.submit(operation, params)
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.error_code, ended.error_msg) == (
        State.FAILED, "DMS.00500982", "no room",
    )  # fmt: skip
    shown = await world.shown(ID)
    assert shown == changed(before, status=status)
    context = world.context(operation, task)
    await operation.undo(context)
    assert await world.shown(ID) == shown
    await world.instances.remove(ID)
    await operation.undo(context)
    assert await world.shown(ID) is None


@pytest.mark.parametrize("case", FAILS)
async def test_operation_fails_when_there_are_no_brokers(world, case):
    operation, params, _, status = FAILS[case]
    await world.instances.save(make_instance())
    task = await world.submit(operation, params)
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt, ended.error_code) == (State.FAILED, 1, "DMS.00400026")
    assert (await world.shown(ID)).status is status


@pytest.mark.parametrize("status", InstanceStatus)
def test_which_instances_can_be_restarted(status):
    instance = make_instance(status=status)
    if status in RESTARTABLE:
        prepared = RESTART_INSTANCE.prepare(instance, RestartInstance())
        assert prepared == changed(instance, status=InstanceStatus.RESTARTING)
    else:
        with pytest.raises(InstanceNotReady):
            RESTART_INSTANCE.prepare(instance, RestartInstance())


@pytest.mark.parametrize("status", InstanceStatus)
def test_which_instances_can_be_extended(status):
    instance = make_instance(status=status)
    if status in EXTENDABLE:
        prepared = EXTEND_INSTANCE.prepare(instance, LARGER_DISKS)
        assert prepared == changed(instance, status=InstanceStatus.EXTENDING)
    else:
        with pytest.raises(InstanceNotReady):
            EXTEND_INSTANCE.prepare(instance, LARGER_DISKS)


@pytest.mark.parametrize("sizes", [{"storage_gb": 9_999}, {"broker_count": 9}])
def test_extension_asked_for_on_what_has_grown_since_is_refused(sizes):
    with pytest.raises(InvalidStorage):
        EXTEND_INSTANCE.prepare(make_instance(**sizes), LARGER_DISKS)
