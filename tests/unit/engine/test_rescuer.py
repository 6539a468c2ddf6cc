import asyncio
from datetime import timedelta

import pytest
from tests.support.builders import NOW, W1, W2, W3, after, make_scheduled, make_step, make_task
from tests.support.clocks import settled

from backroom.domain import lifecycle
from backroom.domain.task import Outcome, State
from backroom.engine.rescuer import LEASE_S, LOOK_S, Rescuer

BEAT_S = LEASE_S / 3


async def claimed_by(world, worker_id, number=1):
    task = make_task(number, world.clock.now())
    await world.stores.tasks.write(lifecycle.submit(task))
    (taken,) = await world.stores.tasks.claim(worker_id, 1, world.clock.now())
    return taken


async def beats(world, rescuer, count):
    """That many rounds in a row, on time; returns how many tasks were rescued."""
    rescued = 0
    for _ in range(count):
        rescued += await rescuer.round()
        world.clock.move(BEAT_S)
    return rescued


@pytest.mark.rule(6)
async def test_task_of_a_dead_worker_is_rescued_after_a_lease(world):
    task = await claimed_by(world, W2)
    rescuer = Rescuer(W1, world.around)
    assert await beats(world, rescuer, 3) == 0
    assert await beats(world, rescuer, 2) == 1
    rescued = await world.get(task.id)
    assert (rescued.state, rescued.attempt) == (State.WAITING, 0)
    history = await world.history(task.id)
    assert (history.events[-1].verb, history.events[-1].actor) == ("rescue", W1)
    assert history.attempts[0].outcome is Outcome.LOST


@pytest.mark.parametrize("silent_after_s", [40.0, 41.0, 42.5, 43.3])
async def test_task_is_rescued_within_a_second_after_the_lease_whenever_the_last_beat_was(
    world, silent_after_s
):
    rescuer = Rescuer(W1, world.around)
    loop = asyncio.ensure_future(rescuer.run())
    await settled()
    end = after(silent_after_s)
    await world.clock.pass_until(lambda: world.clock.next_timer > end)
    world.clock.move((end - world.clock.now()).total_seconds())
    task = await claimed_by(world, W2)
    await world.stores.tasks.beat(W2, world.clock.now())
    rescued_at = []

    async def is_rescued():
        if (await world.get(task.id)).state is State.WAITING:
            rescued_at.append(world.clock.now())

    while not rescued_at:
        world.clock.move(0.1)
        await settled()
        await is_rescued()
    took_s = (rescued_at[0] - end).total_seconds()
    assert LEASE_S < took_s <= LEASE_S + LOOK_S + 0.1
    world.around.stopping.set()
    await loop


async def test_rescuer_looks_often_only_while_a_beat_is_overdue(world):
    rescuer = Rescuer(W1, world.around)
    await beats(world, rescuer, 4)
    task = await claimed_by(world, W2)
    await world.stores.tasks.beat(W2, world.clock.now())
    world.clock.move(1)
    loop = asyncio.ensure_future(rescuer.run())
    pauses = []
    for _ in range(4):
        await settled()
        pauses.append((world.clock.next_timer - world.clock.now()).total_seconds())
        world.clock.move(pauses[-1])
    await settled()
    await world.stores.tasks.beat(W2, world.clock.now())
    world.clock.move(LOOK_S)
    await settled()
    assert pauses[:2] == pytest.approx([BEAT_S, BEAT_S], abs=0.001)
    assert pauses[2:] == [LOOK_S] * 2
    assert (await world.get(task.id)).state is State.RUNNING
    next_s = (world.clock.next_timer - world.clock.now()).total_seconds()
    assert next_s == pytest.approx(BEAT_S, abs=0.001)
    world.around.stopping.set()
    await loop


@pytest.mark.rule(5)
async def test_nobody_is_declared_dead_before_own_beats_have_landed_for_a_whole_lease(world):
    await world.stores.tasks.beat(W2, NOW)
    await claimed_by(world, W2)
    world.clock.move(60)
    rescuer = Rescuer(W1, world.around)
    started = world.clock.now()
    while await rescuer.round() == 0:
        world.clock.move(BEAT_S)
    assert (world.clock.now() - started).total_seconds() >= LEASE_S


@pytest.mark.rule(5)
async def test_nobody_is_robbed_after_a_pause_of_our_own(world):
    rescuer = Rescuer(W1, world.around)
    await beats(world, rescuer, 5)
    task = await claimed_by(world, W2)
    world.clock.move(60)  # both were paused: the other has not beaten for just as long
    assert await rescuer.round() == 0
    await world.stores.tasks.beat(W2, world.clock.now())
    world.clock.move(BEAT_S)
    assert await beats(world, rescuer, 2) == 0
    assert (await world.get(task.id)).state is State.RUNNING


@pytest.mark.rule(5)
async def test_nobody_is_robbed_after_an_outage(world):
    rescuer = Rescuer(W1, world.around)
    loop = asyncio.ensure_future(rescuer.run())
    for _ in range(5):
        await settled()
        world.clock.move(BEAT_S)
    await settled()
    task = await claimed_by(world, W2)
    world.tasks.away = {"beat": 6}
    for _ in range(7):
        world.clock.move(BEAT_S)
        await settled()
    assert world.tasks.away == {"beat": 0}
    assert (await world.get(task.id)).state is State.RUNNING
    await world.stores.tasks.beat(W2, world.clock.now())  # it comes back a moment later
    for _ in range(3):
        world.clock.move(BEAT_S)
        await settled()
        await world.stores.tasks.beat(W2, world.clock.now())
    assert (await world.get(task.id)).state is State.RUNNING
    world.around.stopping.set()
    await loop


async def test_one_lost_beat_starts_the_count_again(world):
    task = await claimed_by(world, W2)
    rescuer = Rescuer(W1, world.around)
    loop = asyncio.ensure_future(rescuer.run())
    await settled()
    for number in range(8):
        world.tasks.away = {"beat": 1} if number in {1, 4} else {}
        world.clock.move(BEAT_S)
        await settled()
    assert (await world.get(task.id)).state is State.RUNNING
    for _ in range(2):
        world.clock.move(BEAT_S)
        await settled()
    assert (await world.get(task.id)).state is State.WAITING
    world.around.stopping.set()
    await loop


async def test_worker_that_beats_keeps_its_task_however_long_it_takes(world):
    task = await claimed_by(world, W2)
    mine, other = Rescuer(W1, world.around), Rescuer(W2, world.neighbour())
    for _ in range(30):
        assert await mine.round() + await other.round() == 0
        world.clock.move(BEAT_S)
    assert (await world.get(task.id)).epoch == task.epoch


async def test_rescuer_never_takes_from_its_own_worker(world):
    task = await claimed_by(world, W1)
    rescuer = Rescuer(W1, world.around)
    world.stores.tasks.beat, beat = _nothing, world.stores.tasks.beat
    try:
        assert await beats(world, rescuer, 9) == 0
    finally:
        world.stores.tasks.beat = beat
    assert (await world.get(task.id)).state is State.RUNNING


async def _nothing(*_):
    pass


async def test_every_task_of_every_dead_worker_is_rescued(world):
    await world.stores.tasks.beat(W2, NOW)
    for number, worker in ((1, W2), (2, W2), (3, W3)):
        await claimed_by(world, worker, number)
    assert await beats(world, Rescuer(W1, world.around), 6) == 3


async def test_task_that_moved_on_by_itself_is_not_counted(world):
    task = await claimed_by(world, W2)
    rescuer = Rescuer(W1, world.around)
    await beats(world, rescuer, 4)

    async def moves():
        await world.stores.tasks.write(lifecycle.record(task, world.clock.now(), (make_step(),)))

    world.tasks.before_write = moves
    assert await rescuer.round() == 0
    assert await world.verbs(task.id) == ["submit", "claim", "record"]


async def test_two_rescuers_rescue_once(world):
    task = await claimed_by(world, W3)
    rescuers = [Rescuer(W1, world.around), Rescuer(W2, world.neighbour())]
    total = 0
    for _ in range(6):
        total += sum(await asyncio.gather(*(one.round() for one in rescuers)))
        world.clock.move(BEAT_S)
    assert total == 1
    assert (await world.verbs(task.id)).count("rescue") == 1


async def test_rescues_go_on_after_the_clock_went_back(world):
    rescuer = Rescuer(W1, world.around)
    await beats(world, rescuer, 4)
    world.clock.move(-3600)
    assert await rescuer.round() == 0
    await claimed_by(world, W2)
    world.clock.move(BEAT_S)
    assert await beats(world, rescuer, 3) == 0
    assert await beats(world, rescuer, 1) == 1


async def test_rescuer_beats_three_times_a_lease_until_told_to_stop(world):
    rescuer = Rescuer(W1, world.around, lease_s=3.0)
    loop = asyncio.ensure_future(rescuer.run())
    await settled()
    assert world.clock.next_timer == NOW.replace(second=6)
    world.around.stopping.set()
    await loop


async def test_snoozed_task_comes_at_once_when_the_clock_went_back(world):
    task = await claimed_by(world, W1)
    now = world.clock.now()
    await world.stores.tasks.write(lifecycle.snooze(task, now, now + timedelta(seconds=30)))
    later = make_scheduled(1, now + timedelta(minutes=5), now)
    await world.stores.tasks.write(lifecycle.submit(later))
    rescuer = Rescuer(W1, world.around)
    await rescuer.round()
    world.clock.move(-3_600)
    assert await world.stores.tasks.claim(W1, 9, world.clock.now()) == []
    await rescuer.round()
    assert [one.id for one in await world.stores.tasks.claim(W1, 9, world.clock.now())] == [task.id]


async def test_task_waits_for_its_moment_when_the_clock_goes_on(world):
    task = await claimed_by(world, W1)
    now = world.clock.now()
    await world.stores.tasks.write(lifecycle.snooze(task, now, now + timedelta(seconds=30)))
    await beats(world, Rescuer(W1, world.around), 3)
    assert await world.stores.tasks.claim(W1, 9, world.clock.now()) == []
