"""Which changes of a task are legal, and what each one does. Pure: a task in, a Change out.

The store keeps what is decided here; it never computes a state. The diagram in
docs/architecture.md is drawn from TRANSITIONS.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Any

import msgspec

from backroom.domain.errors import IllegalTransition
from backroom.domain.ids import WorkerId
from backroom.domain.instance import Instance
from backroom.domain.task import (
    FINAL,
    AttemptRecord,
    Change,
    Event,
    Kind,
    Outcome,
    State,
    StepRecord,
    StepState,
    Task,
)


@unique
class Verb(StrEnum):
    SUBMIT = "submit"
    CLAIM = "claim"
    RECORD = "record"
    PROGRESS = "progress"
    SNOOZE = "snooze"
    RETRY = "retry"
    RESCUE = "rescue"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    ASK_CANCEL = "ask_cancel"
    STOP = "stop"
    RESCHEDULE = "reschedule"
    DELETE = "delete"


TRANSITIONS: Mapping[tuple[State | None, Verb], State | None] = MappingProxyType(
    {
        (None, Verb.SUBMIT): State.WAITING,
        (State.WAITING, Verb.CLAIM): State.RUNNING,
        (State.RUNNING, Verb.RECORD): State.RUNNING,
        (State.RUNNING, Verb.PROGRESS): State.RUNNING,
        (State.RUNNING, Verb.SNOOZE): State.WAITING,  # a step waits for the world
        (State.RUNNING, Verb.RETRY): State.WAITING,  # a fault, with attempts left
        (State.RUNNING, Verb.RESCUE): State.WAITING,  # the lease ran out: worker or store was lost
        (State.RUNNING, Verb.COMPLETE): State.SUCCEEDED,
        (State.RUNNING, Verb.FAIL): State.FAILED,
        (State.WAITING, Verb.CANCEL): State.CANCELLED,
        (State.WAITING, Verb.ASK_CANCEL): State.WAITING,  # had begun: its undo must still run
        (State.RUNNING, Verb.ASK_CANCEL): State.RUNNING,  # the lane stays held until it stopped
        (State.RUNNING, Verb.STOP): State.CANCELLED,  # the worker says that it stopped
        (State.WAITING, Verb.RESCHEDULE): State.WAITING,
        (State.SUCCEEDED, Verb.DELETE): None,
        (State.FAILED, Verb.DELETE): None,
        (State.CANCELLED, Verb.DELETE): None,
    }
)


def is_legal(state: State | None, verb: Verb) -> bool:
    return (state, verb) in TRANSITIONS


def submit(
    task: Task, instance: Instance | None = None, steps: tuple[StepRecord, ...] = ()
) -> Change:
    """The first Change of a task that was just made (state waiting, version 1).

    `instance` is how the instance is to be shown from now on, where that changes. `steps` are
    those that a task it retries has done already.
    """
    _target(None, Verb.SUBMIT)
    event = _event(
        task, Verb.SUBMIT, None, task.user_name, task.created_at, detail=_submit_detail(task)
    )
    return Change(task=task, event=event, instance=instance, steps=steps)


def claim(task: Task, worker_id: WorkerId, now: datetime) -> Change:
    moment = _moment(task, now)
    moved = _moved(
        task,
        Verb.CLAIM,
        now,
        worker_id=worker_id,
        epoch=task.epoch + 1,
        attempt=task.attempt + 1,
        claimed_at=moment,
        due_at=None,
        started_at=task.started_at or moment,
    )
    attempt = AttemptRecord(
        epoch=moved.epoch, number=moved.attempt, worker_id=worker_id, started_at=moment
    )
    event = _event(moved, Verb.CLAIM, task.state, worker_id, now)
    return Change(task=moved, event=event, attempt=attempt)


def record(task: Task, now: datetime, steps: tuple[StepRecord, ...]) -> Change:
    """Keep finished and begun steps; the task goes on running."""
    moved = _moved(task, Verb.RECORD, now)
    event = _event(moved, Verb.RECORD, task.state, _holder(task), now, step=steps[0].name)
    return Change(task=moved, event=event, steps=steps)


def progress(task: Task, now: datetime, step: StepRecord) -> Change:
    """Keep how far a step is that the worker goes on waiting for."""
    moved = _moved(task, Verb.PROGRESS, now)
    event = _event(
        moved, Verb.PROGRESS, task.state, _holder(task), now, step=step.name,
        detail=f"{step.percent} %",
    )  # fmt: skip
    return Change(task=moved, event=event, steps=(step,))


def snooze(task: Task, now: datetime, due_at: datetime, step: StepRecord | None = None) -> Change:
    """Give the lease back until `due_at`. The attempt does not count.

    `step` is the one that waits; None when the worker itself goes.
    """
    name = None if step is None else step.name
    ended = _ended_attempt(task, now, Outcome.SNOOZED, step=name)
    moved = _released(task, Verb.SNOOZE, now, due_at=due_at, attempt=task.attempt - 1)
    event = _event(moved, Verb.SNOOZE, task.state, _holder(task), now, step=name)
    return Change(task=moved, event=event, steps=() if step is None else (step,), attempt=ended)


def retry(task: Task, now: datetime, due_at: datetime, fault: "Fault") -> Change:
    """Give the lease back after a fault; the step runs again from `due_at` on."""
    ended = _ended_attempt(task, now, Outcome.FAULTED, fault.step, fault.message, fault.trace)
    moved = _released(task, Verb.RETRY, now, due_at=due_at)
    event = _event(
        moved, Verb.RETRY, task.state, _holder(task), now, step=fault.step, detail=fault.message
    )
    return Change(task=moved, event=event, attempt=ended)


def rescue(task: Task, now: datetime, by: WorkerId) -> Change:
    """Take a task away from a worker that is dead. It is due at once, the attempt given back."""
    ended = _ended_attempt(task, now, Outcome.LOST)
    moved = _released(task, Verb.RESCUE, now, due_at=None, attempt=task.attempt - 1)
    event = _event(moved, Verb.RESCUE, task.state, by, now, detail=f"lost by {_holder(task)}")
    return Change(task=moved, event=event, attempt=ended)


def complete(
    task: Task, now: datetime, steps: tuple[StepRecord, ...], after: str | None = None
) -> Change:
    """`after` is what the instance has become."""
    ended = _ended_attempt(task, now, Outcome.SUCCEEDED)
    moved = _released(task, Verb.COMPLETE, now, ended_at=_moment(task, now), after=after)
    last = steps[-1].name if steps else None
    event = _event(moved, Verb.COMPLETE, task.state, _holder(task), now, step=last)
    return Change(task=moved, event=event, steps=steps, attempt=ended)


def fail(task: Task, now: datetime, fault: "Fault", step: StepRecord | None) -> Change:
    outcome = Outcome.FAULTED if fault.trace else Outcome.REJECTED
    ended = _ended_attempt(task, now, outcome, fault.step, fault.message, fault.trace)
    moved = _released(
        task,
        Verb.FAIL,
        now,
        ended_at=_moment(task, now),
        error_code=fault.code,
        error_msg=fault.message,
    )
    event = _event(
        moved, Verb.FAIL, task.state, _holder(task), now, step=fault.step, detail=fault.message
    )
    steps = () if step is None else (failed_step(step, now),)
    return Change(task=moved, event=event, steps=steps, attempt=ended)


def cancel(task: Task, now: datetime, actor: str, reason: str | None = None) -> Change:
    """Cancel a task that no worker ever had: at once."""
    if task.started_at is not None:
        raise IllegalTransition(f"{task.id} has begun: ask_cancel it")
    moment = _moment(task, now)
    moved = _moved(
        task,
        Verb.CANCEL,
        now,
        ended_at=moment,
        due_at=None,
        cancel_asked_at=moment,
        error_msg=reason,
    )
    return Change(
        task=moved, event=_event(moved, Verb.CANCEL, task.state, actor, now, detail=reason)
    )


def ask_cancel(task: Task, now: datetime, actor: str, reason: str | None = None) -> Change:
    """Ask for a stop of a task that has begun. It keeps its lane until a worker confirms it."""
    asked_at = task.cancel_asked_at or _moment(task, now)
    moved = _moved(task, Verb.ASK_CANCEL, now, cancel_asked_at=asked_at, due_at=None)
    return Change(
        task=moved, event=_event(moved, Verb.ASK_CANCEL, task.state, actor, now, detail=reason)
    )


def stop(task: Task, now: datetime) -> Change:
    """The worker says that a task it was asked to cancel has stopped."""
    if task.cancel_asked_at is None:
        raise IllegalTransition(f"{task.id} was not asked to stop")
    ended = _ended_attempt(task, now, Outcome.CANCELLED)
    moved = _released(task, Verb.STOP, now, ended_at=_moment(task, now))
    event = _event(moved, Verb.STOP, task.state, _holder(task), now)
    return Change(task=moved, event=event, attempt=ended)


def reschedule(
    task: Task, now: datetime, execute_at: datetime, actor: str, reason: str | None = None
) -> Change:
    _require_scheduled(task)
    moved = _moved(task, Verb.RESCHEDULE, now, execute_at=execute_at, due_at=execute_at)
    detail = execute_at.isoformat() + ("" if reason is None else f" {reason}")
    event = _event(moved, Verb.RESCHEDULE, task.state, actor, now, detail=detail)
    return Change(task=moved, event=event)


def delete(task: Task, now: datetime, actor: str) -> Change:
    """Clear the record of a task that has ended. The Change's task is what is removed."""
    _target(task.state, Verb.DELETE)
    gone = msgspec.structs.replace(task, version=task.version + 1)
    event = Event(
        at=now, verb=Verb.DELETE, actor=actor, from_state=task.state, to_state=None,
        attempt=task.attempt,
    )  # fmt: skip
    return Change(task=gone, event=event)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt ended without success. `trace` is there for exceptions, not for rejections."""

    code: str
    message: str
    step: str | None = None
    trace: str | None = None


def failed_step(step: StepRecord, now: datetime) -> StepRecord:
    return msgspec.structs.replace(step, state=StepState.FAILED, ended_at=max(now, step.started_at))


def _target(state: State | None, verb: Verb) -> State | None:
    try:
        return TRANSITIONS[state, verb]
    except KeyError:
        raise IllegalTransition(f"{verb} of a task that is {state}") from None


def _moved(task: Task, verb: Verb, now: datetime, **changes: Any) -> Task:
    target = _target(task.state, verb)
    return msgspec.structs.replace(
        task,
        state=target,
        version=task.version + 1,
        updated_at=_moment(task, now),
        **changes,
    )


def _moment(task: Task, now: datetime) -> datetime:
    """When it is for the task: no end may fall before its begin because the clock went back.

    Events and due moments keep the clock's own time.
    """
    return max(now, task.updated_at)


def _released(task: Task, verb: Verb, now: datetime, **changes: Any) -> Task:
    return _moved(task, verb, now, worker_id=None, claimed_at=None, **changes)


def _ended_attempt(
    task: Task,
    now: datetime,
    outcome: Outcome,
    step: str | None = None,
    error: str | None = None,
    trace: str | None = None,
) -> AttemptRecord:
    return AttemptRecord(
        epoch=task.epoch,
        number=task.attempt,
        worker_id=WorkerId(_holder(task)),
        started_at=task.claimed_at or now,
        ended_at=_moment(task, now),
        outcome=outcome,
        step=step,
        error=error,
        trace=trace,
    )


def _event(  # noqa: PLR0913  one record, seven facts
    task: Task,
    verb: Verb,
    from_state: State | None,
    actor: str,
    at: datetime,
    step: str | None = None,
    detail: str | None = None,
) -> Event:
    return Event(
        at=at,
        verb=verb,
        actor=actor,
        from_state=from_state,
        to_state=task.state,
        step=step,
        attempt=task.attempt,
        detail=detail,
    )


def _submit_detail(task: Task) -> str | None:
    """What the log must say about where a task came from: its cause, and the one before it."""
    parts = [task.name]
    if task.parent_id is not None:
        parts.append(f"after {task.parent_id}")
    if task.reason is not None:
        parts.append(task.reason)
    return ": ".join(parts)


def _holder(task: Task) -> str:
    if task.worker_id is None:
        raise IllegalTransition(f"{task.id} is {task.state} without a lease")
    return task.worker_id


def _require_scheduled(task: Task) -> None:
    if task.kind is not Kind.SCHEDULED:
        raise IllegalTransition(f"{task.id} is not a scheduled task")


__all__ = [
    "FINAL",
    "TRANSITIONS",
    "Fault",
    "Verb",
    "ask_cancel",
    "cancel",
    "claim",
    "complete",
    "delete",
    "fail",
    "failed_step",
    "is_legal",
    "progress",
    "record",
    "reschedule",
    "rescue",
    "retry",
    "snooze",
    "stop",
    "submit",
]
