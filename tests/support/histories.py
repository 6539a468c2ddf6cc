"""Judges what a database says happened: whatever was killed when, some things must be true."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, zip_longest
from typing import Any

from backroom.domain.chain import GENESIS, ChainHead, SealedEvent, first_broken
from backroom.domain.ids import InstanceId, ProjectId, TaskId
from backroom.domain.lifecycle import TRANSITIONS, Verb
from backroom.domain.task import Event, Kind, State
from backroom.engine.rescuer import LEASE_S
from backroom.operations.catalogue import CATALOGUE

# The worker that has the lease writes these, and nobody else does.
BY_HOLDER = frozenset(
    {
        Verb.RECORD, Verb.PROGRESS, Verb.SNOOZE, Verb.RETRY, Verb.COMPLETE, Verb.FAIL, Verb.STOP,
    }
)  # fmt: skip
OUTCOMES = {
    Verb.SNOOZE: {"snoozed"},
    Verb.RETRY: {"faulted"},
    Verb.RESCUE: {"lost"},
    Verb.COMPLETE: {"succeeded"},
    Verb.FAIL: {"faulted", "rejected"},
    Verb.STOP: {"cancelled"},
}
ENDS = frozenset({State.SUCCEEDED, State.CANCELLED})
# A worker beats three times a lease: who wrote something had landed a beat this long before.
BEAT_S = LEASE_S / 3


@dataclass(frozen=True)
class PastTask:
    id: str
    lane: str
    name: str
    state: str
    request_id: str | None
    version: int
    epoch: int
    kind: str
    execute_at: str | None


@dataclass(frozen=True)
class PastEvent:
    project_id: str
    sequence: int
    instance_id: str
    task_id: str
    at: str
    verb: str
    actor: str
    from_state: str | None
    to_state: str | None
    step: str | None
    attempt: int
    detail: str | None
    hash: bytes

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class PastAttempt:
    task_id: str
    epoch: int
    worker_id: str
    started_at: str
    ended_at: str | None
    outcome: str | None


@dataclass(frozen=True)
class PastStep:
    task_id: str
    name: str
    state: str


@dataclass(frozen=True)
class Past:
    """Tasks in the order they were accepted, events in the order they were written.

    `heads` of the chains by project: the last sequence and hash.
    """

    tasks: list[PastTask]
    events: list[PastEvent]
    attempts: list[PastAttempt]
    steps: list[PastStep]
    heads: dict[str, tuple[int, bytes]]
    by_task: dict[str, list[PastEvent]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_task: dict[str, list[PastEvent]] = defaultdict(list)
        for event in self.events:
            by_task[event.task_id].append(event)
        object.__setattr__(self, "by_task", by_task)


def read_past(execute: Callable[[str], Iterable[Any]]) -> Past:
    tasks = (
        "SELECT id, lane, name, state, request_id, version, epoch, kind, execute_at"
        " FROM tasks ORDER BY key"
    )
    events = (
        "SELECT project_id, sequence, instance_id, task_id, at, verb, actor, from_state, to_state,"
        " step, attempt, detail, hash FROM events ORDER BY project_id, sequence"
    )
    attempts = (
        "SELECT task_id, epoch, worker_id, started_at, ended_at, outcome"
        " FROM attempts ORDER BY task_id, epoch"
    )
    steps = "SELECT task_id, name, state FROM steps ORDER BY task_id, position"
    heads = "SELECT project_id, sequence, hash FROM chains"
    return Past(
        [PastTask(*row) for row in execute(tasks)],
        [PastEvent(*row) for row in execute(events)],
        [PastAttempt(*row) for row in execute(attempts)],
        [PastStep(*row) for row in execute(steps)],
        {project_id: (sequence, head) for project_id, sequence, head in execute(heads)},
    )


def violations(past: Past, acknowledged: Iterable[str]) -> list[str]:
    """All that must not be, once everything has ended; `acknowledged` are ids of requests."""
    return [*_lost(past, acknowledged), *(said for rule in RULES for said in rule(past))]


def _lost(past: Past, acknowledged: Iterable[str]) -> Iterator[str]:
    known = {task.request_id: task for task in past.tasks}
    for request_id in acknowledged:
        if request_id not in known:
            yield f"request {request_id} was acknowledged and there is no task"
    for task in past.tasks:
        if task.state not in ENDS:
            yield f"task {task.id} ended as {task.state}"


def _illegal_moves(past: Past) -> Iterator[str]:
    for task in past.tasks:
        state = None
        for event in past.by_task[task.id]:
            if event.from_state != state:
                yield f"task {task.id}: {event.verb} from {event.from_state}, but it was {state}"
            legal = TRANSITIONS.get((state and State(state), Verb(event.verb)), "none")
            if legal != event.to_state:
                yield f"task {task.id}: {event.verb} of a {state} one leads to {event.to_state}"
            state = event.to_state
        if state != task.state:
            yield f"task {task.id} is {task.state}, its events end in {state}"


def _left_out(past: Past) -> Iterator[str]:
    """Each stored change is one event, each claim one epoch."""
    for task in past.tasks:
        events = past.by_task[task.id]
        if len(events) != task.version:
            yield f"task {task.id}: {len(events)} events, version {task.version}"
        claims = sum(event.verb == Verb.CLAIM for event in events)
        if claims != task.epoch:
            yield f"task {task.id}: {claims} claims, epoch {task.epoch}"


def _steps_not_done_once(past: Past) -> Iterator[str]:
    kept = _kept_steps(past)
    for task in past.tasks:
        steps = () if task.kind == Kind.SCHEDULED else CATALOGUE[task.name].steps
        wanted = [step.name for step in steps]
        done: list[str] = []
        for event in past.by_task[task.id]:
            if event.step in done:
                yield f"task {task.id}: {event.verb} of {event.step}, which was finished"
            if event.verb in {Verb.RECORD, Verb.COMPLETE} and event.step is not None:
                done.append(event.step)
        if done != (wanted if task.state == State.SUCCEEDED else wanted[: len(done)]):
            yield f"task {task.id}: finished {done}, its steps are {wanted}"
        if kept[task.id] != done:
            yield f"task {task.id}: finished {done}, kept are {kept[task.id]}"


def _kept_steps(past: Past) -> dict[str, list[str]]:
    kept = defaultdict(list)
    for step in past.steps:
        if step.state == "succeeded":
            kept[step.task_id].append(step.name)
    return kept


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
    left: dict[str, dict[str, None]] = defaultdict(dict)  # in the order they were accepted
    for task in past.tasks:
        left[task.lane][task.id] = None
    for event in past.events:
        queue = left.get(lanes.get(event.task_id, ""))
        if queue is None:
            continue
        if event.verb == Verb.CLAIM and (first := next(iter(queue), None)) != event.task_id:
            yield f"task {event.task_id} began before {first} had ended"
        if event.to_state is not None and State(event.to_state).is_final:
            queue.pop(event.task_id, None)


def _too_early(past: Past) -> Iterator[str]:
    for task in past.tasks:
        if task.execute_at is None:
            continue
        for event in past.by_task[task.id]:
            if event.verb == Verb.CLAIM and event.at < task.execute_at:
                yield f"task {task.id} began at {event.at}, its time is {task.execute_at}"


def _stale_writes(past: Past) -> Iterator[str]:
    """Who lost its lease writes nothing: each write is the last claim's worker's."""
    for task in past.tasks:
        holder = None
        for event in past.by_task[task.id]:
            if event.verb == Verb.CLAIM:
                holder = event.actor
            elif event.verb in BY_HOLDER and event.actor != holder:
                yield f"task {task.id}: {event.verb} by {event.actor}, {holder} has the lease"
            elif event.verb == Verb.RESCUE and event.detail != f"lost by {holder}":
                yield f"task {task.id}: rescue, {event.detail}, and {holder} had the lease"


def _robberies(past: Past) -> Iterator[str]:
    """Nobody is taken for dead who wrote something when its last beat was not yet a lease old."""
    wrote: dict[str, datetime] = {}
    for event in past.events:
        holder = (event.detail or "").removeprefix("lost by ")
        if event.verb == Verb.RESCUE and event.actor != holder and holder in wrote:
            ago_s = (event.moment - wrote[holder]).total_seconds()
            if ago_s < LEASE_S - BEAT_S:
                yield f"task {event.task_id} was taken from {holder}, which wrote {ago_s} s before"
        if event.verb == Verb.CLAIM or event.verb in BY_HOLDER:
            wrote[event.actor] = max(event.moment, wrote.get(event.actor, event.moment))


def _progress_that_fell(past: Past) -> Iterator[str]:
    for task in past.tasks:
        percent: dict[str | None, int] = {}
        for event in past.by_task[task.id]:
            if event.verb == Verb.PROGRESS:
                now = int((event.detail or "").removesuffix(" %"))
                before = percent.get(event.step, 0)
                if now <= before:
                    yield f"task {task.id}: {event.step} went from {before} % to {now} %"
                percent[event.step] = now


def _attempts_of_another_life(past: Past) -> Iterator[str]:
    """The attempts tell the same as the events: who, how it ended, epochs 1, 2, 3 and so on."""
    attempts = defaultdict(list)
    for attempt in past.attempts:
        attempts[attempt.task_id].append(attempt)
    for task in past.tasks:
        events = past.by_task[task.id]
        claims = [event for event in events if event.verb == Verb.CLAIM]
        ends = [event for event in events if event.verb in OUTCOMES]
        own = attempts[task.id]
        if [attempt.epoch for attempt in own] != list(range(1, len(claims) + 1)):
            epochs = [attempt.epoch for attempt in own]
            yield f"task {task.id}: {len(claims)} claims, attempts {epochs}"
        for said in _wrong_attempts(own, claims, ends):
            yield f"task {task.id}: {said}"


def _wrong_attempts(
    attempts: Sequence[PastAttempt], claims: Sequence[PastEvent], ends: Sequence[PastEvent]
) -> Iterator[str]:
    for attempt, claim, end in zip_longest(attempts, claims, ends):
        if attempt is None or claim is None:
            continue  # said already
        if attempt.outcome is None or attempt.ended_at is None:
            yield f"attempt {attempt.epoch} never ended"
            continue
        if attempt.worker_id != claim.actor:
            yield f"attempt {attempt.epoch} of {attempt.worker_id}, claimed by {claim.actor}"
        if end is None or attempt.outcome not in OUTCOMES[Verb(end.verb)]:
            yield f"attempt {attempt.epoch} {attempt.outcome}, the event is {end and end.verb}"
        if attempt.ended_at < attempt.started_at:
            yield f"attempt {attempt.epoch} ended before it began"


def _broken_chains(past: Past) -> Iterator[str]:
    for project_id, events in groupby(past.events, lambda event: event.project_id):
        sealed = [_sealed(event) for event in events]
        broken = first_broken(ChainHead(0, GENESIS), sealed)
        if broken is not None:
            yield f"the chain is broken at event {broken.sequence}"
        if past.heads.get(project_id) != (sealed[-1].sequence, sealed[-1].hash):
            yield f"the chain's head is not its last event {sealed[-1].sequence}"


def _sealed(event: PastEvent) -> SealedEvent:
    return SealedEvent(
        project_id=ProjectId(event.project_id),
        sequence=event.sequence,
        instance_id=InstanceId(event.instance_id),
        task_id=TaskId(event.task_id),
        event=Event(
            at=event.moment,
            verb=event.verb,
            actor=event.actor,
            from_state=event.from_state and State(event.from_state),
            to_state=event.to_state and State(event.to_state),
            step=event.step,
            attempt=event.attempt,
            detail=event.detail,
        ),
        hash=event.hash,
    )


RULES = (
    _illegal_moves,
    _left_out,
    _steps_not_done_once,
    _overlaps,
    _overtakings,
    _too_early,
    _stale_writes,
    _robberies,
    _progress_that_fell,
    _attempts_of_another_life,
    _broken_chains,
)
