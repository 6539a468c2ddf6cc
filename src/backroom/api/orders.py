"""What a request orders, and how a client may repeat it: the X-Client-Token."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from backroom.api.exchange import Request
from backroom.domain.errors import InvalidInput
from backroom.operations.operation import Operation
from backroom.service import ClientToken, Order
from backroom.wire.native import decode_reason
from backroom.wire.signing_canonical import canonical_query

HEADER: Final = b"x-client-token"
REASON: Final = b"x-backroom-reason"
_FORM: Final = re.compile(rb"[!-~](?:[ -~]{0,62}[!-~])?")


def client_token(request: Request) -> ClientToken | None:
    """None without the header. Raises InvalidInput for one that is not 1 to 64 printable ASCII."""
    text = request.header(HEADER)
    if text is None:
        return None
    if _FORM.fullmatch(text) is None:
        raise InvalidInput("X-Client-Token", "must be 1 to 64 printable ASCII characters")
    return ClientToken(text.decode(), _digest(request))


def order_of(
    request: Request,
    operation: Operation[Any],
    params: msgspec.Struct,
    public: Mapping[str, Any],
    execute_at: datetime | None = None,
) -> Order:
    """Every handler that submits makes its order here: the client token comes along.

    Answer with the ids of what `service.submit` returns. A handler that looks at the instance
    before it submits does both within `service.once`, with `client_token(request)`: what was
    accepted once is not to be refused because of itself.
    """
    return Order(
        operation=operation,
        params=params,
        public=public,
        request_id=request.request_id,
        execute_at=execute_at,
        reason=_reason(request),
        client_token=client_token(request),
    )


def _reason(request: Request) -> str | None:
    """Percent-encoded UTF-8, since headers are ASCII. Raises InvalidInput."""
    text = request.header(REASON)
    if text is None:
        return None
    try:
        return decode_reason(unquote_to_bytes(text).decode())
    except UnicodeDecodeError:
        raise InvalidInput("X-Backroom-Reason", "must be percent-encoded UTF-8") from None


def _digest(request: Request) -> bytes:
    """Of all that is asked: each part with its length, so that none can reach into the next."""
    parts = (
        request.method.encode(),
        request.raw_path,
        canonical_query(request.raw_query),
        request.body,
    )
    return sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()
