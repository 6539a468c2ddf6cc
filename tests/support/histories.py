"""Judges what a database says happened: whatever was killed when, some things must be true."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from backroom.domain.lifecycle import TRANSITIONS, Verb
from backroom.domain.task import State
from backroom.operations.catalogue import CATALOGUE


@dataclass(frozen=True)
class PastTask:
    id: str
    lane: str
    name: str
    state: str
    request_id: str | None


@dataclass(frozen=True)
class PastEvent:
    task_id: str
    verb: str
    from_state: str | None
    to_state: str | None
    step: str | None = None


@dataclass(frozen=True)
class PastAttempt:
    task_id: str
    epoch: int
    outcome: str | None


@dataclass(frozen=True)
class Past:
    """Tasks in the order they were accepted, events in the order they were written."""

    tasks: list[PastTask]
    events: list[PastEvent]
    attempts: list[PastAttempt]


def read_past(execute: Callable[[str], Iterable[Any]]) -> Past:
    tasks = "SELECT id, lane, name, state, request_id FROM tasks ORDER BY key"
    events = (
        "SELECT task_id, verb, from_state, to_state, step FROM events ORDER BY project_id, sequence"
    )
    attempts = "SELECT task_id, epoch, outcome FROM attempts ORDER BY task_id, epoch"
    return Past(
        [PastTask(*row) for row in execute(tasks)],
        [PastEvent(*row) for row in execute(events)],
        [PastAttempt(*row) for row in execute(attempts)],
    )


def violations(past: Past, acknowledged: Iterable[str]) -> list[str]:
    """All that must not be, once everything has ended; `acknowledged` are ids of requests."""
    return [
        *_lost(past, acknowledged),
        *_illegal_moves(past),
        *_steps_not_done_once(past),
        *_overlaps(past),
        *_overtakings(past),
        *_attempts_without_an_end(past),
    ]


def _lost(past: Past, acknowledged: Iterable[str]) -> Iterator[str]:
    known = {task.request_id: task for task in past.tasks}
    for request_id in acknowledged:
        if request_id not in known:
            yield f"request {request_id} was acknowledged and there is no task"
    for task in past.tasks:
        if task.state != State.SUCCEEDED:
            yield f"task {task.id} ended as {task.state}"


def _by_task(past: Past) -> dict[str, list[PastEvent]]:
    events = defaultdict(list)
    for event in past.events:
        events[event.task_id].append(event)
    return events


def _illegal_moves(past: Past) -> Iterator[str]:
    by_task = _by_task(past)
    for task in past.tasks:
        state = None
        for event in by_task[task.id]:
            if event.from_state != state:
                yield f"task {task.id}: {event.verb} from {event.from_state}, but it was {state}"
            legal = TRANSITIONS.get((state and State(state), Verb(event.verb)), "none")
            if legal != event.to_state:
                yield f"task {task.id}: {event.verb} of a {state} one leads to {event.to_state}"
            state = event.to_state
        if state != task.state:
            yield f"task {task.id} is {task.state}, its events end in {state}"


def _steps_not_done_once(past: Past) -> Iterator[str]:
    by_task = _by_task(past)
    for task in past.tasks:
        wanted = [step.name for step in CATALOGUE[task.name].steps]
        done = [
            event.step
            for event in by_task[task.id]
            if event.verb in {Verb.RECORD, Verb.COMPLETE} and event.step is not None
        ]
        if task.state == State.SUCCEEDED and done != wanted:
            yield f"task {task.id}: finished {done}, its steps are {wanted}"


def _overlaps(past: Past) -> Iterator[str]:
    lanes = {task.id: task.lane for task in past.tasks}
    running: dict[str, str] = {}
    for event in past.events:
        lane = lanes.get(event.task_id)
        if lane is None:
            continue
        holder = running.get(lane)
        if event.to_state == State.RUNNING:
            if holder not in {None, event.task_id}:
                yield f"task {event.task_id}: {event.verb} while {holder} runs in {lane}"
            running[lane] = event.task_id
        elif holder == event.task_id:
            del running[lane]


def _overtakings(past: Past) -> Iterator[str]:
    """A task begins only when all that were accepted before it in its lane have ended."""
    lanes = {task.id: task.lane for task in past.tasks}
    left: dict[str, list[str]] = defaultdict(list)
    for task in past.tasks:
        left[task.lane].append(task.id)
    for event in past.events:
        queue = left.get(lanes.get(event.task_id, ""))
        if queue is None:
            continue
        if event.verb == Verb.CLAIM and queue[0] != event.task_id:
            yield f"task {event.task_id} began before {queue[0]} had ended"
        if event.to_state is not None and State(event.to_state).is_final:
            queue.remove(event.task_id)


def _attempts_without_an_end(past: Past) -> Iterator[str]:
    by_task = _by_task(past)
    attempts = defaultdict(list)
    for attempt in past.attempts:
        attempts[attempt.task_id].append(attempt)
    for task in past.tasks:
        epochs = [attempt.epoch for attempt in attempts[task.id]]
        claims = sum(event.verb == Verb.CLAIM for event in by_task[task.id])
        if epochs != list(range(1, claims + 1)):
            yield f"task {task.id}: {claims} claims, attempts {epochs}"
        for attempt in attempts[task.id]:
            if attempt.outcome is None:
                yield f"task {task.id}: attempt {attempt.epoch} never ended"
