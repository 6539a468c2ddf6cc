"""The emulator controls' JSON (docs/wire/emulator.md)."""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.stamps import Stamp, stamp
from backroom.domain.transition import IMMEDIATE, SIMULATED, Transition, TransitionPlan
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import AdjustableClock, OpenTask

READS_MOST: Final = 1_000_000
SPEED_MOST: Final = 10_000.0
LAST_YEAR: Final = 9_000  # four digits, and room for what lies ahead of it
ADVANCE_MOST_S: Final = 10 * 366 * 86_400.0


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A control with a typing mistake in it must not pass for one that was obeyed."""


class ClockBody(msgspec.Struct, frozen=True):
    now: Stamp
    frozen: bool
    speed: float


class ClockChangeBody(Strict, frozen=True, kw_only=True):
    """What is left out stays as it is."""

    frozen: bool | None = None
    speed: float | None = None


class ClockMoveBody(Strict, frozen=True, kw_only=True):
    advance_s: float


def encode_clock(clock: AdjustableClock) -> ClockBody:
    return ClockBody(stamp(clock.now()), clock.is_frozen, clock.speed)


def decode_speed(speed: float) -> float:
    if not 1.0 <= speed <= SPEED_MOST:
        raise InvalidInput("speed", f"must be from 1 to {SPEED_MOST:.0f}")
    return speed


def decode_advance_s(advance_s: float, now: datetime) -> float:
    if not 0.0 <= advance_s <= ADVANCE_MOST_S:
        raise InvalidInput("advance_s", f"must be from 0 to {ADVANCE_MOST_S:.0f} seconds")
    if (now + timedelta(seconds=advance_s)).year > LAST_YEAR:
        raise InvalidInput("advance_s", f"must not lead beyond the year {LAST_YEAR}")
    return advance_s


class OpenTaskBody(msgspec.Struct, frozen=True):
    id: str
    name: str


class IdleBody(msgspec.Struct, frozen=True):
    """`tasks` are those that can't go on by themselves; `idle` where there are none."""

    idle: bool
    now: Stamp
    tasks: list[OpenTaskBody]


def encode_idle(left: list[OpenTask], clock: AdjustableClock) -> IdleBody:
    tasks = [OpenTaskBody(task.id, task.name) for task in left]
    return IdleBody(not tasks, stamp(clock.now()), tasks)


class AfterBody(Strict, frozen=True, kw_only=True):
    """One of the two."""

    after_s: float | None = None
    after_reads: int | None = None


TransitionBody = Literal["immediate", "simulated"] | AfterBody


class TransitionsBody(Strict, frozen=True, kw_only=True):
    default: TransitionBody = "simulated"
    operations: dict[str, TransitionBody] = {}


def encode_plan(plan: TransitionPlan) -> TransitionsBody:
    named = {name: _encode_transition(one) for name, one in plan.operations.items()}
    return TransitionsBody(default=_encode_transition(plan.default), operations=named)


def _encode_transition(transition: Transition) -> TransitionBody:
    if transition.is_simulated:
        return "simulated"
    if transition == IMMEDIATE:
        return "immediate"
    return AfterBody(after_s=transition.after_s, after_reads=transition.after_reads)


def decode_plan(body: TransitionsBody) -> TransitionPlan:
    return TransitionPlan(
        default=_decode_transition("default", body.default),
        operations={
            _known(name): _decode_transition(f"operations.{name}", one)
            for name, one in body.operations.items()
        },
    )


def _known(name: str) -> str:
    if name not in CATALOGUE:
        raise InvalidInput(f"operations.{name}", f"is none of {', '.join(CATALOGUE)}")
    return name


def _decode_transition(where: str, body: TransitionBody) -> Transition:
    if body == "immediate":
        return IMMEDIATE
    if not isinstance(body, AfterBody):
        return SIMULATED
    if (body.after_s is None) == (body.after_reads is None):
        raise InvalidInput(where, "must have one of after_s, after_reads")
    if body.after_s is not None and not 0.0 <= body.after_s <= ADVANCE_MOST_S:
        raise InvalidInput(f"{where}.after_s", f"must be from 0 to {ADVANCE_MOST_S:.0f} seconds")
    if body.after_reads is not None and not 0 <= body.after_reads <= READS_MOST:
        raise InvalidInput(f"{where}.after_reads", f"must be from 0 to {READS_MOST}")
    return Transition(after_s=body.after_s, after_reads=body.after_reads)


def parse_transitions(texts: list[str]) -> TransitionPlan:
    """As flags have them: `createInstance=900s`, `*=immediate`, `extendInstance=3reads`."""
    named: dict[str, TransitionBody] = {}
    for text in texts:
        name, _, value = text.partition("=")
        named[name.strip()] = _parsed(text, value.strip())
    return decode_plan(TransitionsBody(default=named.pop("*", "simulated"), operations=named))


def _parsed(text: str, value: str) -> TransitionBody:
    if value == "immediate":
        return "immediate"
    if value == "simulated":
        return "simulated"
    for unit, kind in (("reads", int), ("s", float)):
        number = value.removesuffix(unit)
        if number != value:
            try:
                amount = kind(number)
            except ValueError:
                break
            if kind is int:
                return AfterBody(after_reads=int(amount))
            return AfterBody(after_s=amount)
    raise InvalidInput(text, "must be NAME=immediate, NAME=simulated, NAME=5s or NAME=3reads")


class ResetBody(Strict, frozen=True, kw_only=True):
    """To what was there at the start, or after the last seed; or to the first accounts alone."""

    to: Literal["start", "empty"] = "start"
