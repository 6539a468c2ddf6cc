import asyncio
from datetime import timedelta
from functools import partial

import pytest
from tests.support.builders import (
    NOW,
    PROJECT,
    W1,
    W2,
    after,
    instance_id,
    make_scheduled,
    make_task,
)
from tests.support.clocks import settled
from tests.support.engine_world import Steps, catalogue_with, make_operation
from tests.support.queues import queued

from backroom.cli.logs import FIELDS
from backroom.domain import lifecycle
from backroom.domain.errors import (
    InstanceNotReady,
    StaleTask,
    StepNotReady,
    StepRejected,
    StoreUnavailable,
)
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import Kind, Outcome, State, StepState
from backroom.engine.attempt import FAULT_CODE, HOLD_S, STALE_S, STORE_RETRY_S

QUOTING = "password=hunter2"


def fault(message="broken"):
    return RuntimeError(message)


async def submitted(world, steps, **given):
    operation = steps.operation(**given)
    return operation, await world.submit(operation)


async def recorded(world, task):
    return [(step.name, step.state, step.output) for step in (await world.history(task.id)).steps]


# how a step can end


async def test_steps_run_in_order_and_their_outputs_are_kept(world):
    seen = []

    async def last(context):
        seen.append(dict(context.outputs))
        return {"three": 3}

    steps = Steps(["one"], None, last)
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        await world.attempt()
    assert steps.runs == ["step_0", "step_1", "step_2"]
    assert seen == [{"step_0": "one", "step_1": None}]
    assert await recorded(world, task) == [
        ("step_0", StepState.SUCCEEDED, b'"one"'),
        ("step_1", StepState.SUCCEEDED, b"null"),
        ("step_2", StepState.SUCCEEDED, b'{"three":3}'),
    ]
    assert await world.verbs(task.id) == ["submit", "claim", "record", "record", "complete"]
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert all(step.percent == 100 for step in (await world.history(task.id)).steps)


async def test_step_that_is_not_ready_is_called_again_without_counting(world):
    steps = Steps([StepNotReady(2.0, percent=40), StepNotReady(2.0, percent=10), "done"])
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        await world.attempt()
        waiting = await world.get(task.id)
        assert (waiting.state, waiting.attempt, waiting.due_at) == (State.WAITING, 0, after(2))
        (step,) = (await world.history(task.id)).steps
        assert (step.state, step.percent, step.started_at) == (StepState.RUNNING, 40, NOW)
        world.clock.move(2)
        await world.attempt()
        (step,) = (await world.history(task.id)).steps
        assert (step.percent, step.started_at) == (40, NOW)
        world.clock.move(2)
        await world.attempt()
    history = await world.history(task.id)
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert [one.outcome for one in history.attempts] == [
        Outcome.SNOOZED, Outcome.SNOOZED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    assert [one.number for one in history.attempts] == [1, 1, 1]
    assert (history.steps[0].started_at, history.steps[0].ended_at) == (NOW, after(4))


async def test_waiting_step_never_shows_as_done(world):
    operation, task = await submitted(world, Steps([StepNotReady(1, percent=100), None]))
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.history(task.id)).steps[0].percent == 99


async def test_rejected_step_fails_the_task_at_once(world):
    operation, task = await submitted(
        world, Steps(None, StepRejected("DMS.00400026", "no room"), None)
    )
    with catalogue_with(operation):
        await world.attempt()
    failed = await world.get(task.id)
    assert (failed.state, failed.attempt) == (State.FAILED, 1)
    assert (failed.error_code, failed.error_msg) == ("DMS.00400026", "no room")
    history = await world.history(task.id)
    assert history.attempts[-1].outcome is Outcome.REJECTED
    assert history.attempts[-1].trace is None
    assert [step.state for step in history.steps] == [StepState.SUCCEEDED, StepState.FAILED]


async def test_fault_is_logged_with_the_request_that_asked_for_the_task(world, caplog):
    operation = Steps(fault()).operation()
    task = make_task(name=operation.name, internal=b"{}", request_id="r1")
    await world.tasks.write(lifecycle.submit(task))
    with catalogue_with(operation):
        await world.attempt()
    (record,) = (one for one in caplog.records if one.getMessage() == "step faulted")
    said = {name: vars(record).get(name) for name in FIELDS}
    assert said == {
        "request_id": "r1", "task_id": task.id, "instance_id": task.instance_id,
        "operation": None, "attempt": 1, "step": "step_0", "count": None,
    }  # fmt: skip


@pytest.mark.rule(12)
async def test_fault_is_retried_with_back_off_until_attempts_are_used_up(world):
    steps = Steps("fine", fault())
    operation, task = await submitted(world, steps, max_attempts=4)
    waits = []
    with catalogue_with(operation):
        for number in range(1, 4):
            await world.attempt()
            waiting = await world.get(task.id)
            assert (waiting.state, waiting.attempt) == (State.WAITING, number)
            waits.append((waiting.due_at - world.clock.now()).total_seconds())
            world.clock.move(waits[-1])
        await world.attempt()
    for wait, most in zip(waits, (1, 2, 4), strict=True):
        assert most / 2 <= wait <= most
    failed = await world.get(task.id)
    assert (failed.state, failed.attempt, failed.error_code) == (State.FAILED, 4, FAULT_CODE)
    assert failed.error_msg == "RuntimeError: broken"
    assert steps.runs == ["step_0", *["step_1"] * 4]
    history = await world.history(task.id)
    assert [one.outcome for one in history.attempts] == [Outcome.FAULTED] * 4
    for one in history.attempts:
        assert (one.step, one.error) == ("step_1", "RuntimeError: broken")
        assert "raise end" in one.trace
        assert "broken" not in one.trace


async def test_fault_hides_its_text_when_the_operation_has_secrets(world):
    operation, task = await submitted(
        world, Steps(fault("password=hunter2")), has_secrets=True, max_attempts=1
    )
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.get(task.id)).error_msg == "RuntimeError"
    assert b"hunter2" not in world.database.kept_bytes()


@pytest.mark.parametrize("has_secrets", [True, False])
async def test_log_tells_where_an_undo_faulted_and_no_secret(world, caplog, has_secrets):
    async def undo(_context):
        raise fault(QUOTING)

    operation, _ = await submitted(
        world, Steps(StepRejected("c", "r")), undo=undo, has_secrets=has_secrets
    )
    with catalogue_with(operation):
        await world.attempt()
    assert "undo faulted" in caplog.text
    assert "in undo\n" in caplog.text
    assert (QUOTING in caplog.text) is not has_secrets


@pytest.mark.parametrize("has_secrets", [True, False])
async def test_log_tells_where_an_attempt_broke_and_no_secret(
    world, caplog, monkeypatch, has_secrets
):
    async def get(*_asked):
        raise fault(QUOTING)

    operation, _ = await submitted(world, Steps("fine"), has_secrets=has_secrets)
    monkeypatch.setattr(world.instances, "get", get)
    with catalogue_with(operation):
        await world.attempt()
    assert "attempt broke" in caplog.text
    assert "in get\n" in caplog.text
    assert (QUOTING in caplog.text) is not has_secrets


async def test_step_looks_again_when_somebody_else_changed_the_instance(world):
    steps = Steps([StaleTask("i", 3), "done"])
    operation, task = await submitted(world, steps, max_attempts=1)
    with catalogue_with(operation):
        await world.attempt()
    assert world.clock.now() == after(STALE_S)
    assert steps.runs == ["step_0", "step_0"]
    assert (await world.get(task.id)).state is State.SUCCEEDED


@pytest.mark.rule(7)
async def test_outage_seen_by_a_step_pauses_the_task_and_never_fails_it(world):
    steps = Steps([StoreUnavailable("away")] * 12 + ["done"])
    operation, task = await submitted(world, steps, max_attempts=1)
    with catalogue_with(operation):
        await world.attempt()
    assert world.clock.now() == after(12 * STORE_RETRY_S)
    ended = await world.get(task.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize(
    "output",
    [object(), {"a": object()}, "half \ud800"],
    ids=["no JSON", "no JSON inside", "half a character"],
)
async def test_output_that_can_not_be_kept_is_a_fault_of_the_step(world, output):
    operation, task = await submitted(world, Steps(output), max_attempts=1)
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.get(task.id)).state is State.FAILED


@pytest.mark.parametrize(
    "end", [fault("\udcff"), StepRejected("DMS.00400026", "\udcff"), fault("")]
)
async def test_error_text_that_no_database_takes_is_kept_escaped(world, end):
    operation, task = await submitted(world, Steps(end), max_attempts=1)
    with catalogue_with(operation):
        await world.attempt()
    failed = await world.get(task.id)
    assert failed.state is State.FAILED
    assert failed.error_msg.removeprefix("RuntimeError: ") in {"\\udcff", "RuntimeError"}


async def test_step_whose_inner_work_was_cancelled_is_a_fault(world):
    async def inner(_context):
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(waiting.cancel)
        await waiting

    operation, task = await submitted(world, Steps([inner, "done"]))
    with catalogue_with(operation):
        await world.attempt()
        assert (await world.get(task.id)).state is State.WAITING
        assert (await world.run_to_end(task.id)).state is State.SUCCEEDED


async def test_attempt_is_cut_off_without_a_trace_when_cancelled(world):
    begun = asyncio.Event()

    async def hang(_context):
        begun.set()
        await asyncio.Event().wait()

    operation, task = await submitted(world, Steps(hang))
    with catalogue_with(operation):
        attempt = await world.claim()
        before = await world.get(task.id)
        running = asyncio.ensure_future(attempt.run())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await world.get(task.id) == before


# undo


async def test_undo_runs_before_a_failure_is_recorded(world):
    seen = []

    async def undo(context):
        seen.append(((await world.get(context.task.id)).state, dict(context.outputs)))

    operation, task = await submitted(
        world, Steps("one", StepRejected("DMS.00400026", "never")), undo=undo
    )
    with catalogue_with(operation):
        await world.attempt()
    assert seen == [(State.RUNNING, {"step_0": "one"})]
    assert (await world.get(task.id)).state is State.FAILED


async def test_undo_runs_when_the_task_is_stopped(world):
    undone = []

    async def undo(context):
        undone.append(context.task.id)

    steps = Steps([StepNotReady(60), "done"])
    operation, task = await submitted(world, steps, undo=undo)
    with catalogue_with(operation):
        await world.attempt()
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), after(1), "tester")
        )
        world.clock.move(1)
        await world.attempt()
    assert undone == [task.id]
    assert steps.runs == ["step_0"]
    stopped = await world.get(task.id)
    assert (stopped.state, stopped.ended_at) == (State.CANCELLED, after(1))


async def test_undo_that_met_somebody_elses_change_is_repeated(world):
    tries = []

    async def undo(_context):
        tries.append(None)
        if len(tries) < 3:
            raise StaleTask("i", 1)

    operation, task = await submitted(world, Steps(StepRejected("c", "r")), undo=undo)
    with catalogue_with(operation):
        await world.attempt()
    assert (len(tries), (await world.get(task.id)).state) == (3, State.FAILED)


@pytest.mark.parametrize("problem", [fault(), StaleTask("i", 1)])
async def test_task_ends_although_its_undo_never_works(world, problem):
    async def undo(_context):
        raise problem

    operation, task = await submitted(world, Steps(StepRejected("c", "r")), undo=undo)
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.get(task.id)).state is State.FAILED


async def test_undo_waits_for_a_store_that_is_away(world):
    tries = []

    async def undo(_context):
        tries.append(world.clock.now())
        if len(tries) < 9:
            raise StoreUnavailable("away")

    operation, task = await submitted(world, Steps(StepRejected("c", "r")), undo=undo)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await world.clock.pass_until(running.done)
    assert tries == [after(STORE_RETRY_S * n) for n in range(9)]
    assert (await world.get(task.id)).state is State.FAILED


# leases, rescue, cancel


@pytest.mark.rule(6)
async def test_finished_steps_are_not_run_again_after_a_rescue(world):
    steps = Steps("one", [fault(), "two"], "three")
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        attempt = await world.claim()
        await attempt.run()
        world.clock.move(1)
        lost = await world.claim(W1)  # its worker dies here
        await world.stores.tasks.write(lifecycle.rescue(lost._task, world.clock.now(), W2))
        await world.attempt(W2)
    assert steps.runs == ["step_0", "step_1", "step_1", "step_2"]
    assert (await world.get(task.id)).state is State.SUCCEEDED
    outcomes = [one.outcome for one in (await world.history(task.id)).attempts]
    assert outcomes == [Outcome.FAULTED, Outcome.LOST, Outcome.SUCCEEDED]


async def test_outputs_of_finished_steps_are_there_after_a_rescue(world):
    seen = []

    async def last(context):
        seen.append(context.outputs["step_0"])

    operation, task = await submitted(world, Steps([{"a": [1]}], [StepNotReady(1), last]))
    with catalogue_with(operation):
        await world.run_to_end(task.id)
    assert seen == [{"a": [1]}]


@pytest.mark.parametrize("end", ["done", fault(), StepNotReady(1), StepRejected("c", "r")])
@pytest.mark.rule(3)
async def test_nothing_is_written_once_the_lease_is_lost(world, end):
    async def robbed(_context):
        await world.stores.tasks.write(
            lifecycle.rescue(await world.get(task.id), world.clock.now(), W2)
        )
        await world.stores.tasks.claim(W2, 1, world.clock.now())
        kept.append((await world.get(task.id), await world.history(task.id)))
        if isinstance(end, Exception):
            raise end
        return end

    kept = []
    steps = Steps(robbed, None)
    operation, task = await submitted(world, steps, max_attempts=1)
    with catalogue_with(operation):
        await world.attempt()
    assert kept == [(await world.get(task.id), await world.history(task.id))]
    assert steps.runs == ["step_0"]


async def test_nothing_is_written_when_the_same_worker_has_it_again(world):
    async def robbed(_context):
        await world.stores.tasks.write(
            lifecycle.rescue(await world.get(task.id), world.clock.now(), W2)
        )
        await world.stores.tasks.claim(W1, 1, world.clock.now())
        kept.append(await world.get(task.id))

    kept = []
    operation, task = await submitted(world, Steps(robbed, None))
    with catalogue_with(operation):
        await world.attempt()
    assert kept == [await world.get(task.id)]
    assert kept[0].epoch == 2


@pytest.mark.rule(4)
async def test_cancelled_running_task_keeps_its_lane_until_it_stopped(world):
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def slow(_context):
        begun.set()
        await go_on.wait()
        return "done"

    steps = Steps(slow, None)
    operation, task = await submitted(world, steps)
    behind = await world.submit(operation)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await begun.wait()
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), NOW, "tester")
        )
        assert await world.stores.tasks.claim(W2, 9, after(60)) == []
        go_on.set()
        await running
    assert steps.runs == ["step_0"]
    assert (await world.get(task.id)).state is State.CANCELLED
    assert [one.id for one in await world.stores.tasks.claim(W2, 9, NOW)] == [behind.id]


async def test_cancel_asked_between_decision_and_write_is_not_lost(world):
    async def ask():
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), NOW, "tester")
        )

    async def first(_context):
        world.tasks.before_write = ask
        return "kept"

    steps = Steps(first, None)
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        await world.attempt()
    assert await world.verbs(task.id) == ["submit", "claim", "ask_cancel", "record", "stop"]
    assert await recorded(world, task) == [("step_0", StepState.SUCCEEDED, b'"kept"')]


async def test_task_that_ends_before_its_cancel_is_seen_has_succeeded(world):
    async def last(_context):
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), NOW, "tester")
        )

    operation, task = await submitted(world, Steps(last))
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.get(task.id)).state is State.SUCCEEDED


@pytest.mark.rule(4)
async def test_rescued_task_that_was_asked_to_cancel_is_stopped_by_the_next_worker(world):
    steps = Steps(None)
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        attempt = await world.claim(W1)
        asked = lifecycle.ask_cancel(attempt._task, NOW, "tester")
        await world.stores.tasks.write(asked)
        await world.stores.tasks.write(lifecycle.rescue(asked.task, NOW, W2))
        await world.attempt(W2)
    assert steps.runs == []
    assert (await world.get(task.id)).state is State.CANCELLED


async def test_stopping_worker_hands_the_lane_back_after_its_step(world):
    async def first(_context):
        world.around.stopping.set()
        return "one"

    steps = Steps(first, "two")
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        await world.attempt()
        waiting = await world.get(task.id)
        assert (waiting.state, waiting.attempt, waiting.due_at) == (State.WAITING, 0, NOW)
        world.around.stopping.clear()
        await world.attempt(W2)
    assert steps.runs == ["step_0", "step_1"]
    assert (await world.get(task.id)).state is State.SUCCEEDED


# the store goes away


@pytest.mark.rule(7)
async def test_outcome_is_recorded_later_and_the_step_not_run_again_when_the_store_is_away(world):
    steps = Steps("one", "two")
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        world.tasks.away = {"write": 7}
        running = asyncio.ensure_future((await world.claim()).run())
        await settled()
        assert (await world.get(task.id)).state is State.RUNNING
        await world.clock.pass_until(running.done)
    assert steps.runs == ["step_0", "step_1"]
    assert world.clock.now() == after(7 * STORE_RETRY_S)
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_store_that_is_away_while_looking_again_is_waited_for(world):
    async def ask():
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), NOW, "tester")
        )
        world.tasks.away = {"get": 3}

    async def first(_context):
        world.tasks.before_write = ask
        return "kept"

    steps = Steps(first, None)
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await world.clock.pass_until(running.done)
    assert steps.runs == ["step_0"]
    assert await world.verbs(task.id) == ["submit", "claim", "ask_cancel", "record", "stop"]


async def test_attempt_begins_when_the_store_is_back(world):
    steps = Steps(None)
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        world.tasks.away = {"history": 2}
        running = asyncio.ensure_future((await world.claim()).run())
        await world.clock.pass_until(running.done)
    assert (steps.runs, (await world.get(task.id)).state) == (["step_0"], State.SUCCEEDED)


@pytest.mark.parametrize("lost", [1, 2])
async def test_step_is_not_run_again_when_only_the_answer_of_a_write_was_lost(world, lost):
    steps = Steps("one", "two")
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        attempt = await world.claim()
        world.tasks.written_but_lost = lost
        running = asyncio.ensure_future(attempt.run())
        await world.clock.pass_until(running.done)
    assert steps.runs == ["step_0", "step_1"]
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert await world.verbs(task.id) == ["submit", "claim", "record", "complete"]


async def test_cancel_is_heard_when_it_came_right_behind_a_write_whose_answer_was_lost(world):
    steps = Steps("one", "two")
    operation, task = await submitted(world, steps)

    async def ask():
        stored = await world.get(task.id)
        asked = lifecycle.ask_cancel(stored, world.clock.now(), "tester")
        await world.stores.tasks.write(asked)

    with catalogue_with(operation):
        attempt = await world.claim()
        world.tasks.written_but_lost = 1
        running = asyncio.ensure_future(attempt.run())
        await settled()
        world.tasks.before_write = ask
        await world.clock.pass_until(running.done)
    assert steps.runs == ["step_0"]
    assert await world.verbs(task.id) == ["submit", "claim", "record", "ask_cancel", "stop"]


@pytest.mark.parametrize("is_scheduled", [False, True])
async def test_task_waits_while_its_secrets_can_not_be_opened(world, monkeypatch, is_scheduled):
    await world.add_instance()
    steps = Steps(None)
    operation = steps.operation(has_secrets=True)
    make = partial(make_scheduled, 1, NOW) if is_scheduled else partial(make_task, 1)
    task = make(name=operation.name, internal=world.vault.seal(b"{}"))
    await world.stores.tasks.write(lifecycle.submit(task))
    real, tries = world.vault.unseal, []

    def unseal(sealed):
        tries.append(world.clock.now())
        if len(tries) < 4:
            raise StoreUnavailable("a secret was sealed under another key file")
        return real(sealed)

    monkeypatch.setattr(world.vault, "unseal", unseal)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await world.clock.pass_until(running.done)
    assert tries == [after(STORE_RETRY_S * n) for n in range(4)]
    assert (await world.get(task.id)).state is State.SUCCEEDED


# other releases, broken rows


async def test_unknown_operation_fails(world):
    task = make_task(name="neverHeardOf")
    await world.stores.tasks.write(lifecycle.submit(task))
    await world.attempt()
    failed = await world.get(task.id)
    assert (failed.state, failed.error_msg) == (
        State.FAILED, "no operation is called neverHeardOf",
    )  # fmt: skip


async def test_task_fails_when_its_params_can_not_be_read(world):
    operation, task = await submitted(world, Steps(None))
    other = make_task(2, name=operation.name, internal=b"{broken")
    await world.stores.tasks.write(lifecycle.cancel(task, NOW, "tester"), lifecycle.submit(other))
    with catalogue_with(operation):
        await world.attempt()
    failed = await world.get(other.id)
    assert (failed.state, failed.error_code) == (State.FAILED, FAULT_CODE)


async def test_task_ends_when_a_release_has_dropped_its_last_steps(world):
    steps = Steps("one", [StepNotReady(1), "two"])
    operation, task = await submitted(world, steps)
    with catalogue_with(operation):
        await world.attempt()
    world.clock.move(1)
    shorter = make_operation(steps._step(0))
    with catalogue_with(shorter):
        await world.attempt()
    assert steps.runs == ["step_0", "step_1"]
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_no_step_ends_before_it_began_when_the_clock_goes_back(world):
    async def back(_context):
        world.clock.move(-3600)

    operation, task = await submitted(world, Steps([StepNotReady(1), back], None))
    with catalogue_with(operation):
        await world.attempt()
        world.clock.move(1)
        await world.attempt()
    history, ended = await world.history(task.id), await world.get(task.id)
    assert ended.state is State.SUCCEEDED
    assert ended.created_at <= ended.started_at <= ended.ended_at <= ended.updated_at
    for part in (*history.steps, *history.attempts):
        assert part.started_at <= part.ended_at


# scheduled tasks


async def scheduled(world, operation, execute_at=NOW, **given):
    task = make_scheduled(1, execute_at, name=operation.name, internal=b"{}", **given)
    await world.stores.tasks.write(lifecycle.submit(task))
    return task


async def children(world, parent):
    kept = await world.stores.tasks.current(instance_id(1))
    child = None if kept is None else await world.get(kept.id)
    return [child] if child is not None and child.parent_id == parent.id else []


async def test_scheduled_task_starts_its_child_when_it_ends(world):
    await world.add_instance()
    steps = Steps(None)
    operation = steps.operation()
    task = await scheduled(world, operation, reason="at night", request_id="r1", params='{"a":1}')
    with catalogue_with(operation):
        await world.attempt()
        assert (await world.get(task.id)).state is State.SUCCEEDED
        (child,) = await children(world, task)
        assert (child.kind, child.state, child.lane) == (
            Kind.BACKGROUND, State.WAITING, instance_id(1),
        )  # fmt: skip
        for kept in ("name", "params", "internal", "user_id", "user_name", "reason", "request_id"):
            assert getattr(child, kept) == getattr(task, kept)
        assert child.execute_at is None
        assert steps.runs == []
        assert (await world.run_to_end(child.id)).state is State.SUCCEEDED


async def test_scheduled_start_shows_the_instance_as_the_operation_prepared_it(world):
    await world.add_instance()
    operation = Steps(None).operation(
        prepare=lambda instance, _params: changed(instance, status=InstanceStatus.RESTARTING)
    )
    task = await scheduled(world, operation)
    with catalogue_with(operation):
        await world.attempt()
    assert (await world.shown(instance_id(1))).status is InstanceStatus.RESTARTING
    assert len(await children(world, task)) == 1


async def test_scheduled_start_decides_again_when_the_instance_changed_meanwhile(world):
    instance = await world.add_instance()

    async def change():
        await world.instances.save(changed(instance, description="meanwhile"))

    operation = Steps(None).operation(
        prepare=lambda instance, _params: changed(instance, status=InstanceStatus.RESTARTING)
    )
    task = await scheduled(world, operation)
    world.tasks.before_write = change
    with catalogue_with(operation):
        await world.attempt()
    shown = await world.shown(instance_id(1))
    assert (shown.status, shown.description) == (InstanceStatus.RESTARTING, "meanwhile")
    assert len(await children(world, task)) == 1


async def test_scheduled_task_fails_when_its_instance_is_gone(world):
    operation = Steps(None).operation()
    task = await scheduled(world, operation)
    with catalogue_with(operation):
        await world.attempt()
    failed = await world.get(task.id)
    assert (failed.state, failed.error_code) == (State.FAILED, "DMS.00404022")
    assert await children(world, task) == []


async def test_scheduled_task_fails_when_nobody_knows_its_operation_any_more(world):
    await world.add_instance()
    task = await scheduled(world, Steps(None).operation(name="neverHeardOf"))
    await world.attempt()
    assert (await world.get(task.id)).state is State.FAILED


def refusing(problem):
    def prepare(_instance, _params):
        raise problem

    return prepare


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (InstanceNotReady(instance_id(1), "DELETING"), "DMS.00400026"),
        (ZeroDivisionError("a bug"), FAULT_CODE),
    ],
)
async def test_scheduled_task_fails_when_it_is_refused(world, problem, code):
    await world.add_instance()
    operation = Steps(None).operation(prepare=refusing(problem))
    task = await scheduled(world, operation)
    with catalogue_with(operation):
        await world.attempt()
    failed = await world.get(task.id)
    assert (failed.state, failed.error_code) == (State.FAILED, code)
    assert str(problem) in failed.error_msg
    assert await children(world, task) == []


async def test_scheduled_task_starts_no_child_once_its_lease_is_lost(world):
    await world.add_instance()
    operation = Steps(None).operation()
    task = await scheduled(world, operation)
    with catalogue_with(operation):
        attempt = await world.claim()
        await world.stores.tasks.write(lifecycle.rescue(attempt._task, NOW, W2))
        await attempt.run()
        assert await children(world, task) == []
        assert (await world.get(task.id)).state is State.WAITING
        await world.attempt(W2)
    assert len(await children(world, task)) == 1


@pytest.mark.parametrize("away", [{"write": 2}, {"get": 1, "write": 1}])
async def test_scheduled_task_waits_for_a_store_that_is_away(world, away):
    await world.add_instance()
    operation = Steps(None).operation()
    task = await scheduled(world, operation)
    world.tasks.away = away
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await world.clock.pass_until(running.done)
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert len(await children(world, task)) == 1


async def test_scheduled_task_starts_one_child_when_the_answer_was_lost(world):
    await world.add_instance()
    operation = Steps(None).operation()
    task = await scheduled(world, operation)
    with catalogue_with(operation):
        attempt = await world.claim()
        world.tasks.written_but_lost = 1
        running = asyncio.ensure_future(attempt.run())
        await world.clock.pass_until(running.done)
    assert len(await children(world, task)) == 1
    assert await queued(world.stores.tasks, instance_id(1)) == 1
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_child_is_not_before_its_moment(world):
    await world.add_instance()
    operation = Steps(None).operation()
    task = await scheduled(world, operation, execute_at=after(10))
    assert await world.stores.tasks.claim(W1, 1, after(9)) == []
    world.clock.move(10)
    with catalogue_with(operation):
        await world.attempt()
    (child,) = await children(world, task)
    assert child.created_at == NOW + timedelta(seconds=10)
    assert child.project_id == PROJECT


# a wait that is short enough to keep the lease


async def held(world, steps, **given):
    """A task whose first step waits with the lease in hand."""
    operation, task = await submitted(world, steps, **given)
    with catalogue_with(operation):
        await world.begin()
    return operation, task


async def test_short_wait_keeps_the_lease_and_leaves_no_trace(world):
    operation, task = await held(world, Steps([StepNotReady(HOLD_S)] * 9 + ["done"]))
    assert (await world.get(task.id)).state is State.RUNNING
    with catalogue_with(operation):
        await world.finish()
    assert world.clock.now() == after(9 * HOLD_S)
    assert await world.verbs(task.id) == ["submit", "claim", "complete"]


async def test_longer_wait_gives_the_lease_back(world):
    _, task = await held(world, Steps([StepNotReady(HOLD_S + 0.001), "done"]))
    waiting = await world.get(task.id)
    assert (waiting.state, waiting.due_at) == (State.WAITING, after(HOLD_S + 0.001))


async def test_progress_of_a_held_step_is_kept_once_for_each_percent(world):
    looks = [StepNotReady(HOLD_S, percent) for percent in (0, 40, 40, 10, 100)]
    operation, task = await held(world, Steps([*looks, "done"]))
    with catalogue_with(operation):
        await world.finish()
    events = (await world.history(task.id)).events
    assert [event.detail for event in events if event.verb == "progress"] == ["40 %", "99 %"]


async def test_lease_lost_while_held_leaves_the_task_to_the_other(world):
    steps = Steps([StepNotReady(HOLD_S), "done"])
    _, task = await held(world, steps)
    lost = await world.get(task.id)
    await world.stores.tasks.write(lifecycle.rescue(lost, world.clock.now(), W2))
    (taken,) = await world.stores.tasks.claim(W2, 1, world.clock.now())
    await world.finish()
    assert steps.runs == ["step_0"]
    assert await world.get(task.id) == taken


async def test_cancel_asked_while_held_stops_the_task_before_its_next_look(world):
    steps = Steps([StepNotReady(HOLD_S), "done"])
    operation, task = await held(world, steps)
    under_way = await world.get(task.id)
    await world.stores.tasks.write(lifecycle.ask_cancel(under_way, world.clock.now(), "tester"))
    with catalogue_with(operation):
        await world.finish()
    assert steps.runs == ["step_0"]
    assert (await world.get(task.id)).state is State.CANCELLED


async def test_stopping_while_held_hands_the_lane_back_at_once(world):
    operation, task = await held(world, Steps([StepNotReady(HOLD_S), "done"]))
    world.around.stopping.set()
    with catalogue_with(operation):
        await settled()
    waiting = await world.get(task.id)
    assert (waiting.state, waiting.attempt, world.clock.now()) == (State.WAITING, 0, NOW)
