"""The time of day jumps by an hour while tasks run, wait and are planned."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
from tests.support.builders import NOW, W1, W2, after, make_scheduled
from tests.support.clocks import JumpingClock, settled
from tests.support.engine_world import Steps, World, catalogue_with, make_operation
from tests.support.histories import read_past, violations

from backroom.domain import lifecycle
from backroom.domain.errors import StepNotReady
from backroom.domain.task import State
from backroom.engine.rescuer import LEASE_S, Rescuer
from backroom.engine.wakeup import Wakeup
from backroom.engine.worker import POLL_S, Worker

HOUR_S = 3_600
NOTICED_S = max(POLL_S, LEASE_S / 3)  # a jump is seen by then, whatever was waited for
jumps = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])


@pytest.fixture
def world():
    made = World(JumpingClock())
    yield made
    made.close()


@asynccontextmanager
async def engine(world, worker_id=W1, around=None):
    """A worker that beats, ended in order."""
    around = around or world.around
    wakeup = Wakeup()
    world.stores.tasks._on_ready = wakeup.set
    worker = Worker(worker_id, around, wakeup)
    loops = [asyncio.ensure_future(one.run()) for one in (worker, Rescuer(worker_id, around))]
    await settled()
    try:
        yield worker
    finally:
        around.stopping.set()
        wakeup.set()
        await asyncio.gather(*loops)
        await worker.drain(10)


def past(world):
    return read_past(world.database.connection.execute)


def waits(*delays_s):
    """A step that is not ready so often."""
    return [*(StepNotReady(delay_s) for delay_s in delays_s), "done"]


async def states(world, tasks):
    return {(await world.get(task.id)).state for task in tasks}


async def until_ended(world, tasks, within_s):
    end = world.clock.passed_s + within_s
    while await states(world, tasks) != {State.SUCCEEDED}:
        assert world.clock.passed_s < end, "too late"
        upcoming = world.clock.next_timer
        world.clock.move(max(0.0, (upcoming - world.clock.now()).total_seconds()))
        await settled()


@pytest.mark.parametrize("seed", range(5))
async def test_nothing_runs_twice_and_nothing_is_lost(world, seed):
    chance = random.Random(seed)  # noqa: S311  a test that can be repeated
    runs = []

    def step(name, *delays_s):
        left = {}

        async def run(context):
            at = left.setdefault(context.task.id, list(delays_s))
            if at:
                raise StepNotReady(at.pop(0))
            runs.append((context.task.id, name))

        return run

    operation = make_operation(step("a", 0.25, 2), step("b", 30), step("c", 0.4, 0.4, 7))
    tasks = [await world.submit(operation, number=number) for number in (1, 2, 3, 1, 2, 1)]
    usual_s = 3 * 41.0 + 1
    with catalogue_with(operation):
        async with engine(world):
            jumped = 0
            while await states(world, tasks) != {State.SUCCEEDED}:
                assert world.clock.passed_s < usual_s + jumped * 2 * NOTICED_S, "too late"
                if jumped < 8 and chance.random() < 0.2:
                    world.clock.jump(chance.choice([HOUR_S, -HOUR_S]))
                    jumped += 1
                upcoming = world.clock.next_timer
                world.clock.move(max(0.0, (upcoming - world.clock.now()).total_seconds()))
                await settled()
        assert violations(past(world), []) == []
    assert jumped > 2
    assert len(runs) == len(set(runs)) == 3 * len(tasks)
    assert not {"rescue", "retry", "fail"} & {event.verb for event in past(world).events}


@jumps
async def test_no_lease_is_lost_by_a_jump(world, jump_s):
    let_go = asyncio.Event()

    async def hold(_context):
        await let_go.wait()

    operation = make_operation(hold, timeout_s=60)
    tasks = [await world.submit(operation, number=number) for number in (1, 2)]
    with catalogue_with(operation):
        async with engine(world, W1) as one:
            one._slots = 1
            async with engine(world, W2, world.neighbour()):
                for _ in range(5):
                    await world.clock.pass_until(lambda: True)
                    world.clock.move(LEASE_S / 3)
                    await settled()
                world.clock.jump(jump_s)
                for _ in range(12):
                    world.clock.move(LEASE_S / 3)
                    await settled()
                held = {(await world.get(task.id)).epoch for task in tasks}
                let_go.set()
                await settled()
    assert held == {1}
    assert await states(world, tasks) == {State.SUCCEEDED}
    assert "rescue" not in {event.verb for event in past(world).events}


@jumps
async def test_task_of_a_worker_that_is_dead_is_still_taken_over(world, jump_s):
    operation = Steps("done").operation()
    await world.stores.tasks.beat(W2, NOW)
    task = await world.submit(operation)
    await world.stores.tasks.claim(W2, 1, NOW)  # and dies
    with catalogue_with(operation):
        async with engine(world):
            world.clock.move(1)
            await settled()
            world.clock.jump(jump_s)
            # its last beat lies ahead of a clock that went back, and is dead once that has passed
            late_s = max(0, -jump_s) + 3 * LEASE_S
            await until_ended(world, [task], late_s)
    assert [event.verb for event in past(world).events].count("rescue") == 1


async def scheduled(world, at):
    operation = Steps("done").operation()
    await world.add_instance()
    task = make_scheduled(1, at, world.clock.now(), name=operation.name, internal=b"{}")
    await world.stores.tasks.write(lifecycle.submit(task))
    return operation, task


async def test_planned_task_whose_moment_was_jumped_over_starts_when_the_jump_is_noticed(world):
    operation, task = await scheduled(world, after(1_800))
    with catalogue_with(operation):
        async with engine(world):
            world.clock.jump(HOUR_S)
            await until_ended(world, [task], NOTICED_S)


async def test_planned_task_starts_at_its_moment_by_a_clock_that_went_back(world):
    operation, task = await scheduled(world, after(60))
    with catalogue_with(operation):
        async with engine(world):
            world.clock.move(30)
            await settled()
            world.clock.jump(-HOUR_S)
            await until_ended(world, [task], HOUR_S + 31)
    started = next(
        event for event in (await world.history(task.id)).events if event.verb == "claim"
    )
    assert started.at == after(60)


async def test_task_that_waits_goes_on_soon_after_the_clock_went_back(world):
    operation = Steps(waits(2, 2)).operation()
    task = await world.submit(operation)
    with catalogue_with(operation):
        async with engine(world):
            world.clock.move(1)
            await settled()
            world.clock.jump(-HOUR_S)
            await until_ended(world, [task], 4 + NOTICED_S)


async def test_task_submitted_after_the_clock_went_back_starts_at_once(world):
    operation = Steps("done").operation()
    await world.submit(operation)
    with catalogue_with(operation):
        async with engine(world):
            await settled()
            world.clock.jump(-HOUR_S)
            task = await world.submit(operation)
            await until_ended(world, [task], NOTICED_S)
