import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
from tests.support.builders import (
    NOW,
    PROJECT,
    W1,
    W2,
    instance_id,
    known_id,
    make_scheduled,
    make_step,
    make_task,
)
from tests.support.databases import PostgresDatabase, SqliteMemory
from tests.support.postgres_server import (
    MISSING,
    _postgres_stopped_at_the_end,  # noqa: F401  pytest finds the fixture by its name
    binaries,
)

from backroom.domain import lifecycle
from backroom.domain.errors import StaleTask
from backroom.domain.filter import Page, TaskFilter
from backroom.domain.lifecycle import Fault
from backroom.domain.task import Kind, State, Task
from backroom.store.rows import HEAD_START

FAULT = Fault(code="DMS.00500000", message="broken", step="step_0", trace="at line 1")
INSTANCES = (1, 2, 3)
waits = st.integers(0, 5_000).map(lambda ms: timedelta(milliseconds=ms))
jumps = st.integers(-3_000, 6_000).map(lambda ms: timedelta(milliseconds=ms))


@dataclass
class Lane:
    """What the store must believe of one queue: its unfinished tasks, oldest first."""

    queue: list[str] = field(default_factory=list)
    ready_at: datetime = NOW
    turn_at: datetime = NOW
    holder: str | None = None

    def ready(self, at, *, head_start=False):
        self.ready_at = at
        self.turn_at = at - HEAD_START if head_start else at


class Store(RuleBasedStateMachine):
    """A real store beside a small model of it."""

    kind = SqliteMemory

    @initialize()
    def open(self):
        self.runner = asyncio.Runner()
        self.database = self.kind()
        self.store = self.database.open().tasks
        self.now = NOW
        self.known: dict[str, Task] = {}  # as last written; deleted ones are gone
        self.old: list[Task] = []  # versions that somebody has written over
        self.lanes: dict[str, Lane] = {}
        self.submitted = 0

    def teardown(self):
        if hasattr(self, "runner"):
            self.runner.close()
            self.database.close()

    def do(self, work):
        return self.runner.run(work)

    def some(self, data, state=None, *, among=lambda task: True):
        fit = [
            task_id
            for task_id, task in self.known.items()
            if (state is None or task.state is state) and among(task)
        ]
        return self.known[data.draw(st.sampled_from(fit))] if fit else None

    # what happens

    @rule(jump=jumps)
    def clock_moves(self, jump):
        self.now += jump

    @rule(number=st.sampled_from(INSTANCES), due=st.none() | waits, is_scheduled=st.booleans())
    def submit(self, number, due, is_scheduled):
        self.submitted += 1
        task_id = known_id(self.submitted)
        due_at = None if due is None else self.now + due
        if is_scheduled:
            execute_at = due_at or self.now
            task = make_scheduled(number, execute_at, self.now, id=task_id, lane=task_id)
        else:
            task = make_task(number, self.now, id=task_id, due_at=due_at)
        self.do(self.store.write(lifecycle.submit(task)))
        kept = self.do(self.store.get(task_id))
        newest = [one.created_at for one in self.known.values() if _same_stream(one, task)]
        assert kept.created_at >= max([task.created_at, *newest])
        self.known[task_id] = kept
        lane = self.lanes.setdefault(task.lane, Lane())
        lane.queue.append(task_id)
        if len(lane.queue) == 1:
            lane.ready(task.due_at or self.now, head_start=task.due_at is None)

    @rule(worker=st.sampled_from([W1, W2]), limit=st.integers(0, 4))
    def claim(self, worker, limit):
        ready = sorted(
            lane.turn_at
            for lane in self.lanes.values()
            if lane.queue and lane.holder is None and max(lane.turn_at, lane.ready_at) <= self.now
        )

        async def claim():
            return await self.store.claim(worker, limit, self.now)

        claimed = self.do(claim())
        assert [self.lanes[task.lane].turn_at for task in claimed] == ready[:limit]
        for task in claimed:
            lane = self.lanes[task.lane]
            assert lane.holder is None
            assert lane.queue[0] == task.id
            lane.holder = worker
            self.take(task)

    def take(self, task):
        before = self.known[task.id]
        assert task.version == before.version + 1
        self.old.append(before)
        self.known[task.id] = task

    def write(self, change):
        self.do(self.store.write(change))
        self.take(change.task)
        return change.task

    @precondition(lambda self: any(lane.holder for lane in self.lanes.values()))
    @rule(data=st.data(), wait=waits, how=st.sampled_from(["snooze", "retry", "rescue", "record"]))
    def running_goes_on(self, data, wait, how):
        task = self.some(data, State.RUNNING)
        lane = self.lanes[task.lane]
        if how == "record":
            self.write(lifecycle.record(task, self.now, (make_step(),)))
            return
        lane.holder = None
        if how == "rescue":
            self.write(lifecycle.rescue(task, self.now, W2))
            lane.ready(self.now)
            return
        lane.ready(self.now + wait)
        if how == "snooze":
            self.write(lifecycle.snooze(task, self.now, self.now + wait, make_step(1)))
        else:
            self.write(lifecycle.retry(task, self.now, self.now + wait, FAULT))

    @precondition(lambda self: any(lane.holder for lane in self.lanes.values()))
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "stop"]))
    def running_ends(self, data, how):
        task = self.some(data, State.RUNNING)
        if how == "stop" and task.cancel_asked_at is None:
            task = self.write(lifecycle.ask_cancel(task, self.now, "tester"))
        change = {
            "complete": lambda: lifecycle.complete(task, self.now, (make_step(),)),
            "fail": lambda: lifecycle.fail(task, self.now, FAULT, make_step()),
            "stop": lambda: lifecycle.stop(task, self.now),
        }[how]()
        self.write(change)
        self.leaves(task)

    def leaves(self, task):
        lane = self.lanes[task.lane]
        was_head = lane.queue[0] == task.id
        lane.queue.remove(task.id)
        if was_head:
            lane.holder = None
            if lane.queue:
                lane.ready(self.known[lane.queue[0]].due_at or self.now)

    @rule(data=st.data())
    def cancel(self, data):
        task = self.some(data, State.WAITING, among=lambda task: task.started_at is None)
        if task is not None:
            self.write(lifecycle.cancel(task, self.now, "tester"))
            self.leaves(task)

    @rule(data=st.data())
    def ask_cancel(self, data):
        task = self.some(data, among=lambda task: not task.state.is_final)
        if task is None:
            return
        self.write(lifecycle.ask_cancel(task, self.now, "tester"))
        lane = self.lanes[task.lane]
        if task.state is State.WAITING and lane.queue[0] == task.id:
            lane.ready(self.now)

    @rule(data=st.data(), wait=waits)
    def reschedule(self, data, wait):
        task = self.some(data, State.WAITING, among=lambda task: task.kind is Kind.SCHEDULED)
        if task is not None:
            self.write(lifecycle.reschedule(task, self.now, self.now + wait, "tester"))
            self.lanes[task.lane].ready(self.now + wait)

    @rule(data=st.data())
    def delete(self, data):
        task = self.some(data, among=lambda task: task.state.is_final)
        if task is not None:
            self.do(self.store.write(lifecycle.delete(task, self.now, "tester")))
            del self.known[task.id]
            self.old.append(task)
            assert self.do(self.store.get(task.id)) is None

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def stale_write_changes_nothing(self, data):
        stale = data.draw(st.sampled_from(self.old))
        if stale.state is State.RUNNING:
            late = lifecycle.complete(stale, self.now, (make_step(),))
        elif stale.state is State.WAITING:
            late = lifecycle.claim(stale, W1, self.now)
        else:
            late = lifecycle.delete(stale, self.now, "tester")
        good = [
            lifecycle.ask_cancel(task, self.now, "tester")
            for task in self.known.values()
            if not task.state.is_final and task.id != stale.id
        ][:2]
        with pytest.raises(StaleTask):
            self.do(self.store.write(*good, late))

    # what must hold

    @invariant()
    def tasks_are_as_last_written(self):
        for task_id, task in self.known.items():
            assert self.do(self.store.get(task_id)) == task
            assert task.updated_at >= task.created_at

    @invariant()
    def lanes_have_their_oldest_unfinished_task_at_the_head(self):
        for name, lane in self.lanes.items():
            head = self.do(self.store.current(name))
            assert (None if head is None else head.id) == (lane.queue[0] if lane.queue else None)
            states = [self.known[task_id].state for task_id in lane.queue]
            assert states.count(State.RUNNING) == (lane.holder is not None)
            assert State.RUNNING not in states[1:]

    @invariant()
    def workers_hold_what_runs(self):
        for worker in (W1, W2):
            held = {task.id for task in self.do(self.store.held(worker))}
            assert held == {task.id for task in self.known.values() if task.worker_id == worker}

    @invariant()
    def next_due_is_the_earliest_lane_that_nobody_holds(self):
        free = [lane.ready_at for lane in self.lanes.values() if lane.queue and not lane.holder]
        assert self.do(self.store.next_due()) == min(free, default=None)

    @invariant()
    def lists_show_everything_newest_first(self):
        for number in INSTANCES:
            for kind in Kind:
                wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id(number), kind=kind)
                page = self.do(self.store.find(wanted, Page(0, 1_000)))
                expected = [
                    task.id
                    for task in self.known.values()
                    if task.instance_id == instance_id(number) and task.kind is kind
                ]
                assert [task.id for task in page.tasks] == expected[::-1]
                assert page.total == len(expected)


def _same_stream(one, other):
    return (one.instance_id, one.kind) == (other.instance_id, other.kind)


class StoreOnPostgres(Store):
    kind = PostgresDatabase


@pytest.mark.parametrize(
    ("store", "examples"),
    [
        (Store, 20),
        pytest.param(Store, 150, marks=pytest.mark.slow),
        pytest.param(
            StoreOnPostgres,
            12,
            marks=[pytest.mark.slow, pytest.mark.skipif(binaries() is None, reason=MISSING)],
        ),
    ],
)
def test_store_agrees_with_its_model_in_any_order(store, examples):
    run_state_machine_as_test(
        store, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
