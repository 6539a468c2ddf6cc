import pytest
from tests.support.builders import instance_id
from tests.support.engine_world import SPEC
from tests.support.promises import promised

from backroom.domain.errors import StaleTask, StepRejected
from backroom.platforms.simulated import (
    PART,
    PORT,
    STARTS_KEPT,
    SimulatedPlatform,
    Timings,
)
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
    stale = await world.stores.clusters.load(ID, PART)
    await platform.attach_public(ID, [A])

    async def load(_instance_id, _part):
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


OLD_DOCUMENT = b"""{"spec":{"broker_count":3,"storage_gb":300,"kafka_version":"2.7"},
"broker_ready_at":["2026-01-01T00:00:01Z","2026-01-01T00:00:02Z","2026-01-01T00:00:03Z"],
"public":[{"id":"a","address":"100.64.0.1"}],"public_before":[],
"public_changes_at":"2026-01-01T00:00:09Z","gone_at":null}"""


async def test_cluster_kept_by_an_earlier_release_goes_on(world, platform):
    await world.stores.clusters.save(ID, PART, OLD_DOCUMENT, 1)
    before = await platform.observe(ID)
    assert (before.running, before.storage_gb, before.public) == ((0, 1, 2), 300, (A,))
    await platform.restart_broker(ID, 1, before.machines[1].incarnation)
    await platform.extend_storage(ID, 600)
    await platform.add_brokers(ID, 4)
    world.clock.move(60)
    after = await platform.observe(ID)
    assert (after.running, after.storage_gb, after.public) == ((0, 1, 2, 3), 800, (A,))
    assert after.machines[1].incarnation != before.machines[1].incarnation


async def test_broker_restarted_many_times_is_still_there(world, platform):
    await platform.adopt_cluster(ID, SPEC)
    seen = set()
    for _ in range(3 * STARTS_KEPT):
        machine = (await platform.observe(ID)).machines[2]
        seen.add(machine.incarnation)
        await platform.restart_broker(ID, 2, machine.incarnation)
        world.clock.move(2)
        assert (await platform.observe(ID)).running == (0, 1, 2)
    assert len(seen) == 3 * STARTS_KEPT


async def test_sizes_decide_how_long_an_extension_takes(world):
    slow = SimulatedPlatform(
        world.stores.clusters, world.clock, Timings(disk_s_per_100_gb=10, broker_start_s=5)
    )
    await slow.adopt_cluster(ID, SPEC)
    await slow.extend_storage(ID, 1_300)
    world.clock.move(25)
    assert (await slow.observe(ID)).storage_gb == 550
    world.clock.move(75)
    assert (await slow.observe(ID)).storage_gb == 1_300
    await slow.add_brokers(ID, 6)
    world.clock.move(10)
    assert (await slow.observe(ID)).running == (0, 1, 2, 3, 4)
    world.clock.move(5)
    assert (await slow.observe(ID)).running == (0, 1, 2, 3, 4, 5)


async def test_what_is_seen_is_as_old_as_the_lag(world):
    late = SimulatedPlatform(world.stores.clusters, world.clock, Timings(observation_lag_s=2))
    await late.adopt_cluster(ID, SPEC)
    assert await late.observe(ID) is None
    world.clock.move(2)
    before = await late.observe(ID)
    await late.restart_broker(ID, 0, before.machines[0].incarnation)
    world.clock.move(1.9)
    assert await late.observe(ID) == before
    world.clock.move(0.1)
    assert (await late.observe(ID)).running == (1, 2)
    await late.delete_cluster(ID)
    world.clock.move(2.5)
    assert await late.observe(ID) is not None
    world.clock.move(0.5)
    assert await late.observe(ID) is None
