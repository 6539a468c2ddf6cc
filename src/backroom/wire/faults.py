"""Faults, rate limit and unread fields of an emulator as JSON (docs/wire/emulator.md)."""

from collections.abc import Collection
from typing import Final

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.fault import ANY, CallFault, Rule, StepFault
from backroom.operations.catalogue import CATALOGUE
from backroom.wire.emulator import Strict

DELAY_MOST_S: Final = 60.0
RATE_MOST: Final = 1_000_000.0
DEFAULT_TEXT: Final = "Injected."


class FaultBody(Strict, frozen=True, kw_only=True):
    """Of calls (`operation`), or of tasks (`task` and `step`)."""

    operation: str | None = None
    task: str | None = None
    step: int | str | None = None
    first: int = 1
    last: int | None = None
    status: int | None = None
    error_code: str | None = None
    error_msg: str = DEFAULT_TEXT
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drop: bool = False


class RuleBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    first: int
    seen: int
    injected: int
    operation: str | None = None
    task: str | None = None
    step: str | None = None
    last: int | None = None
    status: int | None = None
    error_code: str | None = None
    error_msg: str | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drop: bool = False


class RulesBody(msgspec.Struct, frozen=True):
    faults: list[RuleBody]


class RateLimitBody(Strict, frozen=True, kw_only=True):
    """`per_s` null: no limit. `burst` is what may come at once; not said: a second's worth."""

    per_s: float | None = None
    burst: int | None = None


class UnreadBody(msgspec.Struct, frozen=True):
    """How often each name came, by operation."""

    unread: dict[str, dict[str, int]]


def decode_fault(body: FaultBody, operations: Collection[str]) -> CallFault | StepFault:
    """Raises InvalidInput; `first` and `last` are looked at, too."""
    if (body.operation is None) == (body.task is None):
        raise InvalidInput("operation", "one of operation and task must be given")
    if body.first < 1:
        raise InvalidInput("first", "must be 1 or more")
    if body.last is not None and body.last < body.first:
        raise InvalidInput("last", "must not be before first")
    if body.task is not None:
        return _step_fault(body, body.task)
    return _call_fault(body, body.operation or "", operations)


def _step_fault(body: FaultBody, task: str) -> StepFault:
    if task not in CATALOGUE:
        raise InvalidInput("task", f"is none of {', '.join(CATALOGUE)}")
    for name in ("status", "retry_after_s"):
        if getattr(body, name) is not None:
            raise InvalidInput(name, "is of calls, not of tasks")
    if body.drop or body.delay_s:
        raise InvalidInput("drop" if body.drop else "delay_s", "is of calls, not of tasks")
    steps = [step.name for step in CATALOGUE[task].steps]
    step = body.step
    if isinstance(step, int) and 1 <= step <= len(steps):
        step = steps[step - 1]
    if step not in steps:
        raise InvalidInput("step", f"must be 1 to {len(steps)}, or one of {', '.join(steps)}")
    code = body.error_code or "DMS.00500000"
    return StepFault(task=task, step=str(step), error_code=code, error_msg=body.error_msg)


def _call_fault(body: FaultBody, operation: str, operations: Collection[str]) -> CallFault:
    if operation != ANY and operation not in operations:
        raise InvalidInput("operation", "is none of the operations in docs/reference/routes.md")
    if body.step is not None:
        raise InvalidInput("step", "is of tasks, not of calls")
    if body.status is None and not body.drop and not body.delay_s:
        raise InvalidInput("status", "one of status, delay_s and drop must be given")
    if not 0 <= body.delay_s <= DELAY_MOST_S:
        raise InvalidInput("delay_s", f"must be from 0 to {DELAY_MOST_S:.0f} seconds")
    _check_answer(body)
    return CallFault(
        operation=operation,
        status=body.status,
        error_code=body.error_code or "",
        error_msg=body.error_msg,
        retry_after_s=body.retry_after_s,
        delay_s=body.delay_s,
        drops=body.drop,
    )


def _check_answer(body: FaultBody) -> None:
    if body.status is None:
        if body.error_code is not None or body.retry_after_s is not None:
            raise InvalidInput("status", "must be given with error_code or retry_after_s")
        return
    if body.drop:
        raise InvalidInput("drop", "and status exclude each other")
    if not 400 <= body.status <= 599:  # noqa: PLR2004  errors, client's and server's
        raise InvalidInput("status", "must be from 400 to 599")
    if not body.error_code:
        raise InvalidInput("error_code", "must be given with status")
    if body.retry_after_s is not None and body.retry_after_s < 0:
        raise InvalidInput("retry_after_s", "must be 0 or more")


def encode_rule(rule: Rule) -> RuleBody:
    fault = rule.fault
    if isinstance(fault, StepFault):
        return RuleBody(
            id=rule.id, first=rule.first, last=rule.last, seen=rule.seen, injected=rule.injected,
            task=fault.task, step=fault.step, error_code=fault.error_code,
            error_msg=fault.error_msg,
        )  # fmt: skip
    return RuleBody(
        id=rule.id, first=rule.first, last=rule.last, seen=rule.seen, injected=rule.injected,
        operation=fault.operation, status=fault.status, error_code=fault.error_code or None,
        error_msg=fault.error_msg if fault.status else None, retry_after_s=fault.retry_after_s,
        delay_s=fault.delay_s, drop=fault.drops,
    )  # fmt: skip


def decode_rate(body: RateLimitBody) -> tuple[float | None, int | None]:
    if body.per_s is not None and not 0 < body.per_s <= RATE_MOST:
        raise InvalidInput("per_s", f"must be above 0 and at most {RATE_MOST:.0f}, or null")
    if body.burst is not None and not 1 <= body.burst <= RATE_MOST:
        raise InvalidInput("burst", f"must be from 1 to {RATE_MOST:.0f}")
    return body.per_s, body.burst
