"""What of an instance is another after a task than before it."""

from typing import Any

import msgspec


class Difference(msgspec.Struct, frozen=True):
    """Values as JSON text; None where there was or is none."""

    name: str
    before: str | None
    after: str | None


def differences(before: Any, after: Any) -> list[Difference]:
    """Empty while one of the two is not there."""
    if before is None or after is None:
        return []
    old, new = _flat(before, ""), _flat(after, "")
    return [
        Difference(name, old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _flat(value: Any, path: str) -> dict[str, str]:
    """Leaves by their path; what is empty is a leaf, null is nothing."""
    if value is None:
        return {}
    parts: dict[str, Any] = {}
    if isinstance(value, dict):
        parts = {f"{path}.{name}" if path else name: part for name, part in value.items()}
    elif isinstance(value, list):
        parts = {f"{path}[{at}]": part for at, part in enumerate(value)}
    if not parts:
        return {path: msgspec.json.encode(value).decode()}
    flat: dict[str, str] = {}
    for name, part in parts.items():
        flat |= _flat(part, name)
    return flat
