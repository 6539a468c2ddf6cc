"""BatchRestartOrDeleteInstances (contract: docs/wire/instance-actions.md)."""

from typing import Final, Literal

import msgspec

from backroom.domain.errors import (
    InstanceRepeated,
    InstancesMissing,
    InvalidAction,
    InvalidInput,
    InvalidInstanceId,
    TooManyInstances,
)
from backroom.domain.ids import InstanceId
from backroom.wire.instances import ENGINE, UUID_FORM

INSTANCES_MAX: Final = 50  # [D] DMS.00400100


class ActionBody(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[str] | None = None
    action: str | None = None
    all_failure: str | None = None
    force_delete: bool | None = None  # [D] past the recycle bin; there is none here


class ActionResultBody(msgspec.Struct, frozen=True):
    result: Literal["success", "failed"]  # [D]
    instance: str


class ActionResultsBody(msgspec.Struct, frozen=True):
    results: tuple[ActionResultBody, ...]


class InstanceAction(msgspec.Struct, frozen=True):
    """`instance_ids` None stands for all failed creations of the project."""

    is_restart: bool
    instance_ids: tuple[InstanceId, ...] | None


def decode_action(body: ActionBody) -> InstanceAction:
    if body.action not in ("restart", "delete"):
        raise InvalidAction("action")
    is_restart = body.action == "restart"
    if not body.all_failure:  # [I] empty is as not given
        return InstanceAction(is_restart, _instance_ids(body.instances or []))
    if body.all_failure != ENGINE:
        raise InvalidInput("all_failure", f"must be {ENGINE}")
    if is_restart:
        raise InvalidInput("all_failure", "goes with the action delete only")
    if body.instances:
        raise InvalidInput("instances", "must be left out with all_failure")
    return InstanceAction(is_restart, None)


def encode_results(outcomes: dict[InstanceId, bool]) -> ActionResultsBody:
    """By instance, whether it was accepted."""
    return ActionResultsBody(
        tuple(
            ActionResultBody("success" if is_accepted else "failed", instance_id)
            for instance_id, is_accepted in outcomes.items()
        )
    )


def _instance_ids(texts: list[str]) -> tuple[InstanceId, ...]:
    if not texts:
        raise InstancesMissing("instances")
    if len(texts) > INSTANCES_MAX:
        raise TooManyInstances("instances")
    for text in texts:
        if UUID_FORM.fullmatch(text) is None:
            raise InvalidInstanceId("instances", "must be UUIDs")
    ids = tuple(InstanceId(text.lower()) for text in texts)
    if len(set(ids)) < len(ids):
        raise InstanceRepeated("instances")
    return ids
