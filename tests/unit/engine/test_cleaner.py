from datetime import timedelta

import pytest
from tests.support.builders import NOW, PROJECT, W1, after, instance_id, make_task
from tests.support.queues import queued

from backroom.domain import lifecycle
from backroom.domain.filter import EventFilter, Page, TaskFilter
from backroom.domain.task import Receipt
from backroom.engine.cleaner import GROUP, Cleaner


async def ended(world, count, number=1):
    made = []
    for _ in range(count):
        task = make_task(number, world.clock.now())
        await world.stores.tasks.write(lifecycle.submit(task))
        (running,) = await world.stores.tasks.claim(W1, 1, world.clock.now())
        await world.stores.tasks.write(lifecycle.complete(running, world.clock.now(), ()))
        made.append(task.id)
    return made


async def left(world, number=1):
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id(number))
    found = await world.stores.tasks.find(wanted, Page(0, 1_000))
    assert found.total == len(found.tasks)
    return [record.id for record in reversed(found.tasks)]


async def test_record_is_cleared_when_its_end_is_older_than_the_retention(world):
    old = await ended(world, 2)
    world.clock.move(86_400)
    young = await ended(world, 1)
    cleaner = Cleaner(world.around, world.finder, retention_days=1)
    assert await cleaner.round() == 0
    world.clock.move(1)
    assert await cleaner.round() == 2
    assert await left(world) == young
    events = await world.journal.events(EventFilter(project_id=PROJECT), 100)
    assert [e.task_id for e in events if e.event.verb == "delete"] == old
    assert {e.event.actor for e in events if e.event.verb == "delete"} == {"retention"}


async def test_task_in_flight_is_kept_however_old_it_is(world):
    waiting = make_task(1, world.clock.now())
    await world.stores.tasks.write(lifecycle.submit(waiting))
    running = make_task(2, world.clock.now())
    await world.stores.tasks.write(lifecycle.submit(running))
    await world.stores.tasks.claim(W1, 1, world.clock.now())
    world.clock.move(timedelta(days=400).total_seconds())
    assert await Cleaner(world.around, world.finder, keep_most=1).round() == 0
    assert await left(world, 1) == [waiting.id]
    assert await left(world, 2) == [running.id]


async def test_oldest_ended_records_go_when_an_instance_keeps_too_many(world):
    made = await ended(world, 5)
    other = await ended(world, 2, number=2)
    waiting = make_task(1, world.clock.now())
    await world.stores.tasks.write(lifecycle.submit(waiting))
    assert await Cleaner(world.around, world.finder, keep_most=3).round() == 2
    assert await left(world) == [*made[2:], waiting.id]
    assert await left(world, 2) == other
    assert await queued(world.stores.tasks, instance_id(1)) == 1


async def test_more_than_a_group_is_cleared_in_one_round(world):
    await ended(world, GROUP + 1)
    assert await Cleaner(world.around, world.finder, keep_most=1).round() == GROUP
    assert len(await left(world)) == 1


async def test_nothing_is_cleared_when_there_is_no_limit(world):
    made = await ended(world, 3)
    world.clock.move(timedelta(days=4_000).total_seconds())
    assert await Cleaner(world.around, world.finder, retention_days=0, keep_most=0).round() == 0
    assert await left(world) == made


async def test_others_go_when_somebody_deletes_one_at_the_same_moment(world):
    made = await ended(world, 3)
    world.clock.move(timedelta(days=31).total_seconds())

    async def delete_one():
        task = await world.get(made[1])
        change = lifecycle.delete(task, world.clock.now(), "somebody")
        await world.stores.tasks.write(change)

    world.tasks.before_write = delete_one
    assert await Cleaner(world.around, world.finder).round() == 2
    assert await left(world) == []


@pytest.mark.parametrize(("passed_s", "is_known"), [(0, True), (1, False)])
async def test_receipt_is_forgotten_when_it_is_over(world, passed_s, is_known):
    task = make_task(1)
    receipt = Receipt(
        project_id=PROJECT, token="t", digest=b"d" * 32, task_id=task.id,
        instance_id=task.instance_id, until=after(60),
    )  # fmt: skip
    change = lifecycle.submit(task)
    await world.stores.tasks.write(type(change)(task=task, event=change.event, receipt=receipt))
    world.clock.move((after(60 + passed_s) - world.clock.now()).total_seconds())
    await Cleaner(world.around, world.finder).round()
    found = await world.finder.receipt(PROJECT, "t", NOW)
    assert (found == receipt) is is_known
