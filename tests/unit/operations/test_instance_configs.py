"""kafkaConfigModify, by either of its calls, each step twice and with stale reads."""

import pytest
from msgspec.structs import replace
from tests.support.builders import instance_id
from tests.support.engine_world import catalogue_with
from tests.support.kafkas import FlakyKafka
from tests.unit.operations.test_reassign_partitions import doubled

from backroom.domain.errors import InstanceNotReady
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import State
from backroom.operations.modify_configs import MODIFY_CONFIGS, ModifyConfigs
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import ConfigResource

ID = instance_id()
BROKER = ConfigResource("broker", "1")
BOTH = ModifyConfigs(dynamic={"min.insync.replicas": "2"}, static={"num.partitions": "7"})


@pytest.fixture(params=[0.0, 3.0])
def kafka(world, request):
    timings = KafkaTimings(metadata_lag_s=request.param)
    real = SimulatedKafka(world.stores.clusters, world.platform, world.clock, timings)
    world.kafka = FlakyKafka(real)
    world.around = replace(world.around, kafka=world.kafka)
    return world.kafka


async def value(world, name):
    world.clock.move(10)
    return (await world.kafka.configs(ID, [BROKER]))[BROKER][name].value


async def test_dynamic_ones_are_in_force_and_static_ones_are_kept(world, kafka):
    await world.add_instance(static_configs=(("log.retention.hours", "5"),))
    task = await world.submit(MODIFY_CONFIGS, BOTH)
    with catalogue_with(doubled(MODIFY_CONFIGS)):
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await value(world, "min.insync.replicas") == "2"
    assert await value(world, "num.partitions") == "3"  # until the brokers are restarted
    assert (await world.shown(ID)).static_configs == (
        ("log.retention.hours", "5"), ("num.partitions", "7"),
    )  # fmt: skip


async def test_what_is_so_already_is_not_written_again(world, kafka):
    await world.add_instance(static_configs=(("num.partitions", "7"),))
    for _ in range(2):
        task = await world.submit(MODIFY_CONFIGS, BOTH)
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
        asked = len(kafka.changes("alter_configs"))
    assert asked == len(kafka.changes("alter_configs"))
    assert (await world.shown(ID)).version == 1


@pytest.mark.parametrize("how", ["lost", "unsure", "partly", "away"])
async def test_it_goes_on_when_answers_fail_to_come(world, kafka, how):
    await world.add_instance()
    getattr(kafka, how)["alter_configs"] = 2
    task = await world.submit(MODIFY_CONFIGS, BOTH)
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert await value(world, "min.insync.replicas") == "2"


async def test_it_fails_with_kafkas_words_when_brokers_refuse(world, kafka):
    await world.add_instance()
    odd = ModifyConfigs(dynamic={"no.such.config": "1"}, static={"num.partitions": "7"})
    task = await world.submit(MODIFY_CONFIGS, odd)
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.error_code) == (State.FAILED, "DMS.00400063")
    assert "no.such.config" in ended.error_msg
    assert (await world.shown(ID)).static_configs == ()


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_automatic_creation_is_as_asked_for(world, is_enabled):
    instance = await world.add_instance()
    task = await world.submit(MODIFY_CONFIGS, ModifyConfigs(auto_create_topics=is_enabled))
    with catalogue_with(doubled(MODIFY_CONFIGS)):
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    shown = await world.shown(ID)
    assert shown.auto_create_topics is is_enabled
    assert shown.version - instance.version == int(is_enabled)


async def test_parameters_leave_automatic_creation_as_it_is(world, kafka):
    await world.add_instance(auto_create_topics=True)
    task = await world.submit(MODIFY_CONFIGS, BOTH)
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert (await world.shown(ID)).auto_create_topics is True


@pytest.mark.parametrize("params", [BOTH, ModifyConfigs(auto_create_topics=True)])
async def test_it_is_refused_while_the_instance_is_not_running(world, params):
    instance = await world.add_instance()
    with pytest.raises(InstanceNotReady):
        MODIFY_CONFIGS.prepare(changed(instance, status=InstanceStatus.EXTENDING), params)


# static ones at a restart


async def restart(world, operation=RESTART_INSTANCE):
    instance = await world.shown(ID)
    await world.instances.save(changed(instance, status=InstanceStatus.RESTARTING))
    task = await world.submit(RESTART_INSTANCE, RestartInstance())
    with catalogue_with(operation):
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    return task


@pytest.mark.parametrize("operation", [RESTART_INSTANCE, doubled(RESTART_INSTANCE)])
async def test_static_ones_are_in_force_after_a_restart_and_wait_no_longer(world, kafka, operation):
    await world.add_instance(static_configs=(("log.retention.hours", "5"),))
    task = await world.submit(MODIFY_CONFIGS, BOTH)
    await world.run_to_end(task.id)
    assert await value(world, "num.partitions") == "3"
    await restart(world, operation)
    assert await value(world, "num.partitions") == "7"
    assert await value(world, "log.retention.hours") == "5"
    shown = await world.shown(ID)
    assert (shown.static_configs, shown.status) == ((), InstanceStatus.RUNNING)


async def test_values_of_an_earlier_restart_stay(world, kafka):
    await world.add_instance(static_configs=(("log.retention.hours", "5"),))
    await restart(world)
    task = await world.submit(MODIFY_CONFIGS, BOTH)
    await world.run_to_end(task.id)
    await restart(world)
    assert await value(world, "log.retention.hours") == "5"
    assert await value(world, "num.partitions") == "7"


async def test_brokers_that_are_added_read_the_same_file(world, kafka):
    await world.add_instance(static_configs=(("log.retention.hours", "5"),))
    await restart(world)
    await world.platform.add_brokers(ID, 4)
    world.clock.move(10)
    added = ConfigResource("broker", "3")
    found = (await world.kafka.configs(ID, [added]))[added]
    assert (found["log.retention.hours"].value, found["log.retention.hours"].is_read_only) == (
        "5", True,
    )  # fmt: skip


async def test_what_was_asked_for_during_the_restart_waits_for_the_next_one(world, kafka):
    instance = await world.add_instance(static_configs=(("num.partitions", "7"),))
    await world.instances.save(changed(instance, status=InstanceStatus.RESTARTING))
    task = await world.submit(RESTART_INSTANCE, RestartInstance())
    await world.begin()
    newer = (("log.retention.hours", "9"), ("num.partitions", "8"))
    await world.instances.save(changed(await world.shown(ID), static_configs=newer))
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert (await world.shown(ID)).static_configs == newer
    assert await value(world, "num.partitions") == "7"


async def test_restart_asks_no_platform_for_a_file_that_has_nothing_new(world, kafka, monkeypatch):
    async def configure(*_):
        pytest.fail("nothing is to be written")

    monkeypatch.setattr(type(world.platform), "configure", configure)
    await world.add_instance()
    await restart(world)
