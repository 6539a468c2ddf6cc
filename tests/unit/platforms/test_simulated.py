import pytest
from tests.support.builders import instance_id
from tests.support.engine_world import SPEC
from tests.support.promises import promised

from backroom.domain.errors import StaleTask, StepRejected
from backroom.platforms.simulated import PORT, SimulatedPlatform, Timings
from backroom.ports import Platform, PublicAddress

ID = instance_id()
A, B = PublicAddress("a", "100.64.0.1"), PublicAddress("b", "100.64.0.2")


@pytest.fixture
def platform(world):
    return world.platform


@promised(Platform.observe, "None when there is no cluster, or not yet, or no longer.")
async def test_nothing_is_observed_when_there_is_no_cluster(platform):
    assert await platform.observe(ID) is None


async def test_brokers_come_up_one_after_the_other(world, platform):
    await platform.create_cluster(ID, SPEC)
    seen = []
    for _ in range(4):
        seen.append((await platform.observe(ID)).running)
        world.clock.move(1)
    assert seen == [(), (0,), (0, 1), (0, 1, 2)]
    brokers = (await platform.observe(ID)).brokers
    assert [broker.id for broker in brokers] == [0, 1, 2]
    assert len({broker.host for broker in brokers}) == 3
    assert {broker.port for broker in brokers} == {PORT}


async def test_create_is_safe_to_repeat(world, platform):
    await platform.create_cluster(ID, SPEC)
    world.clock.move(2)
    before = await platform.observe(ID)
    await platform.create_cluster(ID, SPEC)
    assert await platform.observe(ID) == before


async def test_adopted_cluster_runs_at_once(platform):
    cluster = await platform.adopt_cluster(ID, SPEC)
    assert cluster.running == (0, 1, 2)
    assert await platform.observe(ID) == cluster


async def test_cluster_is_gone_once_its_brokers_have_stopped(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.delete_cluster(ID)
    world.clock.move(0.5)
    await platform.delete_cluster(ID)
    assert await platform.observe(ID) is not None
    world.clock.move(0.4)
    assert await platform.observe(ID) is None
    await platform.delete_cluster(ID)
    assert await platform.observe(ID) is None


async def test_cluster_that_has_stopped_is_gone_for_every_call(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.delete_cluster(ID)
    world.clock.move(1)
    with pytest.raises(StepRejected):
        await platform.attach_public(ID, [A])
    await platform.create_cluster(ID, SPEC)
    assert (await platform.observe(ID)).running == ()


async def test_addresses_are_seen_after_their_time_in_the_order_given(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.attach_public(ID, [B, A])
    assert (await platform.observe(ID)).public == ()
    world.clock.move(0.999)
    assert (await platform.observe(ID)).public == ()
    world.clock.move(0.001)
    assert (await platform.observe(ID)).public == (B, A)


async def test_attach_is_safe_to_repeat_and_does_not_start_again(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.attach_public(ID, [A])
    world.clock.move(0.9)
    await platform.attach_public(ID, [A])
    world.clock.move(0.1)
    assert (await platform.observe(ID)).public == (A,)


async def test_addresses_stay_seen_until_they_are_detached(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.attach_public(ID, [A])
    world.clock.move(1)
    await platform.detach_public(ID)
    assert (await platform.observe(ID)).public == (A,)
    world.clock.move(1)
    assert (await platform.observe(ID)).public == ()


async def test_last_change_of_addresses_wins(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    await platform.attach_public(ID, [A])
    world.clock.move(0.5)
    await platform.attach_public(ID, [B])
    world.clock.move(0.5)
    assert (await platform.observe(ID)).public == ()
    world.clock.move(0.5)
    assert (await platform.observe(ID)).public == (B,)


@promised(Platform, "A platform that can't do a thing raises StepRejected.")
@pytest.mark.parametrize("call", ["attach_public", "detach_public"])
async def test_change_of_addresses_is_rejected_when_there_are_no_brokers(platform, call):
    arguments = [[A]] if call == "attach_public" else []
    with pytest.raises(StepRejected, match="no brokers"):
        await getattr(platform, call)(ID, *arguments)


async def test_instances_do_not_share_hosts(platform):
    one = await platform.adopt_cluster(instance_id(1), SPEC)
    two = await platform.adopt_cluster(instance_id(2), SPEC)
    assert not {broker.host for broker in one.brokers} & {broker.host for broker in two.brokers}


async def test_brokers_are_the_same_after_a_restart_of_the_process(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    again = SimulatedPlatform(world.stores.clusters, world.clock, Timings())
    assert await again.observe(ID) == await platform.observe(ID)


async def test_change_is_stale_when_another_process_was_first(world, platform, monkeypatch):
    await platform.adopt_cluster(ID, SPEC)
    stale = await world.stores.clusters.load(ID)
    await platform.attach_public(ID, [A])

    async def load(_instance_id):
        return stale

    monkeypatch.setattr(world.stores.clusters, "load", load)
    with pytest.raises(StaleTask):
        await platform.attach_public(ID, [B])
    monkeypatch.undo()
    world.clock.move(1)
    assert (await platform.observe(ID)).public == (A,)


async def test_timings_decide_how_long_it_takes(world):
    slow = SimulatedPlatform(
        world.stores.clusters, world.clock,
        Timings(broker_start_s=60, address_change_s=30, broker_stop_s=10),
    )  # fmt: skip
    await slow.create_cluster(ID, SPEC)
    world.clock.move(179)
    assert (await slow.observe(ID)).running == (0, 1)
    world.clock.move(1)
    assert (await slow.observe(ID)).running == (0, 1, 2)
    await slow.delete_cluster(ID)
    world.clock.move(29)
    assert await slow.observe(ID) is not None
    world.clock.move(1)
    assert await slow.observe(ID) is None
