"""Conditional requests and preferences: If-None-Match, and how long the client wants to wait."""

import re
from typing import Final

WAIT_MOST_S: Final = 50  # SDKs give up reading after 60 s

_WAIT: Final = re.compile(rb'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def matches(if_none_match: bytes | None, tag: bytes) -> bool:
    """Whether the client has what the entity tag stands for (RFC 9110: compared weakly)."""
    if if_none_match is None:
        return False
    wanted = tag.removeprefix(b"W/")
    given = (one.strip().removeprefix(b"W/") for one in if_none_match.split(b","))
    return any(one in (wanted, b"*") for one in given)


def wait_s(prefer: bytes | None) -> int | None:
    """Of RFC 7240's `wait`, at most WAIT_MOST_S; None where nothing is wished, or nothing good."""
    if prefer is None:
        return None
    for wish in prefer.split(b","):
        found = _WAIT.fullmatch(wish)
        if found is not None:
            return min(int(found[1]), WAIT_MOST_S)
    return None
