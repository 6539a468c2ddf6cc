"""What comes with everything that is asked for: why, and how to ask for it only once."""

import secrets
from hashlib import sha256
from typing import Final

from backroom.console.visits import Visit
from backroom.domain.errors import InvalidInput
from backroom.service import ClientToken

REASON_MOST: Final = 1_000  # characters
ONCE_LENGTH: Final = 32


def decode_reason(text: str) -> str | None:
    """Raises InvalidInput."""
    if not text.strip():
        return None
    if len(text) > REASON_MOST or "\0" in text:
        raise InvalidInput("reason", f"must be at most {REASON_MOST} characters, none of them NUL")
    return text.strip()


def status_of(error: Exception | None) -> int:
    """Of a page that tells why nothing was done; 200 where there is nothing to tell."""
    return 200 if error is None else 400 if isinstance(error, InvalidInput) else 409


def new_once() -> str:
    """For a form, so that it is done once when it is sent twice."""
    return secrets.token_hex(ONCE_LENGTH // 2)


def once_of(visit: Visit) -> str | None:
    """A client token of the form; None for one that no form of ours had."""
    once = visit.value("once")
    is_ours = once.isalnum() and once.isascii() and len(once) == ONCE_LENGTH
    return f"console-{once}" if is_ours else None


def client_token(visit: Visit, asked: bytes) -> ClientToken | None:
    once = once_of(visit)
    return None if once is None else ClientToken(once, sha256(asked).digest())
