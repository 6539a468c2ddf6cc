from datetime import timedelta

import msgspec
import pytest
from tests.support.builders import (
    NOW,
    W1,
    W2,
    after,
    make_instance,
    make_running,
    make_scheduled,
    make_step,
    make_task,
)

from backroom.domain import lifecycle
from backroom.domain.errors import IllegalTransition
from backroom.domain.lifecycle import TRANSITIONS, Fault, Verb
from backroom.domain.task import FINAL, Kind, Outcome, State, StepState

FAULT = Fault(code="DMS.00500000", message="broken", step="step_0", trace="at line 1")
REJECTION = Fault(code="DMS.00400026", message="never", step="step_0")
LATER = after(60)


def waiting():
    return make_scheduled(1, after(1))


def running():
    task = lifecycle.claim(waiting(), W1, NOW).task
    return lifecycle.ask_cancel(task, NOW, "tester").task


def ended(state):
    match state:
        case State.SUCCEEDED:
            return lifecycle.complete(running(), NOW, ()).task
        case State.FAILED:
            return lifecycle.fail(running(), NOW, FAULT, None).task
        case State.CANCELLED:
            return lifecycle.stop(running(), NOW).task


def task_in(state):
    if state in FINAL:
        return ended(state)
    return running() if state is State.RUNNING else waiting()


CALLS = {
    Verb.CLAIM: lambda task, now: lifecycle.claim(task, W2, now),
    Verb.RECORD: lambda task, now: lifecycle.record(task, now, (make_step(),)),
    Verb.PROGRESS: lambda task, now: lifecycle.progress(task, now, make_step()),
    Verb.SNOOZE: lambda task, now: lifecycle.snooze(task, now, LATER, make_step()),
    Verb.RETRY: lambda task, now: lifecycle.retry(task, now, LATER, FAULT),
    Verb.RESCUE: lambda task, now: lifecycle.rescue(task, now, W2),
    Verb.COMPLETE: lambda task, now: lifecycle.complete(task, now, (make_step(),)),
    Verb.FAIL: lambda task, now: lifecycle.fail(task, now, FAULT, make_step()),
    Verb.CANCEL: lambda task, now: lifecycle.cancel(task, now, "tester", "no need"),
    Verb.ASK_CANCEL: lambda task, now: lifecycle.ask_cancel(task, now, "tester", "no need"),
    Verb.STOP: lifecycle.stop,
    Verb.RESCHEDULE: lambda task, now: lifecycle.reschedule(task, now, LATER, "tester"),
    Verb.DELETE: lambda task, now: lifecycle.delete(task, now, "tester"),
}
LEGAL = [(state, verb) for state, verb in TRANSITIONS if state is not None]
ILLEGAL = [(s, v) for s in State for v in CALLS if (s, v) not in TRANSITIONS]


def test_every_verb_is_tested():
    assert set(CALLS) == set(Verb) - {Verb.SUBMIT}


@pytest.mark.parametrize(("state", "verb"), LEGAL)
def test_change_leads_where_the_table_says_when_legal(state, verb):
    task = task_in(state)
    change = CALLS[verb](task, LATER)
    target = TRANSITIONS[state, verb]
    assert change.event.to_state is target
    assert change.task.state is (state if target is None else target)
    assert change.task.version == task.version + 1
    assert lifecycle.is_legal(state, verb)


@pytest.mark.parametrize(("state", "verb"), ILLEGAL)
def test_change_is_refused_when_the_table_has_no_row(state, verb):
    task = task_in(state)
    with pytest.raises(IllegalTransition):
        CALLS[verb](task, LATER)
    assert not lifecycle.is_legal(state, verb)


@pytest.mark.parametrize(("state", "verb"), LEGAL)
def test_task_has_a_lease_exactly_while_it_is_running(state, verb):
    task = CALLS[verb](task_in(state), LATER).task
    is_running = task.state is State.RUNNING
    assert (task.worker_id is not None) == is_running
    assert (task.claimed_at is not None) == is_running


@pytest.mark.parametrize(("state", "verb"), LEGAL)
def test_event_says_who_moved_it_from_where_to_where(state, verb):
    task = task_in(state)
    event = CALLS[verb](task, LATER).event
    actor = {
        Verb.CLAIM: W2, Verb.RESCUE: W2, Verb.CANCEL: "tester", Verb.ASK_CANCEL: "tester",
        Verb.RESCHEDULE: "tester", Verb.DELETE: "tester",
    }.get(verb, W1)  # fmt: skip
    assert (event.verb, event.actor, event.from_state) == (verb, actor, state)
    assert event.to_state is TRANSITIONS[state, verb]
    assert event.at == LATER


@pytest.mark.parametrize(
    ("verb", "step"),
    [
        (Verb.RECORD, "step_0"), (Verb.SNOOZE, "step_0"), (Verb.RETRY, "step_0"),
        (Verb.COMPLETE, "step_0"), (Verb.FAIL, "step_0"), (Verb.RESCUE, None), (Verb.STOP, None),
    ],
)  # fmt: skip
def test_event_names_the_step_when_a_step_caused_it(verb, step):
    assert CALLS[verb](running(), LATER).event.step == step


@pytest.mark.parametrize(
    ("verb", "attempt"), [(Verb.RECORD, 1), (Verb.RETRY, 1), (Verb.SNOOZE, 0), (Verb.RESCUE, 0)]
)
def test_event_counts_the_attempt_as_it_is_afterwards(verb, attempt):
    change = CALLS[verb](running(), LATER)
    assert change.event.attempt == change.task.attempt == attempt


@pytest.mark.parametrize(("state", "verb"), LEGAL)
def test_no_end_is_before_its_begin_when_the_clock_goes_back(state, verb):
    task = task_in(state)
    change = CALLS[verb](task, NOW - timedelta(hours=1))
    moved = change.task
    assert moved.updated_at >= task.updated_at >= moved.created_at
    assert moved.started_at is None or moved.started_at >= moved.created_at
    assert moved.ended_at is None or moved.ended_at >= (moved.started_at or moved.created_at)
    assert moved.cancel_asked_at is None or moved.cancel_asked_at >= moved.created_at
    for part in (change.attempt, *change.steps):
        assert part is None or part.ended_at is None or part.ended_at >= part.started_at


def test_submit_keeps_the_task_and_shows_the_instance():
    task, instance = make_task(), make_instance()
    change = lifecycle.submit(task, instance)
    assert (change.task, change.instance) == (task, instance)
    assert (change.event.verb, change.event.actor, change.event.at) == ("submit", "tester", NOW)
    assert (change.event.from_state, change.event.to_state) == (None, State.WAITING)


def test_claim_begins_an_attempt_with_a_new_epoch():
    task = make_task(due_at=NOW)
    change = lifecycle.claim(task, W1, LATER)
    assert (change.task.epoch, change.task.attempt, change.task.due_at) == (1, 1, None)
    assert change.task.started_at == change.task.claimed_at == LATER
    assert change.attempt is not None
    assert (change.attempt.epoch, change.attempt.number) == (1, 1)
    assert (change.attempt.worker_id, change.attempt.outcome) == (W1, None)


def test_started_at_stays_when_claimed_again():
    first = lifecycle.claim(make_task(), W1, NOW).task
    again = lifecycle.claim(lifecycle.rescue(first, after(1), W2).task, W2, after(2)).task
    assert (again.started_at, again.claimed_at) == (NOW, after(2))
    assert (again.epoch, again.attempt) == (2, 1)


@pytest.mark.parametrize(
    ("verb", "outcome"),
    [
        (Verb.SNOOZE, Outcome.SNOOZED), (Verb.RETRY, Outcome.FAULTED), (Verb.RESCUE, Outcome.LOST),
        (Verb.COMPLETE, Outcome.SUCCEEDED), (Verb.FAIL, Outcome.FAULTED),
        (Verb.STOP, Outcome.CANCELLED),
    ],
)  # fmt: skip
def test_attempt_says_how_it_ended(verb, outcome):
    attempt = CALLS[verb](running(), LATER).attempt
    assert (attempt.epoch, attempt.number, attempt.worker_id) == (1, 1, W1)
    assert (attempt.outcome, attempt.started_at, attempt.ended_at) == (outcome, NOW, LATER)


def test_attempt_is_a_rejection_when_there_is_no_trace():
    attempt = lifecycle.fail(make_running(), LATER, REJECTION, None).attempt
    assert (attempt.outcome, attempt.error, attempt.trace) == (Outcome.REJECTED, "never", None)


def test_attempt_keeps_error_and_trace_when_retried():
    attempt = lifecycle.retry(make_running(), NOW, LATER, FAULT).attempt
    assert (attempt.error, attempt.trace, attempt.step) == ("broken", "at line 1", "step_0")


def test_attempt_is_given_back_when_snoozed():
    task = make_running()
    for _ in range(3):
        task = lifecycle.snooze(task, NOW, LATER, make_step()).task
        assert (task.attempt, task.due_at) == (0, LATER)
        task = lifecycle.claim(task, W1, LATER).task
        assert task.attempt == 1


def test_attempt_counts_when_retried_and_is_given_back_when_rescued():
    task = lifecycle.claim(lifecycle.retry(make_running(), NOW, LATER, FAULT).task, W1, NOW).task
    task = lifecycle.claim(lifecycle.rescue(task, NOW, W2).task, W2, NOW).task
    assert (task.attempt, task.epoch) == (2, 3)


def test_rescued_task_is_due_at_once():
    change = lifecycle.rescue(make_running(), LATER, W2)
    assert change.task.due_at is None
    assert change.event.detail == "lost by w1"


def test_snooze_without_a_step_when_the_worker_itself_goes():
    change = lifecycle.snooze(make_running(), NOW, NOW)
    assert (change.steps, change.event.step, change.attempt.step) == ((), None, None)


def test_failed_task_says_why_and_where():
    change = lifecycle.fail(make_running(), LATER, FAULT, make_step(state=StepState.RUNNING))
    assert (change.task.error_code, change.task.error_msg) == ("DMS.00500000", "broken")
    assert change.task.ended_at == LATER
    assert (change.steps[0].state, change.steps[0].ended_at) == (StepState.FAILED, LATER)
    assert change.event.detail == "broken"


def test_complete_without_steps_when_there_are_none():
    change = lifecycle.complete(make_running(), LATER, ())
    assert (change.event.step, change.task.ended_at) == (None, LATER)


def test_cancel_is_refused_once_the_task_has_begun():
    begun = lifecycle.rescue(make_running(), NOW, W2).task
    with pytest.raises(IllegalTransition, match="ask_cancel"):
        lifecycle.cancel(begun, NOW, "tester")


def test_cancelled_task_is_no_longer_due():
    task = lifecycle.cancel(waiting(), LATER, "tester", "no need").task
    assert (task.due_at, task.ended_at, task.cancel_asked_at) == (None, LATER, LATER)
    assert task.error_msg == "no need"


def test_cancel_is_asked_once_when_asked_twice():
    first = lifecycle.ask_cancel(make_running(), after(1), "tester").task
    assert lifecycle.ask_cancel(first, after(2), "tester").task.cancel_asked_at == after(1)


def test_snoozed_task_is_due_at_once_when_its_cancel_is_asked():
    snoozed = lifecycle.snooze(make_running(), NOW, LATER, make_step()).task
    assert lifecycle.ask_cancel(snoozed, NOW, "tester").task.due_at is None


def test_stop_is_refused_when_nobody_asked():
    with pytest.raises(IllegalTransition, match="not asked"):
        lifecycle.stop(make_running(), NOW)


def test_reschedule_moves_both_moments():
    task = lifecycle.reschedule(waiting(), NOW, LATER, "tester").task
    assert (task.execute_at, task.due_at) == (LATER, LATER)


def test_reschedule_is_refused_for_a_background_task():
    with pytest.raises(IllegalTransition, match="scheduled"):
        lifecycle.reschedule(make_task(), NOW, LATER, "tester")


@pytest.mark.parametrize("verb", [Verb.RECORD, Verb.SNOOZE, Verb.COMPLETE, Verb.STOP])
def test_change_is_refused_when_a_running_task_has_no_lease(verb):
    broken = msgspec.structs.replace(running(), worker_id=None)
    with pytest.raises(IllegalTransition, match="without a lease"):
        CALLS[verb](broken, NOW)


def test_final_states_are_the_ones_without_a_way_out():
    ways_out = {state for state, verb in TRANSITIONS if verb is not Verb.DELETE}
    assert {state for state in State if state not in ways_out} == FINAL
    assert {state for state in State if state.is_final} == FINAL


def test_every_state_can_be_reached_and_every_waiting_task_can_end():
    reached = {None}
    for _ in State:
        reached |= {target for (state, _), target in TRANSITIONS.items() if state in reached}
    assert reached == {None, *State}


def test_scheduled_kind_is_the_only_one_that_is_rescheduled():
    assert set(Kind) == {Kind.BACKGROUND, Kind.SCHEDULED, Kind.BULK}
