"""What every platform promises. It may take its time, and show late what it has accepted."""

import pytest
from tests.support.builders import instance_id
from tests.support.engine_world import SPEC
from tests.support.promises import promised

from backroom.domain.errors import StepRejected
from backroom.ports import Cluster, Machine, Platform, PublicAddress

ID, OTHER = instance_id(1), instance_id(2)
A, B = PublicAddress("a", "100.64.0.1"), PublicAddress("b", "100.64.0.2")
FLAVOR = "c6.4u8g.cluster"


def is_up(cluster, count=3):
    return cluster is not None and len(cluster.running) == len(cluster.brokers) == count


def incarnations(cluster):
    return {machine.id: machine.incarnation for machine in cluster.machines}


async def up(stage, wanted=ID):
    await stage.platform.create_cluster(wanted, SPEC)
    return await stage.until(wanted, is_up)


async def restarted(stage, broker_id, before):
    def is_back(cluster):
        return is_up(cluster) and incarnations(cluster)[broker_id] not in (None, before)

    return await stage.until(ID, is_back)


@promised(Platform.observe, "None when there is no cluster, or not yet, or no longer.")
async def test_cluster_is_seen_from_when_it_is_there_until_it_is_gone(stage):
    assert await stage.platform.observe(ID) is None
    await up(stage)
    await stage.platform.delete_cluster(ID)
    await stage.until(ID, lambda cluster: cluster is None)
    assert await stage.platform.observe(ID) is None


@promised(Cluster, "are in broker order")
async def test_cluster_is_as_it_was_asked_for(stage):
    cluster = await up(stage)
    assert [broker.id for broker in cluster.brokers] == [0, 1, 2]
    assert [machine.id for machine in cluster.machines] == [0, 1, 2]
    assert len({broker.host for broker in cluster.brokers}) == 3
    assert cluster.storage_gb == SPEC.storage_gb
    assert {machine.flavor for machine in cluster.machines} == {SPEC.flavor}
    assert None not in incarnations(cluster).values()


@promised(Platform, "it returns once it is accepted, and is safe to repeat")
async def test_create_and_delete_are_safe_to_repeat(stage):
    before = await up(stage)
    await stage.platform.create_cluster(ID, SPEC)
    assert set(map(str, await stage.for_a_while(ID))) == {str(before)}
    for _ in range(3):
        await stage.platform.delete_cluster(ID)
        await stage.look_again()
    await stage.until(ID, lambda cluster: cluster is None)
    await stage.platform.delete_cluster(ID)


async def test_clusters_have_nothing_to_do_with_each_other(stage):
    await up(stage)
    other = await up(stage, OTHER)
    await stage.platform.extend_storage(ID, 600)
    await stage.platform.restart_broker(
        ID, 0, (await stage.platform.observe(ID)).machines[0].incarnation
    )
    await stage.platform.delete_cluster(ID)
    assert set(map(str, await stage.for_a_while(OTHER))) == {str(other)}


@promised(Machine, "`incarnation` is another text after each start")
async def test_restart_makes_another_incarnation_of_this_broker_only(stage):
    before = incarnations(await up(stage))
    await stage.platform.restart_broker(ID, 1, before[1])
    first = incarnations(await restarted(stage, 1, before[1]))
    assert (first[0], first[2]) == (before[0], before[2])
    await stage.platform.restart_broker(ID, 1, first[1])
    second = incarnations(await restarted(stage, 1, first[1]))
    assert len({before[1], first[1], second[1]}) == 3


async def test_broker_does_not_answer_while_it_restarts_and_the_others_do(stage):
    before = incarnations(await up(stage))
    await stage.platform.restart_broker(ID, 1, before[1])
    seen = [cluster.running for cluster in await stage.for_a_while(ID)]
    assert (0, 2) in seen
    assert set(seen) == {(0, 2), (0, 1, 2)}


@promised(Platform.restart_broker, "nothing where there is another one already")
async def test_restart_is_safe_to_repeat_at_any_time(stage):
    before = incarnations(await up(stage))
    await stage.platform.restart_broker(ID, 1, before[1])
    for _ in range(40):
        await stage.platform.restart_broker(ID, 1, before[1])
        await stage.look_again()
    first = incarnations(await restarted(stage, 1, before[1]))
    await stage.platform.restart_broker(ID, 1, before[1])
    seen = await stage.for_a_while(ID)
    assert {incarnations(cluster)[1] for cluster in seen} == {first[1]}
    assert {cluster.running for cluster in seen} == {(0, 1, 2)}


async def test_flavor_changes_with_a_restart_of_this_broker_only(stage):
    before = incarnations(await up(stage))
    for _ in range(3):
        await stage.platform.change_flavor(ID, 2, FLAVOR)
        await stage.look_again()
    cluster = await restarted(stage, 2, before[2])
    assert [machine.flavor for machine in cluster.machines] == [SPEC.flavor, SPEC.flavor, FLAVOR]
    assert cluster.storage_gb == SPEC.storage_gb
    await stage.platform.change_flavor(ID, 2, FLAVOR)
    assert set(map(str, await stage.for_a_while(ID))) == {str(cluster)}


@promised(Platform.extend_storage, "nothing where they have")
async def test_storage_grows_while_brokers_run_and_never_shrinks(stage):
    before = await up(stage)
    for _ in range(3):
        await stage.platform.extend_storage(ID, 600)
        await stage.look_again()
    seen = await stage.for_a_while(ID)
    sizes = [cluster.storage_gb for cluster in seen]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 600
    assert {cluster.running for cluster in seen} == {(0, 1, 2)}
    assert incarnations(seen[-1]) == incarnations(before)
    await stage.platform.extend_storage(ID, 300)
    assert {cluster.storage_gb for cluster in await stage.for_a_while(ID)} == {600}


async def test_storage_asked_for_twice_comes_to_the_larger(stage):
    await up(stage)
    await stage.platform.extend_storage(ID, 600)
    await stage.look_again()
    await stage.platform.extend_storage(ID, 900)
    await stage.platform.extend_storage(ID, 600)
    assert (await stage.until(ID, lambda cluster: cluster.storage_gb >= 900)).storage_gb == 900


@promised(Platform.add_brokers, "the new ones with the next ids and with disks like the old")
async def test_added_brokers_come_beside_the_others(stage):
    before = await up(stage)
    for _ in range(3):
        await stage.platform.add_brokers(ID, 5)
        await stage.look_again()
    cluster = await stage.until(ID, lambda seen: is_up(seen, 5) and seen.storage_gb >= 500)
    assert [broker.id for broker in cluster.brokers] == [0, 1, 2, 3, 4]
    assert cluster.brokers[:3] == before.brokers
    assert cluster.machines[:3] == before.machines
    assert {machine.flavor for machine in cluster.machines} == {SPEC.flavor}
    assert cluster.storage_gb == 500


@promised(Platform.add_brokers, "Nothing where there are so many")
async def test_brokers_are_never_taken_away(stage):
    before = await up(stage)
    await stage.platform.add_brokers(ID, 2)
    await stage.platform.add_brokers(ID, 3)
    assert set(map(str, await stage.for_a_while(ID))) == {str(before)}


async def test_public_addresses_come_and_go(stage):
    await up(stage)
    for _ in range(3):
        await stage.platform.attach_public(ID, [B, A])
        await stage.look_again()
    await stage.until(ID, lambda cluster: cluster.public == (B, A))
    for _ in range(3):
        await stage.platform.detach_public(ID)
        await stage.look_again()
    await stage.until(ID, lambda cluster: cluster.public == ())


CHANGES = {
    "attach_public": [[A]],
    "detach_public": [],
    "restart_broker": [0, "1"],
    "change_flavor": [0, FLAVOR],
    "extend_storage": [600],
    "add_brokers": [4],
}


@promised(Platform, "A platform that can't do a thing raises StepRejected.")
@pytest.mark.parametrize("change", CHANGES)
async def test_change_is_rejected_when_there_are_no_brokers(stage, change):
    with pytest.raises(StepRejected, match="no brokers"):
        await getattr(stage.platform, change)(ID, *CHANGES[change])
    assert await stage.platform.observe(ID) is None


@pytest.mark.parametrize("broker_id", [-1, 3])
@pytest.mark.parametrize("change", ["restart_broker", "change_flavor"])
async def test_change_of_a_broker_that_is_not_there_is_rejected(stage, change, broker_id):
    await up(stage)
    with pytest.raises(StepRejected, match=str(broker_id)):
        await getattr(stage.platform, change)(ID, broker_id, "x")


@promised(
    Platform.configure, "A broker reads it when it starts: those that run keep what they have."
)
async def test_file_of_the_brokers_is_written_while_they_run_on(stage):
    before = await up(stage)
    await stage.platform.configure(ID, {"num.partitions": "7"})
    await stage.platform.configure(ID, {"num.partitions": "7"})
    assert set(map(str, await stage.for_a_while(ID))) == {str(before)}
    with pytest.raises(StepRejected):
        await stage.platform.configure(OTHER, {"num.partitions": "7"})
