"""What a person may do to tasks, and to which."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from backroom.domain.task import FINAL, Kind, State


class Deed(msgspec.Struct, frozen=True):
    """`name` is its part of the URL; `states` those of the tasks it is for."""

    name: str
    states: tuple[State, ...]
    is_bulk: bool = True


CANCEL: Final = Deed("cancel", (State.WAITING, State.RUNNING))
MOVE: Final = Deed("move", (State.WAITING,), is_bulk=False)
RETRY: Final = Deed("retry", (State.FAILED, State.CANCELLED))
RETRY_STEP: Final = Deed("retry-step", (State.FAILED, State.CANCELLED), is_bulk=False)
DELETE: Final = Deed("delete", tuple(state for state in State if state in FINAL))

DEEDS: Final = (CANCEL, RETRY, DELETE)
_ALL: Final = (MOVE, CANCEL, RETRY, RETRY_STEP, DELETE)
BY_NAME: Final[Mapping[str, Deed]] = {deed.name: deed for deed in _ALL}


def possible(record: Mapping[str, Any]) -> tuple[Deed, ...]:
    """Of a task as the native API shows it, what would not be refused out of hand."""
    return tuple(deed for deed in _ALL if record["state"] in deed.states and _fits(deed, record))


def _fits(deed: Deed, record: Mapping[str, Any]) -> bool:
    if deed is CANCEL:
        return record["cancel_asked_at"] is None
    if deed is MOVE:
        is_scheduled: bool = record["kind"] == Kind.SCHEDULED
        return is_scheduled and record["started_at"] is None and record["cancel_asked_at"] is None
    if deed is RETRY_STEP:
        return any(step["state"] == "succeeded" for step in record["steps"])
    return True
