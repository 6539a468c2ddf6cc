from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.builders import NOW, W1, W2, make_scheduled, make_step, make_task

from backroom.domain import lifecycle
from backroom.domain.errors import IllegalTransition
from backroom.domain.lifecycle import TRANSITIONS, Fault, Verb
from backroom.domain.task import FINAL, Change, State, StepState, Task

FAULT = Fault(code="DMS.00500000", message="broken", step="step_0", trace="at line 1")
workers = st.sampled_from([W1, W2])
delays = st.timedeltas(timedelta(), timedelta(minutes=5))
jumps = st.timedeltas(timedelta(hours=-2), timedelta(hours=2))


class Lifecycle(RuleBasedStateMachine):
    """One task's whole life, in any order that is legal, under a clock that jumps."""

    task: Task
    last: Change
    is_deleted = False

    @initialize(is_scheduled=st.booleans())
    def submit(self, is_scheduled):
        self.now = NOW
        task = make_scheduled(1, NOW) if is_scheduled else make_task()
        self.last = lifecycle.submit(task)
        self.task = task

    @rule(jump=jumps)
    def clock_jumps(self, jump):
        self.now += jump

    def take(self, change: Change):
        before, after = self.task, change.task
        verb = Verb(change.event.verb)
        assert TRANSITIONS[before.state, verb] is change.event.to_state
        assert after.version == before.version + 1
        assert after.epoch == before.epoch + (verb is Verb.CLAIM)
        counted = {Verb.CLAIM: 1, Verb.SNOOZE: -1, Verb.RESCUE: -1}
        assert after.attempt - before.attempt == counted.get(verb, 0)
        assert after.updated_at >= before.updated_at
        for kept in ("id", "created_at", "lane", "params", "internal", "kind", "user_id"):
            assert getattr(after, kept) == getattr(before, kept)
        assert before.started_at is None or after.started_at == before.started_at
        self.task, self.last = after, change

    @precondition(lambda self: self.task.state is State.WAITING)
    @rule(worker_id=workers)
    def claim(self, worker_id):
        self.take(lifecycle.claim(self.task, worker_id, self.now))

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule()
    def record(self):
        step = make_step(started_at=self.now, ended_at=self.now)
        self.take(lifecycle.record(self.task, self.now, (step,)))

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule(delay=delays, has_step=st.booleans())
    def snooze(self, delay, has_step):
        step = make_step(state=StepState.RUNNING, ended_at=None) if has_step else None
        self.take(lifecycle.snooze(self.task, self.now, self.now + delay, step))

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule(delay=delays)
    def retry(self, delay):
        self.take(lifecycle.retry(self.task, self.now, self.now + delay, FAULT))

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule(by=workers)
    def rescue(self, by):
        self.take(lifecycle.rescue(self.task, self.now, by))

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule(ending=st.sampled_from([Verb.COMPLETE, Verb.FAIL]))
    def end(self, ending):
        if ending is Verb.COMPLETE:
            self.take(lifecycle.complete(self.task, self.now, ()))
        else:
            self.take(lifecycle.fail(self.task, self.now, FAULT, make_step(ended_at=None)))

    @precondition(lambda self: self.task.state not in FINAL)
    @rule()
    def ask_cancel(self):
        self.take(lifecycle.ask_cancel(self.task, self.now, "tester"))

    @precondition(lambda self: self.task.state is State.WAITING)
    @rule()
    def cancel(self):
        if self.task.started_at is None:
            self.take(lifecycle.cancel(self.task, self.now, "tester"))
        else:
            with pytest.raises(IllegalTransition):
                lifecycle.cancel(self.task, self.now, "tester")

    @precondition(lambda self: self.task.state is State.RUNNING)
    @rule()
    def stop(self):
        if self.task.cancel_asked_at is None:
            with pytest.raises(IllegalTransition):
                lifecycle.stop(self.task, self.now)
        else:
            self.take(lifecycle.stop(self.task, self.now))

    @precondition(lambda self: self.task.state in FINAL and not self.is_deleted)
    @rule()
    def only_delete_is_left(self):
        for call in (
            lambda: lifecycle.claim(self.task, W1, self.now),
            lambda: lifecycle.ask_cancel(self.task, self.now, "tester"),
            lambda: lifecycle.rescue(self.task, self.now, W1),
            lambda: lifecycle.stop(self.task, self.now),
            lambda: lifecycle.complete(self.task, self.now, ()),
        ):
            with pytest.raises(IllegalTransition):
                call()
        change = lifecycle.delete(self.task, self.now, "tester")
        assert change.event.to_state is None
        assert change.task.version == self.task.version + 1
        self.is_deleted = True

    @invariant()
    def lease_exactly_if_running(self):
        is_running = self.task.state is State.RUNNING
        assert (self.task.worker_id is not None) == is_running
        assert (self.task.claimed_at is not None) == is_running

    @invariant()
    def counts_never_go_below_zero(self):
        assert 0 <= self.task.attempt <= self.task.epoch
        assert self.task.state is not State.RUNNING or self.task.attempt >= 1

    @invariant()
    def moments_are_in_order(self):
        task = self.task
        order = [task.created_at, task.started_at, task.claimed_at, task.updated_at]
        known = [moment for moment in order if moment is not None]
        assert known == sorted(known)
        assert (task.ended_at is not None) == task.state.is_final
        if task.ended_at is not None:
            assert (task.started_at or task.created_at) <= task.ended_at <= task.updated_at
        attempt = self.last.attempt
        if attempt is not None and attempt.ended_at is not None:
            assert attempt.started_at <= attempt.ended_at

    @invariant()
    def event_tells_what_happened(self):
        event = self.last.event
        assert event.attempt == self.last.task.attempt
        assert event.to_state is self.task.state


def test_lifecycle_keeps_its_invariants_in_any_order():
    run_state_machine_as_test(
        Lifecycle, settings=settings(max_examples=150, stateful_step_count=30, deadline=None)
    )
