import asyncio

import pytest
from tests.support.builders import instance_id
from tests.support.promises import promised

from backroom.domain.errors import StaleTask
from backroom.ports import ClusterStore


@promised(ClusterStore.load, "The document and its version.")
async def test_document_is_there_for_any_process_when_saved(database):
    await database.open().clusters.save(instance_id(), "brokers", b"\0one", 1)
    assert await database.open().clusters.load(instance_id(), "brokers") == (b"\0one", 1)
    assert await database.open().clusters.load(instance_id(2), "brokers") is None


@promised(ClusterStore.save, "is written only where the stored version is one less")
@pytest.mark.parametrize("version", [1, 2, 4])
async def test_save_is_stale_when_the_stored_version_is_not_the_one_before(stores, version):
    await stores.clusters.save(instance_id(), "brokers", b"one", 1)
    await stores.clusters.save(instance_id(), "brokers", b"two", 2)
    with pytest.raises(StaleTask):
        await stores.clusters.save(instance_id(), "brokers", b"late", version)
    assert await stores.clusters.load(instance_id(), "brokers") == (b"two", 2)


async def test_save_is_stale_when_the_document_is_gone(stores):
    with pytest.raises(StaleTask):
        await stores.clusters.save(instance_id(), "brokers", b"two", 2)
    assert await stores.clusters.load(instance_id(), "brokers") is None


async def test_one_of_two_first_saves_wins(database):
    both = [database.open().clusters for _ in range(2)]
    outcomes = await asyncio.gather(
        *(one.save(instance_id(), "brokers", b"%d" % at, 1) for at, one in enumerate(both)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["NoneType", "StaleTask"]
    assert await both[0].load(instance_id(), "brokers") == (b"%d" % outcomes.index(None), 1)


@promised(ClusterStore.remove, "Gone, or was not there.")
async def test_remove_is_safe_to_repeat_and_a_new_one_starts_again(stores):
    await stores.clusters.save(instance_id(), "brokers", b"one", 1)
    for _ in range(2):
        await stores.clusters.remove(instance_id())
    assert await stores.clusters.load(instance_id(), "brokers") is None
    await stores.clusters.save(instance_id(), "brokers", b"new", 1)
    assert await stores.clusters.load(instance_id(), "brokers") == (b"new", 1)
