"""Task records and progress as v2 shows them (contract: docs/wire/tasks.md)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum, unique
from typing import Any

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.estimate import Estimate
from backroom.domain.filter import Page, TaskFilter, TaskPage
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.task import Kind, State, StepRecord, StepState, TaskRecord
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation
from backroom.ports import History
from backroom.wire.queries import moment, whole_number
from backroom.wire.times import decode_compact, encode_epoch_ms

DEFAULT_LIMIT = 10  # [O] Terraform's comment on the service
MAX_LIMIT = 100  # [O] same


@unique
class Status(StrEnum):
    CREATED = "CREATED"
    EXECUTING = "EXECUTING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class TaskBody(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    user_name: str
    user_id: str
    params: str  # [D] a string that holds JSON
    status: Status
    created_at: str
    updated_at: str


class ScheduledTaskBody(TaskBody, frozen=True, gc=False):
    schedule_at: str


class TaskListBody(msgspec.Struct, frozen=True):
    task_count: str  # [O] a string: Terraform asserts it; [D] the total, not the page's length
    tasks: Sequence[TaskBody]


class ScheduledTaskListBody(msgspec.Struct, frozen=True):
    job_count: int  # [D] SDK 3.1.219 and the example
    jobs: Sequence[ScheduledTaskBody]


class StepBody(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    statue: str  # [D] sic; some clients read `status`
    status: str
    start_time: int | str | None = None  # text for one SDK: `reads_times_as_text`
    end_time: int | str | None = None


class ProgressBody(msgspec.Struct, frozen=True):
    progress_percentage: int
    remain_time: int  # seconds [I: as the sibling DCS API says]
    step_list: Sequence[StepBody]


_ENDED: dict[str, Status] = {State.SUCCEEDED: Status.SUCCESS, State.FAILED: Status.FAILED}


def status_of(record: TaskRecord) -> Status:
    """The word that known clients end on or go on with.

    [O] Most waiters know only CREATED as under way and none knows CANCELLED of a background task:
    they would poll it for ever, so it shows as FAILED.
    """
    ended = _ENDED.get(record.state)
    if ended is not None:
        return ended
    if record.state == State.CANCELLED:
        return Status.CANCELLED if record.kind == Kind.SCHEDULED else Status.FAILED
    operation = CATALOGUE.get(record.name)  # None: a task of another release shows all the same
    if record.kind == Kind.BACKGROUND and operation is not None and operation.shows_executing:
        return Status.EXECUTING
    return Status.CREATED


def encode_task(record: TaskRecord) -> TaskBody:
    return TaskBody(
        record.id,
        record.name,
        record.user_name,
        record.user_id,
        record.params,
        status_of(record),
        record.created_at,
        record.updated_at,
    )


def encode_one(shown: TaskBody) -> TaskListBody:
    """[D] One task comes in the same envelope as a list of them."""
    return TaskListBody("1", [shown])


def entity_tag(shown: TaskBody) -> bytes:
    """Of a task in an answer: nothing else in there ever changes."""
    return f'"{shown.id}/{shown.updated_at}/{shown.status}"'.encode()


def encode_page(page: TaskPage) -> TaskListBody:
    return TaskListBody(str(page.total), [encode_task(record) for record in page.tasks])


def encode_scheduled_page(page: TaskPage) -> ScheduledTaskListBody:
    return ScheduledTaskListBody(
        page.total,
        [
            ScheduledTaskBody(
                **msgspec.structs.asdict(encode_task(record)),
                schedule_at=record.execute_at or record.created_at,
            )
            for record in page.tasks
        ],
    )


def decode_list(
    query: Mapping[str, str], project_id: ProjectId, instance_id: InstanceId, kind: Kind
) -> tuple[TaskFilter, Page]:
    """`start` counts from 1 [O] (0 is taken as 1 [I]); `offset`, its newer name, from 0 [I]."""
    limit = whole_number(query, "limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)
    if "start" in query:
        skip = max(whole_number(query, "start", 1, least=0) - 1, 0)
    else:
        skip = whole_number(query, "offset", 0, least=0)
    wanted = TaskFilter(
        project_id=project_id,
        instance_id=instance_id,
        kind=kind,
        created_from=moment(query, "begin_time"),
        created_to=_inclusive_end(moment(query, "end_time")),
    )
    return wanted, Page(skip, limit)


def _inclusive_end(second: datetime | None) -> datetime | None:
    """The last millisecond of that second: the wire's times have no finer part [I: inclusive]."""
    return None if second is None else second.replace(microsecond=999_000)


class ScheduleUpdate(msgspec.Struct, frozen=True):
    execute_at: datetime | None = None
    is_cancel: bool = False


def decode_schedule_update(query: Mapping[str, str]) -> ScheduleUpdate:
    """`execute_at` as YYYYMMDDHHmmss in UTC [I zone] and `status` CANCELLED or null [D]."""
    status = query.get("status", "null")
    if status not in ("CANCELLED", "null"):
        raise InvalidInput("status", "must be CANCELLED or null")
    text = query.get("execute_at")
    execute_at = None if text is None else decode_compact("execute_at", text)
    is_cancel = status == "CANCELLED"
    if not is_cancel and execute_at is None:
        raise InvalidInput("execute_at", "or status=CANCELLED must be given")
    if is_cancel and execute_at is not None:
        raise InvalidInput("status", "CANCELLED and execute_at exclude each other")
    return ScheduleUpdate(execute_at, is_cancel)


_STEP_WORDS = {
    StepState.SUCCEEDED: "COMPLETED",
    StepState.RUNNING: "IN_PROGRESS",
    StepState.FAILED: "FAILED",
}


def reads_times_as_text(user_agent: bytes | None) -> bool:
    """Whether the client takes a step's times only as text.

    [P] The Go SDK 0.1.207 declares them as strings and fails on a number; [O] the Java SDK 3.1.212
    declares Long and fails on text, the Python SDK takes both. They name themselves.
    """
    return user_agent is not None and user_agent.startswith(b"huaweicloud-usdk-go/")


def encode_progress(
    operation: Operation[Any], history: History, estimate: Estimate, times: type[int | str] = int
) -> ProgressBody:
    """`times`: as what the steps' times are written."""
    recorded = {step.name: step for step in history.steps}
    bodies = [_step_body(step.name, recorded.get(step.name), times) for step in operation.steps]
    return ProgressBody(estimate.percent, estimate.remaining_s, bodies)


def _step_body(name: str, step: StepRecord | None, times: type[int | str]) -> StepBody:
    if step is None:
        return StepBody(name, "WAITING", "WAITING")
    word = _STEP_WORDS[step.state]
    return StepBody(
        name,
        word,
        word,
        times(encode_epoch_ms(step.started_at)),
        None if step.ended_at is None else times(encode_epoch_ms(step.ended_at)),
    )
