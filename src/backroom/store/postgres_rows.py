"""Changes to the JSON that backroom_write takes, and text that PostgreSQL can't hold.

It has no NUL in text. ESCAPE, which is no more usual in text, stands for it and for itself.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from backroom.domain.chain import digest_of
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId
from backroom.domain.instance import Instance
from backroom.domain.stamps import stamp
from backroom.domain.task import FINAL, Change, Kind, State, Task
from backroom.store import rows

ESCAPE = "\x1a"
_IN_JSON = ("\\u0000", "\\u001a")  # how the two look in JSON; what only looks so does no harm
_PLAIN = {ESCAPE + "0": "\0", ESCAPE + "1": ESCAPE}

_ADDED = (
    "key", "id", "project_id", "instance_id", "kind", "name", "user_id", "user_name", "params",
    "state", "created_at", "updated_at", "execute_at", "lane", "internal", "version", "epoch",
    "attempt", "worker_id", "claimed_at", "due_at", "started_at", "ended_at", "cancel_asked_at",
    "error_code", "error_msg", "reason", "request_id", "parent_id", "before", "after",
)  # fmt: skip
_MOVED = (
    "state", "updated_at", "execute_at", "version", "epoch", "attempt", "worker_id", "claimed_at",
    "due_at", "started_at", "ended_at", "cancel_asked_at", "error_code", "error_msg", "after", "id",
)  # fmt: skip
_STEP = (
    "task_id", "position", "name", "state", "percent", "started_at", "ended_at", "output",
)  # fmt: skip
_ATTEMPT = (
    "task_id", "epoch", "number", "worker_id", "started_at", "ended_at", "outcome", "step", "error",
    "trace",
)  # fmt: skip
_EVENT = (
    "project_id", "instance_id", "task_id", "at", "verb", "actor", "from_state", "to_state", "step",
    "attempt", "detail",
)  # fmt: skip

_to_json = msgspec.json.Encoder().encode
_document = _to_json


class _Notice(msgspec.Struct, array_like=True):
    """As backroom_add tells it."""

    id: TaskId
    project_id: ProjectId
    instance_id: InstanceId
    lane: str
    created_at: datetime


def escaped(text: str) -> str:
    if "\0" not in text and ESCAPE not in text:
        return text
    return text.replace(ESCAPE, ESCAPE + "1").replace("\0", ESCAPE + "0")


def optional_escaped(text: str | None) -> str | None:
    return None if text is None else escaped(text)


def restored(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row as it was given: for those with words of people or errors in them."""
    return tuple(
        re.sub(f"{ESCAPE}[01]", lambda found: _PLAIN[found[0]], value)
        if isinstance(value, str) and ESCAPE in value
        else value
        for value in row
    )


def newcomer_of(notice: str) -> Task | None:
    """As much of it as a claim needs; the rest is made up. None: it is no such notice."""
    try:
        found = msgspec.json.decode(notice, type=_Notice)
    except msgspec.DecodeError:
        return None
    return Task(
        **msgspec.structs.asdict(found), updated_at=found.created_at, kind=Kind.BACKGROUND, name="",
        user_id=UserId(""), user_name="", params="", internal=b"", state=State.WAITING,
    )  # fmt: skip


def changes_json(changes: Sequence[Change]) -> str:
    made = [_change(change) for change in changes]
    text = _to_json(made).decode()
    if any(mark in text for mark in _IN_JSON):
        text = _to_json(_all_escaped(made)).decode()
    return text


def _all_escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_all_escaped(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _all_escaped(one) for name, one in value.items()}
    return value


def _change(change: Change) -> dict[str, Any]:
    task = change.task
    made: dict[str, Any] = {"act": _act(change), "event": _event(change)}
    if task.version == 1:
        made["task"] = _named(_ADDED, rows.inserted_task(0, task, stamp(task.created_at)))
        made["task"]["turn_at"] = rows.first_turn(task)
    else:
        made["task"] = _named(_MOVED, rows.updated_task(task)[:-1]) | {"lane": task.lane}
    if change.steps:
        made["steps"] = [_named(_STEP, rows.step_row(task.id, step)) for step in change.steps]
    if change.attempt is not None:
        made["attempt"] = _named(_ATTEMPT, rows.attempt_row(task.id, change.attempt))
    if change.instance is not None:
        made["instance"] = instance_columns(change.instance)
    if change.receipt is not None:
        receipt = msgspec.structs.asdict(change.receipt)
        made["receipt"] = receipt | {
            "digest": _hex(change.receipt.digest),
            "until": stamp(change.receipt.until),
        }
    if change.limits is not None:
        made["limits"] = {"instance": change.limits.instance}
    return made


def _act(change: Change) -> str:
    if change.task.version == 1:
        return "add"
    return "drop" if change.event.to_state is None else "move"


def _event(change: Change) -> dict[str, Any]:
    """With its digest in place of the hash, and by how much it changes the project's open tasks."""
    event = _named(_EVENT, rows.event_row(change.task, change.event))
    event["hash"] = _hex(digest_of(change.task, change.event))
    event["opens"] = 0
    if change.event.from_state is None:
        event["opens"] = 1
        event["limit"] = None if change.limits is None else change.limits.project
    elif change.event.to_state in FINAL:
        event["opens"] = -1
    return event


def instance_columns(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "project_id": instance.project_id,
        "name": instance.name,
        "status": instance.status.value,
        "enterprise_project_id": instance.enterprise_project_id,
        "created_at": stamp(instance.created_at),
        "version": instance.version,
        "document": _hex(_document(instance)),
    }


def _named(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {
        name: _hex(value) if isinstance(value, bytes) else value
        for name, value in zip(names, row, strict=True)
        if value is not None
    }


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()
