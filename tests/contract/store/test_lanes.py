import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from operator import itemgetter
from time import monotonic

import pytest
from tests.support.builders import (
    NOW,
    W1,
    W2,
    W3,
    after,
    instance_id,
    make_scheduled,
    make_step,
    make_task,
)
from tests.support.promises import promised
from tests.support.queues import queued

from backroom.domain import lifecycle
from backroom.domain.lifecycle import Fault
from backroom.domain.task import State
from backroom.ports import TaskStore

FAULT = Fault(code="DMS.00500000", message="broken", trace="at line 1")


async def submit(tasks, number=1, at=NOW, count=1):
    made = [make_task(number, at) for _ in range(count)]
    await tasks.write(*map(lifecycle.submit, made))
    return made[0] if count == 1 else made


async def claim_one(tasks, at=NOW, worker_id=W1):
    (task,) = await tasks.claim(worker_id, 1, at)
    return task


def ids(tasks):
    return [task.id for task in tasks]


@promised(TaskStore.write, "it gets its place at the end of its lane")
@pytest.mark.rule(2)
async def test_lane_is_first_in_first_out(tasks):
    made = await submit(tasks, count=20)
    order = []
    for _ in made:
        task = await claim_one(tasks)
        order.append(task.id)
        assert await tasks.claim(W2, 9, after(9)) == []
        await tasks.write(lifecycle.complete(task, NOW, ()))
    assert order == ids(made)
    assert await tasks.claim(W1, 9, after(9)) == []


async def test_lane_is_in_the_order_of_submission_when_the_clock_jumps_back(tasks):
    made = [await submit(tasks, at=after(seconds)) for seconds in (9, 0, 5, -7)]
    order = []
    for _ in made:
        task = await claim_one(tasks, after(10))
        order.append(task.id)
        await tasks.write(lifecycle.complete(task, after(10), ()))
    assert order == ids(made)


@promised(TaskStore.claim, "Oldest first")
@pytest.mark.rule(2)
async def test_claim_takes_the_lanes_that_are_ready_longest(tasks):
    for number, seconds in ((1, 3), (2, 1), (3, 2)):
        await submit(tasks, number, after(seconds), count=2)
    assert [one.instance_id for one in await tasks.claim(W1, 2, after(3))] == [
        instance_id(2), instance_id(3),
    ]  # fmt: skip
    assert [one.instance_id for one in await tasks.claim(W1, 9, after(3))] == [instance_id(1)]


@promised(TaskStore.claim, "that had nothing to do counts as ready a minute before it was")
@pytest.mark.parametrize(("seconds", "first"), [(59, 2), (61, 1)])
async def test_lane_that_had_nothing_to_do_is_a_minute_ahead(tasks, seconds, first):
    await submit(tasks, 1, count=3)
    await tasks.write(lifecycle.complete(await claim_one(tasks), NOW, ()))
    await submit(tasks, 2, after(seconds))
    assert (await claim_one(tasks, after(seconds))).instance_id == instance_id(first)


@promised(TaskStore.claim, "those of the `spare` next that had nothing to do")
async def test_spare_is_for_lanes_that_had_nothing_to_do(tasks):
    await submit(tasks, 1, count=3)
    await tasks.write(lifecycle.complete(await claim_one(tasks), NOW, ()))
    assert await tasks.claim(W1, 0, after(1), 5) == []
    for number in (2, 3, 4):
        await submit(tasks, number, after(number))
    first = await tasks.claim(W1, 1, after(5), 1)
    assert [one.instance_id for one in first] == [instance_id(2), instance_id(3)]
    others = await tasks.claim(W1, 0, after(5), 5)
    assert [one.instance_id for one in others] == [instance_id(4)]
    assert [one.instance_id for one in await tasks.claim(W1, 5, after(5), 5)] == [instance_id(1)]


@pytest.mark.parametrize(("limit", "spare"), [(0, 0), (-1, 0), (0, -1)])
async def test_claim_takes_nothing_when_there_is_no_place(tasks, limit, spare):
    await submit(tasks)
    assert await tasks.claim(W1, limit, after(1), spare) == []


async def test_lane_has_no_head_start_when_its_task_is_for_later(tasks):
    await tasks.write(lifecycle.submit(make_task(1, due_at=after(60))))
    assert await tasks.claim(W1, 9, after(59)) == []
    await submit(tasks, 2, after(60))
    assert (await claim_one(tasks, after(60))).instance_id == instance_id(2)
    assert (await claim_one(tasks, after(60))).instance_id == instance_id(1)


async def test_claim_takes_nothing_when_lanes_are_empty(tasks):
    assert await tasks.claim(W1, 9, after(1)) == []
    assert await tasks.next_due() is None
    assert await tasks.current(instance_id(1)) is None
    assert await queued(tasks, instance_id(1)) == 0


async def test_claimed_task_is_what_is_stored(tasks):
    await submit(tasks)
    task = await claim_one(tasks, after(1))
    assert await tasks.get(task.id) == task
    assert (task.state, task.worker_id, task.epoch, task.attempt) == (State.RUNNING, W1, 1, 1)
    history = await tasks.history(task.id)
    assert [event.verb for event in history.events] == ["submit", "claim"]
    assert [attempt.outcome for attempt in history.attempts] == [None]


@pytest.mark.rule(2)
async def test_fresh_lane_is_claimed_although_another_has_a_thousand_queued(tasks):
    await submit(tasks, 1, count=1_001)
    first = await claim_one(tasks)
    await submit(tasks, 2, after(1))
    await tasks.write(lifecycle.complete(first, after(2), ()))
    assert await queued(tasks, instance_id(1)) == 1_000
    assert (await claim_one(tasks, after(2))).instance_id == instance_id(2)
    assert (await claim_one(tasks, after(2))).instance_id == instance_id(1)


@promised(TaskStore.current, "running, or next to run")
async def test_queue_is_counted_without_the_one_that_runs(tasks):
    made = await submit(tasks, count=3)
    assert await queued(tasks, instance_id(1)) == 3
    assert (await tasks.current(instance_id(1))).id == made[0].id
    task = await claim_one(tasks)
    assert await queued(tasks, instance_id(1)) == 2
    assert (await tasks.current(instance_id(1))).state == State.RUNNING
    await tasks.write(lifecycle.complete(task, NOW, ()))
    assert await queued(tasks, instance_id(1)) == 2
    assert (await tasks.current(instance_id(1))).id == made[1].id


async def test_snoozed_head_keeps_its_lane(tasks):
    first, second = await submit(tasks, count=2)
    task = await claim_one(tasks)
    await tasks.write(lifecycle.snooze(task, NOW, after(5), make_step(percent=3)))
    assert await tasks.claim(W2, 9, after(4)) == []
    assert await tasks.next_due() == after(5)
    assert (await tasks.current(instance_id(1))).id == first.id
    task = await claim_one(tasks, after(5), W2)
    assert task.id == first.id
    await tasks.write(lifecycle.complete(task, after(5), ()))
    assert (await claim_one(tasks, after(5))).id == second.id


async def test_retried_head_keeps_its_lane(tasks):
    first, _ = await submit(tasks, count=2)
    await tasks.write(lifecycle.retry(await claim_one(tasks), NOW, after(5), FAULT))
    assert await tasks.claim(W2, 9, after(4)) == []
    assert (await claim_one(tasks, after(5), W2)).id == first.id


async def test_rescued_head_is_claimed_first_and_at_once(tasks):
    first, _ = await submit(tasks, count=2)
    await tasks.write(lifecycle.rescue(await claim_one(tasks), after(1), W2))
    assert (await claim_one(tasks, after(1), W2)).id == first.id


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_task_cancelled_while_queued_does_not_block(tasks, which):
    made = await submit(tasks, count=3)
    await tasks.write(lifecycle.cancel(made[which], NOW, "tester"))
    left = [task for task in made if task is not made[which]]
    order = []
    for _ in left:
        task = await claim_one(tasks)
        order.append(task.id)
        await tasks.write(lifecycle.complete(task, NOW, ()))
    assert order == ids(left)
    assert await tasks.current(instance_id(1)) is None


@pytest.mark.parametrize("which", [0, 1])
async def test_running_task_keeps_its_lane_when_one_behind_it_is_cancelled(tasks, which):
    running, *behind = await submit(tasks, count=3)
    task = await claim_one(tasks)
    await tasks.write(lifecycle.cancel(behind[which], NOW, "tester"))
    assert await tasks.claim(W2, 9, after(9)) == []
    assert await tasks.next_due() is None
    assert (await tasks.current(instance_id(1))).id == running.id
    await tasks.write(lifecycle.complete(task, NOW, ()))
    assert (await claim_one(tasks)).id == behind[1 - which].id


async def test_lane_starts_again_when_it_was_empty(tasks):
    for _ in range(3):
        task = await submit(tasks)
        await tasks.write(lifecycle.cancel(task, NOW, "tester"))
        assert await tasks.next_due() is None
    last = await submit(tasks)
    assert (await claim_one(tasks)).id == last.id


@pytest.mark.rule(4)
async def test_running_task_keeps_its_lane_while_it_is_asked_to_cancel(tasks):
    _, second = await submit(tasks, count=2)
    task = await claim_one(tasks)
    asked = lifecycle.ask_cancel(task, after(1), "tester")
    await tasks.write(asked)
    assert await tasks.claim(W2, 9, after(99)) == []
    assert (await tasks.held(W1))[0].cancel_asked_at == after(1)
    await tasks.write(lifecycle.stop(asked.task, after(2)))
    assert (await claim_one(tasks, after(2), W2)).id == second.id


async def test_snoozed_task_is_ready_when_its_cancel_is_asked(tasks):
    await submit(tasks)
    slept = lifecycle.snooze(await claim_one(tasks), NOW, after(600), make_step())
    await tasks.write(slept)
    await tasks.write(lifecycle.ask_cancel(slept.task, after(1), "tester"))
    assert (await claim_one(tasks, after(1), W2)).cancel_asked_at == after(1)


@promised(TaskStore.next_due, "When the next lane that nobody holds gets ready")
async def test_next_due_is_the_earliest_lane_nobody_holds(tasks):
    for number, seconds in ((1, 30), (2, 10), (3, 20)):
        task = make_scheduled(number, after(seconds))
        await tasks.write(lifecycle.submit(task))
    assert await tasks.next_due() == after(10)
    assert await tasks.claim(W1, 9, after(9.999)) == []
    (task,) = await tasks.claim(W1, 9, after(10))
    assert task.execute_at == after(10)
    assert await tasks.next_due() == after(20)
    await tasks.write(lifecycle.rescue(task, after(11), W2))
    assert await tasks.next_due() == after(11)


async def test_rescheduled_task_is_due_at_its_new_moment(tasks):
    task = make_scheduled(1, after(10))
    await tasks.write(lifecycle.submit(task))
    later = lifecycle.reschedule(task, NOW, after(20), "tester")
    await tasks.write(later)
    assert await tasks.next_due() == after(20)
    assert await tasks.claim(W1, 9, after(19)) == []
    await tasks.write(lifecycle.reschedule(later.task, NOW, after(5), "tester"))
    assert len(await tasks.claim(W1, 9, after(5))) == 1


async def test_scheduled_task_does_not_wait_behind_the_queue_of_its_instance(tasks):
    await submit(tasks, count=3)
    await claim_one(tasks)
    scheduled = make_scheduled(1, after(1))
    await tasks.write(lifecycle.submit(scheduled))
    assert ids(await tasks.claim(W2, 9, after(1))) == [scheduled.id]


async def test_queued_task_waits_for_its_own_moment_when_it_becomes_head(tasks):
    first = make_task(1)
    second = make_task(1, due_at=after(30))
    await tasks.write(lifecycle.submit(first), lifecycle.submit(second))
    await tasks.write(lifecycle.complete(await claim_one(tasks), NOW, ()))
    assert await tasks.claim(W1, 9, after(29)) == []
    assert (await claim_one(tasks, after(30))).id == second.id


@promised(TaskStore.claim, "Two workers never get the same lane.")
async def test_two_claims_at_once_never_get_the_same_lane(database):
    one, other = database.open().tasks, database.open().tasks
    for number in range(1, 21):
        await submit(one, number, count=2)
    taken = await asyncio.gather(
        *(
            store.claim(worker, 3, NOW)
            for _ in range(5)
            for store, worker in ((one, W1), (other, W2))
        )
    )
    lanes = [task.lane for group in taken for task in group]
    assert len(lanes) == len(set(lanes)) == 20


async def work(database, worker_id, start, runs):
    """Claim and complete until all lanes are empty; note when each run begins and ends."""
    tasks = database.open().tasks
    start.wait()
    while await tasks.next_due() is not None or await queued(tasks, instance_id(1)):
        for task in await tasks.claim(worker_id, 2, NOW):
            begun = monotonic()
            kept = lifecycle.record(task, NOW, (make_step(),))
            await tasks.write(kept)
            ended = monotonic()
            await tasks.write(lifecycle.complete(kept.task, NOW, (make_step(1),)))
            runs.append((task.lane, begun, ended, task.id))


@promised(TaskStore.claim, "Two workers never get the same lane.")
def test_workers_in_threads_never_share_a_lane(shared):
    tasks = shared.open().tasks
    made = {}
    for number in range(1, 13):
        made[instance_id(number)] = ids(asyncio.run(submit(tasks, number, count=8)))
    runs, start = [], threading.Barrier(3)
    with ThreadPoolExecutor(3) as threads:
        ends = [
            threads.submit(lambda worker=worker: asyncio.run(work(shared, worker, start, runs)))
            for worker in (W1, W2, W3)
        ]
    assert [end.result() for end in ends] == [None] * 3
    for lane, expected in made.items():
        of_lane = sorted((run for run in runs if run[0] == lane), key=itemgetter(1))
        assert [run[3] for run in of_lane] == expected
        assert all(earlier[2] <= later[1] for earlier, later in pairwise(of_lane))


@promised(TaskStore.held, "Running tasks of this worker, the longest held first.")
async def test_held_are_the_running_tasks_of_one_worker(tasks):
    for number in (3, 1, 2):
        await submit(tasks, number, after(number))
    await submit(tasks, 4, after(4))
    third = await claim_one(tasks, after(10))
    second = await claim_one(tasks, after(11))
    other = await claim_one(tasks, after(12), W2)
    assert await tasks.held(W1) == [third, second]
    assert await tasks.held(W2) == [other]
    await tasks.write(lifecycle.complete(third, after(13), ()))
    assert await tasks.held(W1) == [second]
    assert await tasks.held(W3) == []


@promised(TaskStore.dead_workers, "Workers that hold running tasks and whose last beat is before")
async def test_dead_workers_are_those_with_tasks_and_without_a_late_beat(tasks):
    await tasks.beat(W3, NOW)
    await submit(tasks, 1)
    await submit(tasks, 2)
    await claim_one(tasks, NOW, W1)
    await claim_one(tasks, NOW, W2)
    await tasks.beat(W1, after(10))
    await tasks.beat(W2, after(20))
    assert await tasks.dead_workers(after(10)) == []
    assert await tasks.dead_workers(after(10.001)) == [W1]
    assert sorted(await tasks.dead_workers(after(21))) == [W1, W2]
    await tasks.beat(W1, after(30))
    assert await tasks.dead_workers(after(21)) == [W2]


@promised(TaskStore.claim, "A claim is a beat too")
async def test_worker_that_just_claimed_is_alive_although_its_beat_is_still_on_its_way(tasks):
    await tasks.beat(W1, after(-3600))
    await submit(tasks, 1)
    await submit(tasks, 2)
    await claim_one(tasks, NOW, W1)
    await claim_one(tasks, NOW, W2)
    assert await tasks.dead_workers(NOW) == []
    assert sorted(await tasks.dead_workers(after(0.001))) == [W1, W2]
