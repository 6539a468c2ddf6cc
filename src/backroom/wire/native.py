"""The native API's JSON: records, searches with cursors, events (docs/wire/native-api.md)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final, TypeVar

import msgspec

from backroom.domain.chain import SealedEvent
from backroom.domain.errors import InvalidInput
from backroom.domain.estimate import Estimate
from backroom.domain.filter import Found, Position, TaskSearch
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.stamps import Stamp, stamp
from backroom.domain.task import AttemptRecord, Kind, State, StepRecord, Task
from backroom.operations.bulk import BULK_MOST
from backroom.ports import History, Place

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
EVENTS_DEFAULT_LIMIT: Final = 100
EVENTS_MAX_LIMIT: Final = 1_000
REASON_MOST: Final = 1_000  # characters
WORD_MOST: Final = 256  # characters of a name, a user, a text
AHEAD_MOST: Final = 100  # names told of the tasks before one
SEQUENCE_MOST: Final = 2**53 - 1  # what every JSON reader keeps whole
KEY_MOST: Final = 2**63 - 1

SEARCH_NAMES: Final = (
    "state", "name", "kind", "user", "instance_id", "created_from", "created_to", "text",
)  # fmt: skip
SEARCH_QUERY: Final = (*SEARCH_NAMES, "limit", "cursor")
_LISTS: Final = frozenset({"state", "name", "kind"})

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_INSTANCE_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_YEARS: Final = range(1970, 9999)

# tasks that may match, as whoever asks has counted them
MostMatches = Annotated[int, msgspec.Meta(ge=1, le=BULK_MOST)]

_E = TypeVar("_E", bound=StrEnum)
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class TaskSummaryBody(msgspec.Struct, frozen=True, kw_only=True):
    """A task as a search shows it."""

    id: str
    project_id: str
    instance_id: str
    kind: Kind
    name: str
    state: State
    params: Any
    user_id: str
    user_name: str
    reason: str | None
    request_id: str | None
    parent_id: str | None
    created_at: Stamp
    updated_at: Stamp
    execute_at: Stamp | None
    due_at: Stamp | None
    started_at: Stamp | None
    ended_at: Stamp | None
    cancel_asked_at: Stamp | None
    error_code: str | None
    error_msg: str | None
    version: int
    attempt: int


class SearchBody(msgspec.Struct, frozen=True):
    """`cursor` is where to go on, null at the end; a page may be short, or empty, before that."""

    tasks: Sequence[TaskSummaryBody]
    cursor: str | None


class TaskProgressBody(msgspec.Struct, frozen=True):
    percent: int
    remaining_s: int


class TaskStepBody(msgspec.Struct, frozen=True):
    name: str
    state: str
    percent: int
    started_at: Stamp
    ended_at: Stamp | None
    output: Any


class TaskAttemptBody(msgspec.Struct, frozen=True):
    number: int
    epoch: int
    worker_id: str
    started_at: Stamp
    ended_at: Stamp | None
    outcome: str | None
    step: str | None
    error: str | None
    trace: str | None  # null for anybody but an admin


class LaneHolderBody(msgspec.Struct, frozen=True):
    id: str
    name: str


class WaitsBody(msgspec.Struct, frozen=True):
    """`why`: schedule, lane (others are before it), step (it looks again later), or worker.

    `ahead` counts those that wait before it, `ahead_names` tells the first of them.
    """

    why: str
    holder: LaneHolderBody | None
    ahead: int
    ahead_names: Sequence[str]
    due_at: Stamp | None
    expected_at: Stamp | None


class FullTaskBody(TaskSummaryBody, frozen=True, kw_only=True):
    """A task with all there is about it; `changed` names what differs between before and after."""

    epoch: int
    lane: str
    worker_id: str | None
    claimed_at: Stamp | None
    before: Any
    after: Any
    changed: Sequence[str] | None
    progress: TaskProgressBody
    waits: WaitsBody | None
    steps: Sequence[TaskStepBody]
    attempts: Sequence[TaskAttemptBody]


class SubmittedBody(msgspec.Struct, frozen=True):
    task_id: str


class CancelledBody(msgspec.Struct, frozen=True):
    """`state` is cancelled when it is over; else the task has been asked to stop."""

    task_id: str
    state: State
    cancel_asked_at: Stamp | None


class EventBody(msgspec.Struct, frozen=True):
    sequence: int
    task_id: str
    instance_id: str
    at: Stamp
    verb: str
    actor: str
    from_state: State | None
    to_state: State | None
    step: str | None
    attempt: int
    detail: str | None
    hash: str


class EventsBody(msgspec.Struct, frozen=True):
    """`last` is what to go on `after`."""

    events: Sequence[EventBody]
    last: int


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str | None = None


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_step: bool = False
    reason: str | None = None


class FilterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The same names and words as in the query of a search."""

    state: str | None = None
    name: str | None = None
    kind: str | None = None
    user: str | None = None
    instance_id: str | None = None
    created_from: str | None = None
    created_to: str | None = None
    text: str | None = None


class BulkCancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most`, 1 to 10,000: it is refused where more tasks match."""

    filter: FilterBody
    reason: str | None = None
    most: MostMatches | None = None


class BulkRetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most`, 1 to 10,000: it is refused where more tasks match."""

    filter: FilterBody
    from_step: bool = False
    reason: str | None = None
    most: MostMatches | None = None


class BulkDeleteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`most`, 1 to 10,000: it is refused where more tasks match."""

    filter: FilterBody
    reason: str | None = None
    most: MostMatches | None = None


def decode_search(query: Mapping[str, str], project_id: ProjectId) -> TaskSearch:
    """Lists by commas. Raises InvalidInput, for an unknown name, too: it would find too much."""
    for name in query:
        if name not in SEARCH_QUERY:
            raise InvalidInput(name, f"is unknown: it may be {', '.join(SEARCH_QUERY)}")
    return TaskSearch(
        project_id=project_id,
        instance_id=_instance_id(query),
        kinds=_words(query, "kind", Kind),
        states=_words(query, "state", State),
        names=frozenset((_text(query, "name") or "").split(",")) - {""},
        user=_text(query, "user"),
        created_from=_moment(query, "created_from"),
        created_to=_moment(query, "created_to"),
        text=_text(query, "text"),
    )


def decode_limit(query: Mapping[str, str], default: int, most: int) -> int:
    text = query.get("limit")
    return default if text is None else _number("limit", text, 1, most)


def encode_cursor(position: Position | None, wanted: TaskSearch) -> str | None:
    if position is None:
        return None
    content = _encode((position.created_at, position.key, _digest(wanted)))
    return urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(text: str | None, wanted: TaskSearch) -> Position | None:
    """Raises InvalidInput for what was not given out, or not for this search."""
    if text is None:
        return None
    refused = InvalidInput("cursor", "must be one that this very search was answered with")
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        created_at, key, digest = msgspec.json.decode(content, type=tuple[str, int, str])
    except (ValueError, msgspec.DecodeError):
        raise refused from None
    is_whole = _STAMP.fullmatch(created_at) is not None and 0 <= key <= KEY_MOST
    if not is_whole or digest != _digest(wanted):
        raise refused
    return Position(created_at, key)


def decode_after(query: Mapping[str, str], last_event_id: bytes | None) -> int:
    """Behind which event to go on; what a stream was told last counts before the query."""
    if last_event_id:
        return _number("Last-Event-ID", last_event_id.decode("latin-1"), 0, SEQUENCE_MOST)
    text = query.get("after")
    return 0 if text is None else _number("after", text, 0, SEQUENCE_MOST)


def decode_reason(text: str | None) -> str | None:
    """Raises InvalidInput."""
    if text is None or not text.strip():
        return None
    if len(text) > REASON_MOST or "\0" in text:
        raise InvalidInput("reason", f"must be at most {REASON_MOST} characters, none of them NUL")
    return text.strip()


def decode_filter(
    body: FilterBody, project_id: ProjectId, allowed: Sequence[State]
) -> tuple[TaskSearch, dict[str, str]]:
    """What a bulk action is for, and the same as it was asked for.

    Without a state it is all those `allowed`. Raises InvalidInput for others, and for a filter that
    says nothing, or something empty: everything there is must be meant.
    """
    told = ((name, getattr(body, name)) for name in SEARCH_NAMES)
    given: dict[str, str] = {name: value for name, value in told if value is not None}
    if not given:
        raise InvalidInput("filter", "must say which tasks; state alone is enough")
    for name, value in given.items():
        _check_word(name, value)
    wanted = decode_search(given, project_id)
    if not wanted.states <= frozenset(allowed):
        raise InvalidInput("state", f"may be {' or '.join(allowed)} here")
    kinds = wanted.kinds or frozenset({Kind.BACKGROUND, Kind.SCHEDULED})
    states = wanted.states or frozenset(allowed)
    return msgspec.structs.replace(wanted, states=states, kinds=kinds), given


def encode_found(found: Found, wanted: TaskSearch) -> SearchBody:
    return SearchBody(
        [TaskSummaryBody(**_summary(task)) for task in found.tasks],
        encode_cursor(found.position, wanted),
    )


def encode_task(
    task: Task, history: History, estimate: Estimate, waits: WaitsBody | None, *, is_admin: bool
) -> FullTaskBody:
    return FullTaskBody(
        **_summary(task),
        epoch=task.epoch,
        lane=task.lane,
        worker_id=task.worker_id,
        claimed_at=_stamp(task.claimed_at),
        before=_raw(task.before),
        after=_raw(task.after),
        changed=_changed(task),
        progress=TaskProgressBody(estimate.percent, estimate.remaining_s),
        waits=waits,
        steps=[_step(step) for step in history.steps],
        attempts=[_attempt(attempt, is_admin=is_admin) for attempt in history.attempts],
    )


def encode_waits(
    task: Task, place: Place, expected_at: datetime | None, now: datetime
) -> WaitsBody:
    holder = place.holder
    return WaitsBody(
        _why(task, place, now),
        None if holder is None else LaneHolderBody(holder.id, holder.name),
        len(place.ahead),
        place.ahead[:AHEAD_MOST],
        _stamp(task.due_at),
        _stamp(expected_at),
    )


def encode_cancelled(task: Task) -> CancelledBody:
    return CancelledBody(task.id, task.state, _stamp(task.cancel_asked_at))


def encode_event(sealed: SealedEvent) -> EventBody:
    event = sealed.event
    return EventBody(
        sealed.sequence, sealed.task_id, sealed.instance_id, stamp(event.at), event.verb,
        event.actor, event.from_state, event.to_state, event.step, event.attempt, event.detail,
        sealed.hash.hex(),
    )  # fmt: skip


def encode_events(events: Sequence[SealedEvent], after: int) -> EventsBody:
    last = events[-1].sequence if events else after
    return EventsBody([encode_event(sealed) for sealed in events], last)


def event_text(sealed: SealedEvent) -> bytes:
    """One Server-Sent Event: JSON has no line end."""
    return b"id: %d\ndata: %b\n\n" % (sealed.sequence, _encode(encode_event(sealed)))


def entity_tag(body: bytes) -> bytes:
    return b'"%b"' % sha256(body).hexdigest()[:32].encode()


def _summary(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "project_id": task.project_id,
        "instance_id": task.instance_id,
        "kind": task.kind,
        "name": task.name,
        "state": task.state,
        "params": _raw(task.params),
        "user_id": task.user_id,
        "user_name": task.user_name,
        "reason": task.reason,
        "request_id": task.request_id,
        "parent_id": task.parent_id,
        "created_at": stamp(task.created_at),
        "updated_at": stamp(task.updated_at),
        "execute_at": _stamp(task.execute_at),
        "due_at": _stamp(task.due_at),
        "started_at": _stamp(task.started_at),
        "ended_at": _stamp(task.ended_at),
        "cancel_asked_at": _stamp(task.cancel_asked_at),
        "error_code": task.error_code,
        "error_msg": task.error_msg,
        "version": task.version,
        "attempt": task.attempt,
    }


def _step(step: StepRecord) -> TaskStepBody:
    return TaskStepBody(
        step.name, step.state, step.percent, stamp(step.started_at), _stamp(step.ended_at),
        None if step.output is None else msgspec.Raw(step.output),
    )  # fmt: skip


def _attempt(attempt: AttemptRecord, *, is_admin: bool) -> TaskAttemptBody:
    return TaskAttemptBody(
        attempt.number, attempt.epoch, attempt.worker_id, stamp(attempt.started_at),
        _stamp(attempt.ended_at), attempt.outcome, attempt.step, attempt.error,
        attempt.trace if is_admin else None,
    )  # fmt: skip


def _why(task: Task, place: Place, now: datetime) -> str:
    if task.kind is Kind.SCHEDULED and task.started_at is None:
        return "schedule"
    if place.holder is not None or place.ahead:
        return "lane"
    return "step" if task.due_at is not None and task.due_at > now else "worker"


def _changed(task: Task) -> list[str] | None:
    if task.before is None or task.after is None:
        return None
    before, after = _object.decode(task.before), _object.decode(task.after)
    return [
        name
        for name in {**before, **after}
        if name not in before or name not in after or bytes(before[name]) != bytes(after[name])
    ]


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())


def _stamp(moment: datetime | None) -> Stamp | None:
    return None if moment is None else stamp(moment)


def _digest(wanted: TaskSearch) -> str:
    """Of all that is wanted, sets in one order."""
    content = msgspec.json.encode(wanted, order="deterministic")
    return sha256(content).hexdigest()[:16]


def _words(query: Mapping[str, str], name: str, kind: type[_E]) -> frozenset[_E]:
    text = query.get(name)
    if text is None:
        return frozenset()
    known = {word.value: word for word in kind}
    words = text.split(",")
    if not all(word in known for word in words):
        raise InvalidInput(name, f"must be one or more of {', '.join(known)}, with commas")
    return frozenset(known[word] for word in words)


def _check_word(name: str, value: str) -> None:
    """Of a filter: what is empty would find too much. Raises InvalidInput."""
    parts = value.split(",") if name in _LISTS else [value]
    if not all(part.strip() for part in parts):
        raise InvalidInput(name, "must not be empty, nor a part of it")
    if "\0" in value:
        raise InvalidInput(name, "must not contain NUL")


def _text(query: Mapping[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is not None and len(text) > WORD_MOST:
        raise InvalidInput(name, f"must be at most {WORD_MOST} characters")
    return text


def _instance_id(query: Mapping[str, str]) -> InstanceId | None:
    text = query.get("instance_id")
    if text is not None and _INSTANCE_ID.fullmatch(text) is None:
        raise InvalidInput("instance_id", "must be a UUID")
    return None if text is None else InstanceId(text)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    if _MOMENT.fullmatch(text) is not None:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            if moment.year in _YEARS:
                return moment
    raise InvalidInput(name, "must be a time such as 2026-03-04T05:06:07Z; a + is written %2B")


def _number(name: str, text: str, least: int, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
        number = int(text)
        if least <= number <= most:
            return number
    raise InvalidInput(name, f"must be a whole number from {least} to {most}")
