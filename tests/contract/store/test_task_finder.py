import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.support.builders import (
    NOW,
    OTHER_PROJECT,
    PROJECT,
    W1,
    after,
    instance_id,
    make_scheduled,
    make_step,
    make_task,
)
from tests.support.clocks import MovedClock
from tests.support.promises import promised

from backroom.domain import lifecycle
from backroom.domain.errors import ClientTokenTaken, QuotaReached
from backroom.domain.filter import TaskSearch
from backroom.domain.task import Kind, QueueLimits, Receipt, State
from backroom.engine.cleaner import Cleaner
from backroom.engine.surroundings import Surroundings
from backroom.ports import TaskFinder, TaskStore

ANY = TaskSearch(project_id=PROJECT)


async def submitted(stores, number=1, at=NOW, **given):
    task = make_task(number, at, **given)
    await stores.tasks.write(lifecycle.submit(task))
    return task


async def run_head(stores, at, how=lifecycle.complete, steps=()):
    (taken,) = await stores.tasks.claim(W1, 1, at)
    if how is lifecycle.complete:
        await stores.tasks.write(how(taken, at, steps))
    return taken


async def ids(stores, wanted, limit=100):
    found = await stores.finder.search(wanted, None, limit)
    return [task.id for task in found.tasks]


@promised(TaskFinder.search, "Newest first by (created_at, key)")
async def test_search_finds_the_projects_tasks_newest_first(stores):
    made = [await submitted(stores, number, after(number)) for number in (3, 1, 2)]
    await submitted(stores, 4, project_id=OTHER_PROJECT)
    wanted = sorted(made, key=lambda task: task.created_at, reverse=True)
    assert await ids(stores, ANY) == [task.id for task in wanted]
    found = await stores.finder.search(ANY, None, 100)
    assert found.position is None
    assert found.tasks[0] == wanted[0]


async def test_each_filter_narrows_the_search(stores):
    one = await submitted(stores, 1, after(1), name="alpha", user_name="ann", params='{"a":"x%y"}')
    two = await submitted(stores, 2, after(2), name="beta", user_id="f" * 32)
    three = make_scheduled(1, after(600), after(3))
    await stores.tasks.write(lifecycle.submit(three))
    await run_head(stores, after(4))

    async def narrowed(**by):
        return await ids(stores, msgspec.structs.replace(ANY, **by))

    assert await narrowed(instance_id=instance_id(1)) == [three.id, one.id]
    assert await narrowed(kinds=frozenset({Kind.SCHEDULED})) == [three.id]
    assert await narrowed(states=frozenset({State.SUCCEEDED})) == [one.id]
    assert await narrowed(states=frozenset({State.WAITING})) == [three.id, two.id]
    assert await narrowed(states=frozenset({State.FAILED})) == []
    assert await narrowed(states=frozenset(State)) == [three.id, two.id, one.id]
    assert await narrowed(names=frozenset({"alpha", "none"})) == [one.id]
    assert await narrowed(user="ann") == [one.id]
    assert await narrowed(user="f" * 32) == [two.id]
    assert await narrowed(text="x%y") == [one.id]
    assert await narrowed(text="X%Y") == []
    assert await narrowed(created_from=after(2), created_to=after(2)) == [two.id]
    assert await narrowed(instance_id=instance_id(1), states=frozenset({State.WAITING})) == [
        three.id
    ]
    assert await ids(stores, TaskSearch(project_id=OTHER_PROJECT, instance_id=instance_id(1))) == []


@pytest.mark.parametrize("states", [frozenset(), frozenset({State.WAITING, State.RUNNING})])
async def test_pages_joined_give_everything_once_although_more_comes(stores, states):
    made = [await submitted(stores, n % 3 + 1, after(n // 2)) for n in range(9)]
    wanted = msgspec.structs.replace(ANY, states=states)
    seen, position = [], None
    while True:
        found = await stores.finder.search(wanted, position, 2)
        seen += [task.id for task in found.tasks]
        position = found.position
        if position is None:
            break
        await submitted(stores, 1, after(100))
    assert sorted(seen) == sorted(task.id for task in made)
    assert len(seen) == len(set(seen)) == 9


@promised(TaskFinder.place, "Of a waiting task.")
async def test_place_names_the_holder_and_those_before(stores):
    made = [await submitted(stores, name=f"op{n}") for n in range(3)]
    place = await stores.finder.place(made[2])
    assert (place.holder, place.ahead, place.ready_at) == (None, ("op0", "op1"), NOW)
    running = await run_head(stores, after(1), how=None)
    place = await stores.finder.place(made[2])
    assert (place.holder, place.ahead) == (running, ("op1",))
    assert (await stores.finder.place(made[1])).ahead == ()


@promised(TaskFinder.durations, "over the last 20 tasks of this name that succeeded")
async def test_durations_are_medians_of_the_last_that_succeeded(stores):
    for taken_s in (1_000, *[10] * 15, *[2] * 5):  # the first is the 21st: too old
        await submitted(stores, name="alpha", at=after(taken_s))
        at = after(taken_s)
        step = make_step(started_at=at, ended_at=at + timedelta(seconds=taken_s))
        await run_head(stores, at, steps=(step,))
    await submitted(stores, name="beta")
    assert await stores.finder.durations("alpha") == {"step_0": 10.0}
    assert await stores.finder.durations("beta") == {}


async def test_load_counts_what_is_in_flight(stores):
    empty = await stores.finder.load()
    assert (empty.tallies, empty.lanes, empty.deepest, empty.oldest_claim_at) == ((), 0, 0, None)
    for number in (1, 1, 1, 2):
        await submitted(stores, number, name="alpha")
    await stores.tasks.claim(W1, 1, after(5))
    load = await stores.finder.load()
    assert [(one.state, one.name, one.count) for one in load.tallies] == [
        (State.RUNNING, "alpha", 1), (State.WAITING, "alpha", 3),
    ]  # fmt: skip
    assert (load.lanes, load.deepest) == (2, 3)
    assert (load.oldest_claim_at, load.oldest_beat_at) == (after(5), after(5))
    assert load.overdue_since == NOW


@promised(TaskFinder.ended, "oldest end first")
async def test_ended_gives_the_oldest_ends_and_nothing_in_flight(stores):
    for number in (1, 2, 3):
        await submitted(stores, number)
    ended = [await run_head(stores, after(number)) for number in (1, 2)]
    found = await stores.finder.ended(after(10), 10)
    assert [task.id for task in found] == [task.id for task in ended]
    assert [task.id for task in await stores.finder.ended(after(2), 10)] == [ended[0].id]
    assert len(await stores.finder.ended(after(10), 1)) == 1


def receipt_of(task, token="t", until=None, digest=b"d" * 32):  # noqa: S107  a client's token
    return Receipt(
        project_id=task.project_id, token=token, digest=digest, task_id=task.id,
        instance_id=task.instance_id, until=until or after(60),
    )  # fmt: skip


@promised(TaskStore.write, "raises ClientTokenTaken")
@pytest.mark.rule(1)
async def test_receipt_is_kept_with_its_submit_and_its_token_taken_once(stores):
    first, second = make_task(1), make_task(1, after(30))
    for task in (first, second):
        change = msgspec.structs.replace(lifecycle.submit(task), receipt=receipt_of(task))
        if task is first:
            await stores.tasks.write(change)
        else:
            with pytest.raises(ClientTokenTaken):
                await stores.tasks.write(change)
    assert await stores.tasks.get(second.id) is None
    assert await stores.finder.receipt(PROJECT, "t", after(30)) == receipt_of(first)
    assert await stores.finder.receipt(PROJECT, "other", NOW) is None
    assert await stores.finder.receipt(OTHER_PROJECT, "t", NOW) is None
    assert (await stores.journal.head(PROJECT)).sequence == 1


async def test_token_is_free_again_when_its_receipt_is_over(stores):
    first = make_task(1)
    await stores.tasks.write(
        msgspec.structs.replace(lifecycle.submit(first), receipt=receipt_of(first))
    )
    assert await stores.finder.receipt(PROJECT, "t", after(61)) is None
    later = make_task(1, after(61))
    again = receipt_of(later, until=after(90), digest=b"e" * 32)
    await stores.tasks.write(msgspec.structs.replace(lifecycle.submit(later), receipt=again))
    assert await stores.finder.receipt(PROJECT, "t", after(61)) == again


@promised(TaskFinder.surplus, "The oldest ended tasks of instances that keep more than `most`")
async def test_surplus_counts_ended_tasks_only(stores):
    made = [(await submitted(stores)).id for _ in range(5)]
    for moment in range(5):
        await run_head(stores, after(moment))
    for moment in range(3):
        await submitted(stores, 2, after(moment))
        await run_head(stores, after(moment))
    await submitted(stores)
    assert [task.id for task in await stores.finder.surplus(3, 100)] == made[:2]
    assert [task.id for task in await stores.finder.surplus(3, 1)] == made[:1]
    assert await stores.finder.surplus(5, 100) == []


async def test_cleaner_leaves_as_many_ended_tasks_as_may_be_kept(stores):
    made = [(await submitted(stores)).id for _ in range(5)]
    for moment in range(4):
        await run_head(stores, after(moment))
    (running,) = await stores.tasks.claim(W1, 1, after(4))
    made.append((await submitted(stores)).id)
    clock = MovedClock(after(5))
    around = Surroundings(
        stores.tasks, stores.instances, None, clock, None, asyncio.Event(), None
    )  # fmt: skip
    cleaner = Cleaner(around, stores.finder, keep_most=3)
    assert [await cleaner.round(), await cleaner.round()] == [1, 0]
    assert sorted(await ids(stores, ANY)) == sorted(made[1:])
    await stores.tasks.write(lifecycle.complete(running, after(6), ()))
    assert [await cleaner.round(), await cleaner.round()] == [1, 0]
    assert sorted(await ids(stores, ANY)) == sorted(made[2:])


@promised(TaskFinder.forget_receipts, "Drop those that are over.")
async def test_only_receipts_that_are_over_are_dropped(stores):
    for token, until in (("old", after(1)), ("new", after(60))):
        task = make_task(1)
        receipt = receipt_of(task, token, until)
        await stores.tasks.write(msgspec.structs.replace(lifecycle.submit(task), receipt=receipt))
    await stores.finder.forget_receipts(after(2))
    assert await stores.finder.receipt(PROJECT, "old", NOW) is None
    assert await stores.finder.receipt(PROJECT, "new", NOW) is not None


@promised(TaskStore.write, "Limits that the submit would pass raise QuotaReached")
@pytest.mark.parametrize("limits", [QueueLimits(2, 9), QueueLimits(9, 2)])
@pytest.mark.rule(12)
async def test_submit_over_a_limit_writes_nothing(stores, limits):
    def change(task):
        return msgspec.structs.replace(lifecycle.submit(task), limits=limits)

    for _ in range(2):
        await stores.tasks.write(change(make_task(1)))
    late = make_task(1)
    with pytest.raises(QuotaReached) as reached:
        await stores.tasks.write(change(late))
    assert reached.value.limit == 2
    assert await stores.tasks.get(late.id) is None
    await run_head(stores, NOW)
    await stores.tasks.write(change(late))


@promised(TaskStore.hurry, "Make every background task that waits for a later moment due now.")
async def test_hurry_makes_snoozed_tasks_due_and_leaves_schedules(stores):
    await submitted(stores)
    taken = await run_head(stores, NOW, how=None)
    await stores.tasks.write(lifecycle.snooze(taken, NOW, after(600)))
    await stores.tasks.write(lifecycle.submit(make_scheduled(2, after(300))))
    await stores.tasks.hurry(after(-3_600))
    assert [task.id for task in await stores.tasks.claim(W1, 9, after(-3_600))] == [taken.id]
    assert await stores.tasks.next_due() == after(300)
