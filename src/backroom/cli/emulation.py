"""What the flags of an emulator say, all together."""

from pathlib import Path
from typing import NamedTuple

import typer

from backroom.domain.errors import InvalidInput
from backroom.domain.seed import Seed
from backroom.domain.transition import TransitionPlan
from backroom.settings import EmulatorSettings
from backroom.wire.emulator import parse_transitions
from backroom.wire.seed import decode_seed


class EmulatorFlags(NamedTuple):
    emulator: bool
    clock_speed: float
    frozen: bool
    transitions: list[str]
    seed: Path | None


def emulator_settings(flags: EmulatorFlags) -> EmulatorSettings | None:
    if not flags.emulator:
        if flags != (False, 1.0, False, [], None):
            raise typer.BadParameter(
                "needs --emulator", param_hint="--clock-speed, --frozen, --transition, --seed"
            )
        return None
    return EmulatorSettings(
        clock_speed=flags.clock_speed,
        is_frozen=flags.frozen,
        transitions=transition_plan(flags.transitions),
        seed=None if flags.seed is None else seed_in(flags.seed),
    )


def transition_plan(texts: list[str]) -> TransitionPlan:
    try:
        return parse_transitions(texts)
    except InvalidInput as error:
        raise typer.BadParameter(str(error), param_hint="--transition") from None


def seed_in(file: Path) -> Seed:
    try:
        return decode_seed(file.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--seed") from None
    except InvalidInput as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--seed") from None
