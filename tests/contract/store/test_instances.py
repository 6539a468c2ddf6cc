import asyncio

import msgspec
import pytest
from tests.support.builders import OTHER_PROJECT, PROJECT, instance_id, make_instance
from tests.support.promises import promised

from backroom.domain.errors import StaleTask
from backroom.domain.filter import Page
from backroom.domain.instance import (
    Broker,
    InstanceFilter,
    InstanceStatus,
    PublicAccess,
    changed,
)
from backroom.ports import InstanceStore


@pytest.fixture
def instances(stores):
    return stores.instances


def wanted(**given):
    return InstanceFilter(project_id=given.pop("project_id", PROJECT), **given)


async def names(instances, page=None, **given):
    found, total = await instances.find(wanted(**given), page or Page())
    return [one.name for one in found], total


async def test_instance_comes_back_as_saved_in_any_process(database):
    full = make_instance(
        brokers=(Broker(id=0, host="h", port=1),), tags=(("k", "v"),), description="说明\0",
        public_access=PublicAccess(
            address_ids=("a",), addresses=("1.2.3.4",), bandwidth_mbit_per_s=5
        ),
        sasl_mechanisms=("PLAIN",), access_user="root",
    )  # fmt: skip
    await database.open().instances.save(full)
    assert await database.open().instances.get(PROJECT, full.id) == full


@promised(InstanceStore.get, "None for a missing instance and for another project's alike.")
async def test_nothing_is_got_when_missing_or_anothers(instances):
    await instances.save(make_instance(1))
    assert await instances.get(OTHER_PROJECT, instance_id(1)) is None
    assert await instances.get(PROJECT, instance_id(2)) is None


@promised(InstanceStore.save, "is written only where the stored version is one less")
@pytest.mark.parametrize("version", [1, 2, 4, 9])
async def test_save_is_stale_when_the_stored_version_is_not_the_one_before(instances, version):
    stored = changed(make_instance())
    await instances.save(make_instance())
    await instances.save(stored)
    late = msgspec.structs.replace(stored, version=version, description="late")
    with pytest.raises(StaleTask):
        await instances.save(late)
    assert await instances.get(PROJECT, stored.id) == stored


async def test_save_is_stale_when_the_instance_is_gone(instances):
    await instances.save(make_instance())
    await instances.remove(instance_id(1))
    with pytest.raises(StaleTask):
        await instances.save(changed(make_instance()))
    assert await instances.get(PROJECT, instance_id(1)) is None


async def test_one_of_many_saves_of_the_same_version_wins(database):
    everybody = [database.open().instances for _ in range(2)]
    await everybody[0].save(make_instance())
    outcomes = await asyncio.gather(
        *(
            one.save(changed(make_instance(), description=f"{at}"))
            for at, one in enumerate(everybody * 5)
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType"] + ["StaleTask"] * 9
    stored = await everybody[0].get(PROJECT, instance_id(1))
    assert stored.description == str(outcomes.index(None))
    assert stored.version == 2


@promised(InstanceStore.remove, "Gone, or was not there: safe to repeat.")
async def test_remove_is_safe_to_repeat(instances):
    await instances.save(make_instance(1))
    await instances.save(make_instance(2))
    for _ in range(2):
        await instances.remove(instance_id(1))
    assert await instances.get(PROJECT, instance_id(1)) is None
    assert await instances.get(PROJECT, instance_id(2)) is not None


@promised(InstanceStore.find, "A page, newest first, and how many match in all.")
async def test_pages_join_to_the_whole_list(instances):
    for number in (3, 1, 4, 2, 5):
        await instances.save(make_instance(number))
    await instances.save(make_instance(6, project_id=OTHER_PROJECT))
    assert await names(instances) == ([f"kafka-{n}" for n in (5, 4, 3, 2, 1)], 5)
    joined = []
    for skip in (0, 2, 4, 6):
        found, total = await names(instances, Page(skip, 2))
        assert total == 5
        joined += found
    assert joined == [f"kafka-{n}" for n in (5, 4, 3, 2, 1)]


async def test_find_takes_only_what_fits(instances):
    for one in (
        make_instance(1, name="orders"),
        make_instance(2, name="orders-old", status=InstanceStatus.ERROR),
        make_instance(3, name="Orders", status=InstanceStatus.CREATE_FAILED),
        make_instance(4, name="100%_x", enterprise_project_id="e"),
    ):
        await instances.save(one)
    assert await names(instances, name="orders") == (["orders-old", "orders"], 2)
    assert await names(instances, name="orders", name_is_exact=True) == (["orders"], 1)
    assert await names(instances, name="%") == (["100%_x"], 1)
    assert await names(instances, name="_x") == (["100%_x"], 1)
    assert await names(instances, instance_id=instance_id(2)) == (["orders-old"], 1)
    assert await names(instances, status="ERROR") == (["orders-old"], 1)
    assert await names(instances, enterprise_project_id="e") == (["100%_x"], 1)
    assert await names(instances, with_failed=False) == (["100%_x", "orders-old", "orders"], 3)
    assert await names(instances, name="nothing") == ([], 0)


async def test_find_sees_the_last_change(instances):
    one = make_instance(1, name="before")
    await instances.save(one)
    await instances.save(changed(one, name="later", status=InstanceStatus.ERROR))
    assert await names(instances, name="before") == ([], 0)
    assert await names(instances, name="later", status="ERROR") == (["later"], 1)
