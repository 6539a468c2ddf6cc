"""Reads the Authorization header of a signed request."""

import functools
import re
from typing import Final

import msgspec

from backroom.wire.signing_algorithms import Algorithm

AUTHORIZATION_LENGTH_MAX: Final = 8192  # characters; the longest seen from a client is 260
SIGNED_HEADERS_MAX: Final = 64  # the most seen from a client is 8

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIGNATURE: Final = re.compile(r"[0-9A-Za-z]+")
_HEAD: Final = re.compile(
    r" *(?P<algorithm>[A-Za-z0-9-]+) +"
    r"(?P<key>Access|Credential)=(?P<credential>[^\s,]+) *, *"
    r"SignedHeaders=(?P<names>[^\s,]*) *, *"
)
_V11_CREDENTIAL: Final = re.compile(r"(?P<access_key>.+)/(?P<scope>[0-9]{8}/[^/]+/[^/]+)")


class MalformedAuthorization(Exception):
    """The text tells the client's author what to change; it never holds the signature."""


class Credential(msgspec.Struct, frozen=True):
    """A parsed Authorization header; names are lower case and in the client's order."""

    algorithm: Algorithm
    access_key: str
    signed_headers: tuple[str, ...]
    signature: str
    scope: str | None = None  # V11 only: yyyymmdd/region/service


def parse_authorization(value: bytes | str) -> Credential:
    """Raises MalformedAuthorization.

    A header of another kind (Basic, Bearer, SDK-SM2-SM3) is malformed too. The signature is
    not checked for its form: whatever it is, it won't match.
    """
    text = value if isinstance(value, str) else value.decode("latin-1")
    if len(text) > AUTHORIZATION_LENGTH_MAX:
        raise MalformedAuthorization(
            f"Authorization is longer than {AUTHORIZATION_LENGTH_MAX} characters"
        )
    head, found, signature = text.rpartition("Signature=")
    if not found:
        raise MalformedAuthorization(_what_is_missing(text))
    algorithm, access_key, names, scope = _parse_head(head)
    signature = signature.rstrip()
    if _SIGNATURE.fullmatch(signature) is None:
        raise MalformedAuthorization("Authorization must end in Signature=<hexadecimal digits>")
    return Credential(algorithm, access_key, names, signature, scope)


@functools.lru_cache(maxsize=512)
def _parse_head(head: str) -> tuple[Algorithm, str, tuple[str, ...], str | None]:
    match = _HEAD.fullmatch(head)
    if match is None:
        raise MalformedAuthorization(_what_is_missing(head + "Signature="))
    algorithm = _parse_algorithm(match["algorithm"])
    is_v11 = algorithm is Algorithm.V11_HMAC_SHA256
    wanted = "Credential" if is_v11 else "Access"
    if match["key"] != wanted:
        raise MalformedAuthorization(f"{algorithm} has {wanted}=, not {match['key']}=")
    names = _parse_names(match["names"])
    if not is_v11:
        return algorithm, match["credential"], names, None
    scoped = _V11_CREDENTIAL.fullmatch(match["credential"])
    if scoped is None:
        raise MalformedAuthorization(
            "Credential must be <access key>/<yyyymmdd>/<region>/<service>"
        )
    return algorithm, scoped["access_key"], names, scoped["scope"]


def _parse_algorithm(name: str) -> Algorithm:
    try:
        return Algorithm(name)
    except ValueError:
        known = ", ".join(Algorithm)
        raise MalformedAuthorization(
            f"the algorithm {name[:40]!r} is not supported; use one of {known}"
        ) from None


def _parse_names(text: str) -> tuple[str, ...]:
    names = tuple(text.lower().split(";")) if text else ()
    if len(names) > SIGNED_HEADERS_MAX:
        raise MalformedAuthorization(f"SignedHeaders has more than {SIGNED_HEADERS_MAX} names")
    if len(set(names)) != len(names):
        raise MalformedAuthorization("SignedHeaders has a name twice")
    for name in names:
        if _HEADER_NAME.fullmatch(name) is None:
            raise MalformedAuthorization(
                f"SignedHeaders has {name[:40]!r}, which is no header name"
            )
    return names


def _what_is_missing(text: str) -> str:
    scheme = text.split(maxsplit=1)[0] if text.strip() else ""
    if scheme not in set(Algorithm):
        return f"Authorization begins with {scheme[:40]!r}; use one of {', '.join(Algorithm)}"
    key = "Credential=" if scheme == Algorithm.V11_HMAC_SHA256 else "Access="
    missing = [part for part in (key, "SignedHeaders=", "Signature=") if part not in text]
    if missing:
        return f"Authorization has no {' and no '.join(missing)}"
    return f"Authorization must be: {scheme} {key}..., SignedHeaders=a;b, Signature=..."
