"""A claim that is asked for before the submit is committed."""

import asyncio
import threading

import pytest
from tests.support.builders import NOW, W1, make_task

from backroom.domain import lifecycle
from backroom.domain.errors import StoreUnavailable
from backroom.store.connection import connect, migrate
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.writer import Writer


class World:
    def __init__(self, path):
        self.commits = []
        self.woken = asyncio.Event()
        self.writing = connect(path)
        migrate(self.writing)
        self.writing.set_commit_hook(lambda: self.commits.append(1) or False)
        self.writer = Writer(self.writing)
        self.tasks = SqliteTaskStore(connect(path), self.writer, self.woken.set)

    async def busy(self, then=lambda: None):
        """The writer is at a piece until the returned event is set; then it does `then`."""
        release, is_held = threading.Event(), threading.Event()

        def hold(_connection):
            is_held.set()
            release.wait()
            then()

        held = asyncio.ensure_future(self.writer.run(hold))
        await asyncio.to_thread(is_held.wait)
        return release, held


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "tasks.sqlite")
    yield made
    made.writer.close()


async def test_claim_shares_the_commit_of_the_submit_that_woke_it(world):
    release, held = await world.busy()
    task = make_task(1)
    submitting = asyncio.ensure_future(world.tasks.write(lifecycle.submit(task)))
    await world.woken.wait()
    claiming = asyncio.ensure_future(world.tasks.claim(W1, 1, NOW))
    await asyncio.sleep(0)
    world.woken.clear()
    release.set()
    await asyncio.gather(held, submitting)
    (claimed,) = await claiming
    assert claimed.id == task.id
    assert world.commits == [1]
    assert not world.woken.is_set()


async def test_nobody_is_left_waiting_when_the_claim_came_too_early(world):
    release, held = await world.busy()
    claiming = asyncio.ensure_future(world.tasks.claim(W1, 1, NOW))
    await asyncio.sleep(0)
    submitting = asyncio.ensure_future(world.tasks.write(lifecycle.submit(make_task(1))))
    await world.woken.wait()
    world.woken.clear()
    release.set()
    assert await claiming == []
    await asyncio.gather(held, submitting)
    await asyncio.wait_for(world.woken.wait(), 10)
    assert len(await world.tasks.claim(W1, 1, NOW)) == 1


async def test_claim_believes_that_nothing_is_ready_when_the_submit_was_refused(world):
    task = make_task(1)
    await world.tasks.write(lifecycle.submit(task))
    assert len(await world.tasks.claim(W1, 1, NOW)) == 1

    def fail():
        raise ArithmeticError("out of numbers")

    world.writing.set_commit_hook(fail)
    with pytest.raises(ArithmeticError):
        await world.tasks.write(lifecycle.submit(make_task(2)))
    world.writing.set_commit_hook(None)
    release, held = await world.busy()
    assert await world.tasks.claim(W1, 1, NOW) == []  # it doesn't ask the writer, who is busy
    release.set()
    await held


async def test_submit_wakes_a_worker_although_nobody_waits_for_its_answer(world):
    release, held = await world.busy()
    submitting = asyncio.ensure_future(world.tasks.write(lifecycle.submit(make_task(1))))
    await world.woken.wait()
    world.woken.clear()
    submitting.cancel()
    release.set()
    await held
    await asyncio.wait_for(world.woken.wait(), 10)
    assert len(await world.tasks.claim(W1, 1, NOW)) == 1


async def test_submit_is_refused_once_the_store_is_closed(world):
    world.writer.close()
    with pytest.raises(StoreUnavailable):
        await world.tasks.write(lifecycle.submit(make_task(1)))
    assert not world.woken.is_set()
