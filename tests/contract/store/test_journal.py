import asyncio
from datetime import timedelta

import pytest
from tests.support.builders import NOW, OTHER_PROJECT, PROJECT, W1, after, instance_id, make_task
from tests.support.promises import promised

from backroom.domain import lifecycle
from backroom.domain.chain import GENESIS, ChainHead, first_broken
from backroom.domain.filter import EventFilter
from backroom.domain.task import State
from backroom.ports import Journal, Tally, TaskStore

ALL = EventFilter(project_id=PROJECT)


async def run_one(tasks, number=1, at=NOW):
    task = make_task(number, at)
    await tasks.write(lifecycle.submit(task))
    (taken,) = await tasks.claim(W1, 1, at)
    await tasks.write(lifecycle.complete(taken, at, ()))
    return task


@promised(TaskStore.write, "Each event gets the next place")
async def test_events_are_chained_in_the_order_written(stores):
    await run_one(stores.tasks)
    await run_one(stores.tasks, 2, after(1))
    events = await stores.journal.events(ALL, 100)
    assert [one.sequence for one in events] == [1, 2, 3, 4, 5, 6]
    assert [one.event.verb for one in events] == ["submit", "claim", "complete"] * 2
    assert first_broken(ChainHead(0, GENESIS), events) is None
    assert await stores.journal.head(PROJECT) == ChainHead(6, events[-1].hash)


@promised(Journal.head, "sequence 0 and GENESIS where there is none")
async def test_chain_is_empty_before_the_first_event(stores):
    assert await stores.journal.head(PROJECT) == ChainHead(0, GENESIS)
    assert await stores.journal.events(ALL, 10) == []


async def test_each_project_has_a_chain_of_its_own(stores):
    await stores.tasks.write(lifecycle.submit(make_task(1)))
    await stores.tasks.write(lifecycle.submit(make_task(2, project_id=OTHER_PROJECT)))
    await stores.tasks.write(lifecycle.submit(make_task(1)))
    assert (await stores.journal.head(PROJECT)).sequence == 2
    (other,) = await stores.journal.events(EventFilter(project_id=OTHER_PROJECT), 10)
    assert (other.sequence, other.instance_id) == (1, instance_id(2))
    assert first_broken(ChainHead(0, GENESIS), [other]) is None


async def test_chain_goes_on_where_many_processes_write(database):
    both = [database.open() for _ in range(2)]
    await asyncio.gather(
        *(one.tasks.write(lifecycle.submit(make_task(1))) for _ in range(20) for one in both)
    )
    events = await both[0].journal.events(ALL, 100)
    assert len(events) == 40
    assert first_broken(ChainHead(0, GENESIS), events) is None


async def test_events_stay_when_the_record_is_deleted(stores):
    task = await run_one(stores.tasks)
    ended = await stores.tasks.get(task.id)
    await stores.tasks.write(lifecycle.delete(ended, after(5), "somebody"))
    events = await stores.journal.events(EventFilter(project_id=PROJECT, task_id=task.id), 10)
    assert [one.event.verb for one in events] == ["submit", "claim", "complete", "delete"]
    assert first_broken(ChainHead(0, GENESIS), events) is None


@promised(Journal.events, "In order of sequence.")
async def test_events_are_told_apart_by_task_and_instance_and_go_on_after(stores):
    first = await run_one(stores.tasks)
    await run_one(stores.tasks, 2)
    third = await run_one(stores.tasks)
    of_instance = EventFilter(project_id=PROJECT, instance_id=instance_id(1), after=2)
    found = await stores.journal.events(of_instance, 100)
    assert [(one.sequence, one.task_id) for one in found] == [
        (3, first.id), (7, third.id), (8, third.id), (9, third.id),
    ]  # fmt: skip
    of_task = EventFilter(project_id=PROJECT, task_id=third.id, after=7)
    assert [one.sequence for one in await stores.journal.events(of_task, 1)] == [8]
    strange = EventFilter(project_id=OTHER_PROJECT, task_id=third.id)
    assert await stores.journal.events(strange, 10) == []


@promised(Journal.wait, "Return once `rung` is another")
async def test_wait_ends_when_something_is_written(stores):
    rung = stores.journal.rung
    until = NOW.now(NOW.tzinfo) + timedelta(seconds=30)
    waiting = asyncio.create_task(stores.journal.wait(rung, until))
    await stores.tasks.write(lifecycle.submit(make_task(1)))
    await asyncio.wait_for(waiting, 10)
    assert stores.journal.rung > rung


@pytest.mark.parametrize("passed_s", [0, 0.05])
async def test_wait_ends_at_its_moment_when_nothing_is_written(stores, passed_s):
    rung = stores.journal.rung
    until = NOW.now(NOW.tzinfo) + timedelta(seconds=passed_s)
    await asyncio.wait_for(stores.journal.wait(rung, until), 10)
    assert NOW.now(NOW.tzinfo) >= until


@promised(Journal.heads, "The sequence of the last event of each project that has one.")
async def test_heads_are_those_of_all_projects(stores):
    assert await stores.journal.heads() == {}
    await run_one(stores.tasks)
    await stores.tasks.write(lifecycle.submit(make_task(2, project_id=OTHER_PROJECT)))
    assert await stores.journal.heads() == {PROJECT: 3, OTHER_PROJECT: 1}


async def end_one(tasks, how, number, **given):
    await tasks.write(lifecycle.submit(make_task(number, **given)))
    (taken,) = await tasks.claim(W1, 1, NOW)
    await tasks.write(how(taken))


def completed(task):
    return lifecycle.complete(task, NOW, ())


def failed(task):
    return lifecycle.fail(task, NOW, lifecycle.Fault(code="c", message="m"), None)


@promised(Journal.ends, "How many events end a task, by final state and name")
@promised(Journal.ends, "Of the events with a sequence beyond `after`, up to `until`")
async def test_ends_are_told_by_state_and_name_in_a_range(stores):
    tasks, ends = stores.tasks, stores.journal.ends
    await end_one(tasks, completed, 1, name="one")
    await end_one(tasks, failed, 2, name="one")
    await end_one(tasks, completed, 1, name="other")
    await end_one(tasks, completed, 4, name="one", project_id=OTHER_PROJECT)
    waiting = make_task(3, name="one")
    await tasks.write(lifecycle.submit(waiting))
    await tasks.write(lifecycle.cancel(waiting, NOW, "ann"))
    all_ends = [
        Tally(State.CANCELLED, "one", 1), Tally(State.FAILED, "one", 1),
        Tally(State.SUCCEEDED, "one", 1), Tally(State.SUCCEEDED, "other", 1),
    ]  # fmt: skip
    assert await ends(PROJECT, 0, 11) == all_ends
    assert await ends(PROJECT, 3, 6) == [Tally(State.FAILED, "one", 1)]
    assert await ends(PROJECT, 2, 3) == [Tally(State.SUCCEEDED, "one", 1)]
    assert await ends(PROJECT, 3, 5) == []
    assert await ends(OTHER_PROJECT, 0, 3) == [Tally(State.SUCCEEDED, "one", 1)]


@promised(Journal.ends, "also of records deleted since.")
async def test_ends_of_deleted_records_keep_their_name(stores):
    for number, reason in ((1, None), (2, "a: b"), (3, "")):
        task = make_task(number, name="one", reason=reason)
        await stores.tasks.write(lifecycle.submit(task))
        cancelled = lifecycle.cancel(task, NOW, "ann")
        await stores.tasks.write(cancelled)
        await stores.tasks.write(lifecycle.delete(cancelled.task, NOW, "ann"))
    assert await stores.journal.ends(PROJECT, 0, 9) == [Tally(State.CANCELLED, "one", 3)]
