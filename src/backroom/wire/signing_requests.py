"""Signs a request that we send, in the standard form with SDK-HMAC-SHA256."""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from backroom.wire.signing_algorithms import Algorithm, secret_bytes, text_to_sign
from backroom.wire.signing_canonical import canonical_path, canonical_query

DATE_FORM: Final = "%Y%m%dT%H%M%SZ"
DATE: Final = "X-Sdk-Date"
SECURITY_TOKEN: Final = "X-Security-Token"  # noqa: S105  a header's name

Headers = list[tuple[str, str]]


class RequestKey(msgspec.Struct, frozen=True, kw_only=True):
    """`security_token` belongs to a temporary key pair."""

    access_key: str
    secret_key: str
    security_token: str | None = None

    def __repr__(self) -> str:
        return f"RequestKey({self.access_key!r})"


class Unsigned(msgspec.Struct, frozen=True):
    """`target` is the raw path with its query, as it is sent; `headers` have Host among them."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""


def signed_headers(request: Unsigned, key: RequestKey, at: datetime) -> Headers:
    """All that is to be sent: what was given, the date and the signature over all of it.

    A name must not come twice, a value have no line end or blank around it. `at` is aware.
    """
    headers = [*request.headers, (DATE, at.strftime(DATE_FORM))]
    if key.security_token is not None:
        headers.append((SECURITY_TOKEN, key.security_token))
    fields = {name.lower(): value for name, value in headers}
    names = sorted(fields)
    path, _, query = request.target.encode().partition(b"?")
    canonical = b"\n".join(
        (
            request.method.encode(),
            canonical_path(path),
            canonical_query(query),
            *(f"{name}:{fields[name]}".encode() for name in names),
            b"",
            ";".join(names).encode(),
            sha256(request.body).hexdigest().encode(),
        )
    )
    text = text_to_sign(Algorithm.HMAC_SHA256, fields["x-sdk-date"].encode(), None, canonical)
    signature = hmac.digest(secret_bytes(key.secret_key), text, "sha256").hex()
    authorization = (
        f"{Algorithm.HMAC_SHA256} Access={key.access_key}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return [*headers, ("Authorization", authorization)]
