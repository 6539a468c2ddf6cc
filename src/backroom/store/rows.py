"""Rows to our types and back: moments as fixed-width text, enums as their words."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from backroom.domain.account import AccessKey, Role, Token, User
from backroom.domain.chain import SealedEvent
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId
from backroom.domain.stamps import stamp
from backroom.domain.task import (
    AttemptRecord,
    Event,
    Kind,
    Outcome,
    Receipt,
    State,
    StepRecord,
    StepState,
    Task,
)

Row = tuple[Any, ...]

_KINDS = {kind.value: kind for kind in Kind}
_STATES = {state.value: state for state in State}
_moment = datetime.fromisoformat


def optional_stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def task(row: Row) -> Task:
    return Task(
        id=TaskId(row[0]),
        project_id=ProjectId(row[1]),
        instance_id=InstanceId(row[2]),
        kind=_KINDS[row[3]],
        name=row[4],
        user_id=UserId(row[5]),
        user_name=row[6],
        params=row[7],
        state=_STATES[row[8]],
        created_at=_moment(row[9]),
        updated_at=_moment(row[10]),
        execute_at=optional_moment(row[11]),
        lane=row[12],
        internal=row[13],
        version=row[14],
        epoch=row[15],
        attempt=row[16],
        worker_id=row[17],
        claimed_at=optional_moment(row[18]),
        due_at=optional_moment(row[19]),
        started_at=optional_moment(row[20]),
        ended_at=optional_moment(row[21]),
        cancel_asked_at=optional_moment(row[22]),
        error_code=row[23],
        error_msg=row[24],
        reason=row[25],
        request_id=row[26],
        parent_id=row[27],
        before=row[28],
        after=row[29],
    )


HEAD_START = timedelta(minutes=1)  # of a lane that had nothing to do, before those that had a turn


def first_turn(task: Task) -> str:
    """The turn_at of a lane that begins with this task."""
    if task.due_at is not None:
        return stamp(task.due_at)
    return stamp(task.created_at - HEAD_START)


def inserted_task(key: int, task: Task, created_at: str) -> Row:
    updated_at = max(created_at, stamp(task.updated_at))
    return (
        key, task.id, task.project_id, task.instance_id, task.kind.value, task.name, task.user_id,
        task.user_name, task.params, task.state.value, created_at, updated_at,
        optional_stamp(task.execute_at), task.lane, task.internal,
        task.version, task.epoch, task.attempt, task.worker_id, optional_stamp(task.claimed_at),
        optional_stamp(task.due_at), optional_stamp(task.started_at),
        optional_stamp(task.ended_at), optional_stamp(task.cancel_asked_at),
        task.error_code, task.error_msg, task.reason, task.request_id, task.parent_id, task.before,
        task.after,
    )  # fmt: skip


def updated_task(task: Task) -> Row:
    return (
        task.state.value, stamp(task.updated_at), optional_stamp(task.execute_at),
        task.version, task.epoch, task.attempt, task.worker_id, optional_stamp(task.claimed_at),
        optional_stamp(task.due_at), optional_stamp(task.started_at),
        optional_stamp(task.ended_at), optional_stamp(task.cancel_asked_at),
        task.error_code, task.error_msg, task.after, task.id, task.version - 1,
    )  # fmt: skip


def step_row(task_id: TaskId, step: StepRecord) -> Row:
    return (
        task_id, step.position, step.name, step.state.value, step.percent,
        stamp(step.started_at), optional_stamp(step.ended_at), step.output,
    )  # fmt: skip


def step(row: Row) -> StepRecord:
    return StepRecord(
        name=row[0],
        position=row[1],
        state=StepState(row[2]),
        percent=row[3],
        started_at=_moment(row[4]),
        ended_at=optional_moment(row[5]),
        output=row[6],
    )


def attempt_row(task_id: TaskId, attempt: AttemptRecord) -> Row:
    return (
        task_id, attempt.epoch, attempt.number, attempt.worker_id, stamp(attempt.started_at),
        optional_stamp(attempt.ended_at), attempt.outcome, attempt.step, attempt.error,
        attempt.trace,
    )  # fmt: skip


def attempt(row: Row) -> AttemptRecord:
    return AttemptRecord(
        epoch=row[0],
        number=row[1],
        worker_id=WorkerId(row[2]),
        started_at=_moment(row[3]),
        ended_at=optional_moment(row[4]),
        outcome=_optional(Outcome, row[5]),
        step=row[6],
        error=row[7],
        trace=row[8],
    )


def event_row(task: Task, event: Event) -> Row:
    return (
        task.project_id, task.instance_id, task.id, stamp(event.at), event.verb, event.actor,
        event.from_state, event.to_state, event.step, event.attempt, event.detail,
    )  # fmt: skip


def event(row: Row) -> Event:
    return Event(
        at=_moment(row[0]),
        verb=row[1],
        actor=row[2],
        from_state=_optional(State, row[3]),
        to_state=_optional(State, row[4]),
        step=row[5],
        attempt=row[6],
        detail=row[7],
    )


def sealed_event(row: Row) -> SealedEvent:
    return SealedEvent(
        project_id=ProjectId(row[0]),
        sequence=row[1],
        instance_id=InstanceId(row[2]),
        task_id=TaskId(row[3]),
        hash=row[4],
        event=event(row[5:]),
    )


def receipt(row: Row) -> Receipt:
    return Receipt(
        project_id=ProjectId(row[0]),
        token=row[1],
        digest=row[2],
        task_id=TaskId(row[3]),
        instance_id=InstanceId(row[4]),
        until=_moment(row[5]),
    )


def user(row: Row) -> User:
    return User(
        id=UserId(row[0]),
        name=row[1],
        project_id=ProjectId(row[2]),
        role=Role(row[3]),
        password_hash=row[4],
    )


def token(row: Row) -> Token:
    return Token(
        digest=row[0],
        project_id=None if row[1] is None else ProjectId(row[1]),
        user_id=UserId(row[2]),
        user_name=row[3],
        role=Role(row[4]),
        issued_at=_moment(row[5]),
        expires_at=_moment(row[6]),
    )


def access_key_row(key: AccessKey, sealed: bytes) -> Row:
    return (
        key.access_key, sealed, key.project_id, key.user_id, key.user_name, key.role.value,
        stamp(key.created_at), int(key.is_generated), key.token_digest,
        optional_stamp(key.expires_at),
    )  # fmt: skip


def access_key(row: Row, unseal: Callable[[bytes], bytes]) -> AccessKey:
    return AccessKey(
        access_key=row[0],
        secret_key=unseal(row[1]).decode(),
        project_id=ProjectId(row[2]),
        user_id=UserId(row[3]),
        user_name=row[4],
        role=Role(row[5]),
        created_at=_moment(row[6]),
        is_generated=bool(row[7]),
        token_digest=row[8],
        expires_at=optional_moment(row[9]),
    )


def _optional(closed: type[Any], word: str | None) -> Any:
    return None if word is None else closed(word)
