import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.support.builders import (
    NOW,
    PROJECT,
    W1,
    W2,
    after,
    instance_id,
    make_instance,
    make_scheduled,
    make_step,
    make_task,
)
from tests.support.promises import promised
from tests.support.queues import queued

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask
from backroom.domain.filter import Page, TaskFilter
from backroom.domain.lifecycle import Fault
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, State, StepState
from backroom.ports import TaskStore

FAULT = Fault(code="DMS.00500000", message="kaputt ☠\0", step="step_0", trace="at line 1")


async def submitted(tasks, number=1, at=NOW, **given):
    task = make_task(number, at, **given)
    await tasks.write(lifecycle.submit(task))
    return task


async def claimed(tasks, number=1, worker_id=W1, at=NOW):
    await submitted(tasks, number, at)
    (task,) = await tasks.claim(worker_id, 1, at)
    return task


async def everything(stores, *task_ids):
    """All that a change could have touched."""
    return [(await stores.tasks.get(one), await stores.tasks.history(one)) for one in task_ids] + [
        await stores.instances.get(PROJECT, instance_id(n)) for n in range(1, 4)
    ]


@promised(TaskStore.write, "Durable when it returns.")
@promised(TaskStore.get, "All of a task as last written by any process.")
@pytest.mark.rule(1)
async def test_task_is_there_for_any_process_when_written(database):
    task = make_task(
        params='{"名": "值"}', internal=b"\0\xff", reason="because\0", request_id="r1",
        parent_id="p" * 32,
    )  # fmt: skip
    await database.open().tasks.write(lifecycle.submit(task))
    other = database.open().tasks
    assert await other.get(task.id) == task
    history = await other.history(task.id)
    assert [event.verb for event in history.events] == ["submit"]
    assert (history.steps, history.attempts) == ((), ())


@promised(TaskStore.get, "All of a task as last written by any process.")
async def test_task_comes_back_as_written_whatever_happens_to_it(tasks):
    task = make_scheduled(1, after(9))
    changes = [
        lifecycle.submit(task),
        moved := lifecycle.reschedule(task, NOW, after(1), "tester"),
        taken := lifecycle.claim(moved.task, W1, after(1)),
        asked := lifecycle.ask_cancel(taken.task, after(2), "tester"),
        kept := lifecycle.record(asked.task, after(3), (make_step(output=b'"x"'),)),
        slept := lifecycle.snooze(kept.task, after(4), after(5), make_step(1, percent=7)),
        again := lifecycle.claim(slept.task, W2, after(5)),
        retried := lifecycle.retry(again.task, after(6), after(7), FAULT),
        last := lifecycle.claim(retried.task, W1, after(7)),
        lifecycle.fail(last.task, after(8), FAULT, make_step(1, state=StepState.RUNNING)),
    ]
    for change in changes:
        await tasks.write(change)
        assert await tasks.get(task.id) == change.task
    history = await tasks.history(task.id)
    assert list(history.events) == [change.event for change in changes]
    assert [step.name for step in history.steps] == ["step_0", "step_1"]
    assert history.steps[0].output == b'"x"'
    assert history.steps[1].state is StepState.FAILED
    ended = [change.attempt for change in changes if change.attempt and change.attempt.ended_at]
    assert list(history.attempts) == ended


@promised(TaskStore.record, "What anybody may see of a task: `get`, but cheap.")
async def test_record_is_the_public_part_of_get(tasks):
    task = await claimed(tasks)
    seen, whole = await tasks.record(task.id), await tasks.get(task.id)
    times = {"created_at", "updated_at", "execute_at"}
    for name in set(seen.__struct_fields__) - times:
        assert getattr(seen, name) == getattr(whole, name)
    assert (seen.created_at, seen.updated_at) == (stamp(whole.created_at), stamp(whole.updated_at))
    assert seen.execute_at is whole.execute_at is None
    assert not hasattr(seen, "internal")
    assert await tasks.record("0" * 32) is None
    assert await tasks.get("0" * 32) is None


async def test_each_gets_its_own_record_when_many_are_asked_for_at_once(tasks):
    made = [make_task(1) for _ in range(150)]
    await tasks.write(*map(lifecycle.submit, made))
    wanted = [task.id for task in made[:75]] + ["0" * 32] + [task.id for task in made[::-1]]
    found = await asyncio.gather(*map(tasks.record, wanted))
    assert [one and one.id for one in found] == [None if i == "0" * 32 else i for i in wanted]


async def test_record_is_given_to_the_others_when_one_stops_waiting(tasks):
    first, second = await submitted(tasks), await submitted(tasks)
    given_up, kept = (asyncio.ensure_future(tasks.record(one.id)) for one in (first, second))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await kept).id == second.id
    assert (await tasks.record(first.id)).id == first.id


@promised(TaskStore.write, "is written only where the stored version is one less")
@pytest.mark.rule(3)
async def test_change_is_stale_and_leaves_no_trace_when_somebody_wrote_first(stores):
    tasks = stores.tasks
    task = await claimed(tasks)
    await tasks.write(lifecycle.record(task, after(1), (make_step(),)))
    before = await everything(stores, task.id)
    for stale in (
        lifecycle.complete(task, after(2), (make_step(1),)),
        lifecycle.snooze(task, after(2), after(3), make_step(1)),
        lifecycle.rescue(task, after(2), W2),
    ):
        with pytest.raises(StaleTask) as raised:
            await tasks.write(stale)
        assert (raised.value.task_id, raised.value.version) == (task.id, task.version)
    assert await everything(stores, task.id) == before
    assert await tasks.claim(W2, 9, after(99)) == []


@promised(TaskStore.write, "in one transaction, or nothing")
async def test_all_changes_are_refused_when_the_last_is_stale(stores):
    tasks = stores.tasks
    await stores.instances.save(make_instance(1))
    first, second = await claimed(tasks, 1), await claimed(tasks, 2)
    await tasks.write(lifecycle.record(second, NOW, (make_step(),)))
    fresh = make_task(3)
    before = await everything(stores, first.id, second.id, fresh.id)
    total = (await tasks.find(TaskFilter(project_id=PROJECT, instance_id=first.instance_id),
                              Page())).total  # fmt: skip
    shown = msgspec.structs.replace(make_instance(1), version=2)
    with pytest.raises(StaleTask):
        await tasks.write(
            lifecycle.complete(first, NOW, (make_step(),)),
            lifecycle.submit(fresh, shown),
            lifecycle.complete(second, NOW, ()),
        )
    assert await everything(stores, first.id, second.id, fresh.id) == before
    assert await queued(tasks, instance_id(3)) == 0
    assert (await tasks.current(instance_id(1))).id == first.id
    again = await tasks.find(TaskFilter(project_id=PROJECT, instance_id=first.instance_id), Page())
    assert again.total == total


@promised(TaskStore.write, "Write all changes, with the instances they carry")
@promised(TaskStore.write, "An instance of version 1 is added; any other only where the stored")
@pytest.mark.rule(1)
async def test_task_and_instance_are_both_there_or_neither_is(stores):
    tasks, instances = stores.tasks, stores.instances
    instance = make_instance(1)
    await tasks.write(lifecycle.submit(make_task(1), instance))
    assert await instances.get(PROJECT, instance.id) == instance
    stale = msgspec.structs.replace(instance, version=3)
    refused = make_task(1)
    with pytest.raises(StaleTask):
        await tasks.write(lifecycle.submit(refused, stale))
    assert await tasks.get(refused.id) is None
    assert await instances.get(PROJECT, instance.id) == instance


@promised(TaskStore.write, "A change of version 1 adds a task")
async def test_task_is_refused_when_its_id_is_taken(stores):
    task = await submitted(stores.tasks)
    before = await everything(stores, task.id)
    with pytest.raises(StaleTask):
        await stores.tasks.write(lifecycle.submit(msgspec.structs.replace(task, name="other")))
    assert await everything(stores, task.id) == before


async def test_scheduled_task_ends_and_starts_its_child_in_one_write(tasks):
    task = make_scheduled(1, NOW)
    await tasks.write(lifecycle.submit(task))
    (taken,) = await tasks.claim(W1, 1, NOW)
    child = make_task(1, parent_id=task.id)
    await tasks.write(lifecycle.complete(taken, NOW, ()), lifecycle.submit(child))
    assert (await tasks.get(task.id)).state is State.SUCCEEDED
    assert [one.id for one in await tasks.claim(W1, 9, NOW)] == [child.id]
    with pytest.raises(StaleTask):
        await tasks.write(
            lifecycle.complete(taken, NOW, ()), lifecycle.submit(make_task(1, parent_id=task.id))
        )
    assert await queued(tasks, instance_id(1)) == 0


@pytest.mark.rule(3)
async def test_worker_is_fenced_after_its_task_was_rescued(stores):
    tasks = stores.tasks
    lost = await claimed(tasks)
    await tasks.write(lifecycle.rescue(lost, after(1), W2))
    (taken,) = await tasks.claim(W2, 1, after(1))
    assert taken.epoch == lost.epoch + 1
    before = await everything(stores, lost.id)
    for late in (
        lifecycle.record(lost, after(2), (make_step(),)),
        lifecycle.complete(lost, after(2), (make_step(),)),
        lifecycle.fail(lost, after(2), FAULT, None),
    ):
        with pytest.raises(StaleTask):
            await tasks.write(late)
    assert await everything(stores, lost.id) == before
    assert (await tasks.current(lost.lane)).state == State.RUNNING


@promised(TaskStore.write, "a created_at not before that of the task added to the same instance")
async def test_created_at_never_decreases_in_a_stream_when_the_clock_jumps_back(tasks):
    first = await submitted(tasks, 1, after(60))
    second = await submitted(tasks, 1, NOW)
    third = await submitted(tasks, 1, after(90))
    elsewhere = await submitted(tasks, 2, NOW)
    scheduled = make_scheduled(1, after(999), NOW)
    await tasks.write(lifecycle.submit(scheduled))
    shown = [await tasks.record(one.id) for one in (first, second, third)]
    assert [one.created_at for one in shown] == [*map(stamp, (after(60), after(60), after(90)))]
    assert all(one.updated_at >= one.created_at for one in shown)
    for other in (elsewhere, scheduled):
        assert (await tasks.record(other.id)).created_at == stamp(NOW)


async def test_task_starts_at_once_although_the_clock_jumped_back(tasks):
    first = await submitted(tasks, 1, after(3600))
    await tasks.write(lifecycle.cancel(first, after(3600), "tester"))
    second = await submitted(tasks, 1, NOW)
    (taken,) = await tasks.claim(W1, 9, NOW)
    assert taken.id == second.id
    await tasks.write(lifecycle.rescue(taken, after(-60), W2))
    (again,) = await tasks.claim(W2, 9, after(-60))
    third = await submitted(tasks, 1, after(-60))
    await tasks.write(lifecycle.complete(again, after(-60), ()))
    assert [one.id for one in await tasks.claim(W1, 9, after(-60))] == [third.id]


async def test_moments_keep_their_milliseconds(tasks):
    exact = NOW.replace(microsecond=1000)
    task = await submitted(tasks, 1, exact)
    assert (await tasks.get(task.id)).created_at == exact
    late = NOW.replace(microsecond=999_000) + timedelta(days=400_000)
    other = await submitted(tasks, 2, late)
    assert (await tasks.get(other.id)).created_at == late


@pytest.mark.parametrize("kind", Kind)
async def test_delete_removes_the_record_and_counts(tasks, kind):
    kept, gone = [make_task(1, kind=kind, lane=f"lane-{n}", execute_at=None) for n in range(2)]
    await tasks.write(lifecycle.submit(kept), lifecycle.submit(gone))
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id(1), kind=kind)
    ended = lifecycle.cancel(gone, NOW, "tester").task
    await tasks.write(lifecycle.cancel(gone, NOW, "tester"))
    await tasks.write(lifecycle.delete(ended, NOW, "tester"))
    assert await tasks.get(gone.id) is None
    assert await tasks.record(gone.id) is None
    page = await tasks.find(wanted, Page())
    assert ([one.id for one in page.tasks], page.total) == ([kept.id], 1)
    history = await tasks.history(gone.id)
    assert (history.steps, history.attempts) == ((), ())
    with pytest.raises(StaleTask):
        await tasks.write(lifecycle.delete(ended, NOW, "tester"))
    assert (await tasks.find(wanted, Page())).total == 1


async def test_delete_takes_steps_and_attempts_along(tasks):
    task = await claimed(tasks)
    done = lifecycle.complete(task, NOW, (make_step(),))
    await tasks.write(done)
    assert (await tasks.history(task.id)).steps
    await tasks.write(lifecycle.delete(done.task, NOW, "tester"))
    history = await tasks.history(task.id)
    assert (history.steps, history.attempts) == ((), ())
    assert history.events[-1].verb == "delete"
    assert history.events[-1].to_state is None


async def test_one_refused_write_does_not_harm_the_others_of_its_group(stores):
    tasks = stores.tasks
    stale = await claimed(tasks, 1)
    await tasks.write(lifecycle.record(stale, NOW, (make_step(),)))
    fresh = [make_task(2) for _ in range(40)]
    writes = [tasks.write(lifecycle.submit(task)) for task in fresh]
    writes[20:20] = [tasks.write(lifecycle.complete(stale, NOW, ()))]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in outcomes if one is not None] == [StaleTask]
    assert isinstance(outcomes[20], StaleTask)
    found = await tasks.find(
        TaskFilter(project_id=PROJECT, instance_id=instance_id(2)), Page(0, 100)
    )
    assert [one.id for one in found.tasks] == [one.id for one in reversed(fresh)]
    assert found.total == 40


async def test_wakes_when_a_lane_may_have_become_ready(stores):
    tasks, woken = stores.tasks, stores.woken

    async def wakes(change):
        before = len(woken)
        await tasks.write(change)
        return len(woken) > before

    first, second = make_task(1), make_task(1)
    assert await wakes(lifecycle.submit(first))
    assert await wakes(lifecycle.submit(second))
    (task,) = await tasks.claim(W1, 1, NOW)
    kept = lifecycle.record(task, NOW, (make_step(),))
    assert not await wakes(kept)
    slept = lifecycle.snooze(kept.task, NOW, after(1), make_step(1))
    assert await wakes(slept)
    (task,) = await tasks.claim(W1, 1, after(1))
    assert await wakes(lifecycle.complete(task, after(1), ()))
    (task,) = await tasks.claim(W1, 1, after(1))
    last = lifecycle.complete(task, after(1), ())
    assert not await wakes(last)
    assert not await wakes(lifecycle.delete(last.task, after(1), "tester"))
