"""Lengths of time as people write and read them, and moments as the wire has them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MOST_S: Final = 365 * 86400.0


def seconds_of(text: str | None, option: str) -> float | None:
    """`90`, `90s`, `1h30m`. Raises typer.BadParameter."""
    if text is None:
        return None
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is no time like 90s, 10m or 1h30m", param_hint=option)
    total_s = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 < total_s <= MOST_S:
        raise typer.BadParameter("must be more than nothing, at most 365d", param_hint=option)
    return total_s


def in_words(seconds: float) -> str:
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1f}s"
    minutes, rest_s = divmod(whole, 60)
    hours, rest_m = divmod(minutes, 60)
    days, rest_h = divmod(hours, 24)
    parts = ((days, "d"), (rest_h, "h"), (rest_m, "m"), (rest_s, "s"))
    return "".join([f"{number}{unit}" for number, unit in parts if number][:2])


def moment_of(text: str, option: str, now: datetime | None = None) -> datetime:
    """ISO 8601, UTC if not said, or from now on: `+90m`. Raises typer.BadParameter."""
    if text.startswith("+"):
        delay_s = seconds_of(text[1:], option) or 0.0
        return (now or datetime.now(UTC)) + timedelta(seconds=delay_s)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time like 2026-11-24T08:00:00Z or +90m", param_hint=option
        ) from None


def between_s(begin: str | None, end: str | None) -> float | None:
    """Of two moments on the wire."""
    if begin is None or end is None:
        return None
    try:
        return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    except ValueError:
        return None
