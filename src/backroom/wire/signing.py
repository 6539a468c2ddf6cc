"""Verifies signed requests from their wire form; pure functions, the clock is an argument.

The rules, each client's quirks and why each accepted form is safe: docs/wire/signing.md.
What a signature can't tell apart, and the router therefore must: `/a` from `/a/`, `%2F` from
`/` in a path, the order of query parameters, and `key` from `key=`.
"""

import functools
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from itertools import chain
from operator import itemgetter
from typing import Final

import msgspec

from backroom.wire import signing_canonical as canonical
from backroom.wire.signing_algorithms import (
    Algorithm,
    AlgorithmUnavailable,
    SigningKey,
    body_hash_header,
    digest_hex,
    proof_of,
    same_text,
    secret_bytes,
    text_to_sign,
    wire_bytes,
)
from backroom.wire.signing_authorization import (
    Credential,
    MalformedAuthorization,
    parse_authorization,
)

__all__ = [
    "Algorithm",
    "Candidate",
    "Credential",
    "MalformedAuthorization",
    "Reason",
    "SignedRequest",
    "Verdict",
    "candidates",
    "fingerprint",
    "fits",
    "parse_authorization",
    "parse_date",
    "signed_at",
    "string_to_sign",
    "verify",
]

CLOCK_SKEW_MAX: Final = timedelta(minutes=15)  # [D] either way, inclusive

_DATE: Final = b"x-sdk-date"
_SPACE: Final = b" \t"
_HMAC_SHA256: Final = Algorithm.HMAC_SHA256
_EMPTY_BODY: Final = hashlib.sha256().hexdigest().encode()
_METHODS: Final = {
    name: name.encode() for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
}
_DATE_FORM: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_HASH_FORM: Final = re.compile(rb"[0-9a-fA-F]+")


@unique
class Reason(StrEnum):
    OK = "ok"
    MISMATCH = "mismatch"
    EXPIRED = "expired"  # the date is too far from the clock, on either side
    DATE_MISSING = "date missing"
    DATE_REPEATED = "date repeated"
    DATE_MALFORMED = "date malformed"
    DATE_NOT_SIGNED = "date not signed"
    SCOPE_MISMATCH = "scope mismatch"  # V11: the scope is of another day than the date
    SIGNED_HEADER_MISSING = "signed header missing"
    HEADER_MALFORMED = "header malformed"  # a line break in a signed value
    BODY_HASH_MISMATCH = "body hash mismatch"
    BODY_HASH_REPEATED = "body hash repeated"
    AUTHORIZATION_REPEATED = "authorization repeated"
    METHOD_UNKNOWN = "method unknown"
    ALGORITHM_UNAVAILABLE = "algorithm unavailable"


class SignedRequest(msgspec.Struct):
    """The wire form, nothing decoded; header names in any case, header order as sent.

    `fields` is for a caller who has the headers by lower-case name already, each name's last value.
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    fields: Mapping[bytes, bytes] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """`canonical_request` is the server's own, and only filled in a refusal."""

    accepted: bool
    variant: str
    reason: Reason
    canonical_request: str


class Candidate(msgspec.Struct, frozen=True):
    variant: str
    canonical_request: bytes


_PLAIN: Final = Verdict(
    accepted=True,
    variant="path=decoded query=none payload=computed",
    reason=Reason.OK,
    canonical_request="",
)
_PLAIN_WITH_QUERY: Final = Verdict(
    accepted=True,
    variant="path=decoded query=raw payload=computed",
    reason=Reason.OK,
    canonical_request="",
)


def verify(
    request: SignedRequest, credential: Credential, secret_key: str, now: datetime
) -> Verdict:
    """Whether the owner of `secret_key` signed this request around `now` (aware).

    Says nothing about who that is: the caller looks the secret up by the access key and, for
    temporary keys, compares X-Security-Token. Never raises on what a client sent.
    """
    if credential.algorithm is _HMAC_SHA256 and _fits_plainly(request, credential, secret_key, now):
        return _PLAIN_WITH_QUERY if request.raw_query else _PLAIN
    return _verify_each_candidate(request, credential, secret_key, now)


def candidates(request: SignedRequest, credential: Credential) -> Iterator[Candidate]:
    """Every canonical request that would be accepted, the standard one first, at most 24."""
    fields = _gather(request.headers)
    names = [wire_bytes(name) for name in credential.signed_headers]
    declared = _first(fields, body_hash_header(credential.algorithm))
    computed = digest_hex(credential.algorithm, request.body).encode()
    user_agent = _first(fields, b"user-agent") if b"user-agent" in names else None
    queries = canonical.query_candidates(request.raw_query)
    payloads = canonical.payload_candidates(declared, computed)
    method = wire_bytes(request.method)
    headers = canonical.header_lines(fields, names) + b"\n" + b";".join(names)
    for path_name, path in canonical.path_candidates(
        request.raw_path, may_encode_twice=canonical.may_encode_twice(user_agent)
    ):
        for query_name, query in queries:
            for payload_name, payload in payloads:
                yield Candidate(
                    f"path={path_name} query={query_name} payload={payload_name}",
                    b"\n".join((method, path, query, headers, payload)),
                )


def string_to_sign(
    request: SignedRequest, credential: Credential, canonical_request: bytes
) -> bytes:
    date = _first(_gather(request.headers), _DATE) or b""
    return text_to_sign(credential.algorithm, date, credential.scope, canonical_request)


def parse_date(value: bytes) -> datetime | None:
    """None if it is not a moment in the form 20060102T150405Z."""
    return _moment(value) if len(value) == len("20060102T150405Z") else None


def signed_at(request: SignedRequest) -> datetime | None:
    """What X-Sdk-Date says; None if it is not there or malformed."""
    return parse_date(_first(_gather(request.headers), _DATE) or b"")


def fits(request: SignedRequest, credential: Credential, secret_key: str, form: Candidate) -> bool:
    """Whether the signature is over this one form, whatever else is wrong."""
    return _fitting(request, credential, secret_key, (form,)) is not None


def fingerprint(credential: Credential) -> bytes:
    """The same for each way to write a credential that `verify` accepted: to know it again.

    Not the header's bytes: blanks in it and capitals in its names are not signed.
    """
    proof = proof_of(credential.algorithm, credential.signature)
    text = f"{credential.algorithm}\n{credential.access_key}\n{proof}"
    return hashlib.sha256(wire_bytes(text)).digest()


class _Plan(msgspec.Struct, frozen=True):
    """What verifying needs of a list of signed headers, made once for each list."""

    values_in: Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]]
    template: bytes
    line_breaks: int


def _fits_plainly(
    request: SignedRequest, credential: Credential, secret_key: str, now: datetime
) -> bool:
    """The standard form, for a request with nothing unusual; False if in any doubt.

    Must never be true where `_verify_each_candidate` refuses: it is a short cut through it.
    """
    fields = request.fields
    if fields is None:
        fields = {name.lower(): value for name, value in request.headers}
    plan = _plan(credential.signed_headers)
    if plan is None or len(fields) != len(request.headers) or b"x-sdk-content-sha256" in fields:
        return False
    try:
        method = _METHODS[request.method]
        date = fields[_DATE]
        values = [value.strip(_SPACE) for value in plan.values_in(fields)]
    except KeyError:
        return False
    moment = parse_date(date)
    if moment is None or not -CLOCK_SKEW_MAX <= now - moment <= CLOCK_SKEW_MAX:
        return False
    path = request.raw_path
    if path.endswith(b"/") or path.translate(None, canonical.PLAIN_IN_PATH):
        path = canonical.canonical_path(path)
    else:
        path += b"/"
    query = canonical.canonical_query(request.raw_query)
    body = request.body
    payload = hashlib.sha256(body).hexdigest().encode() if body else _EMPTY_BODY
    text = plan.template % (method, path, query, *values, payload)
    if text.count(b"\n") != plan.line_breaks:
        return False
    hashed = hashlib.sha256(text).hexdigest().encode()
    to_sign = b"SDK-HMAC-SHA256\n%b\n%b" % (date, hashed)
    expected = hmac.digest(secret_bytes(secret_key), to_sign, "sha256").hex()
    return same_text(expected, credential.signature)


def _verify_each_candidate(
    request: SignedRequest, credential: Credential, secret_key: str, now: datetime
) -> Verdict:
    try:
        reason = _refusal(request, credential, now)
        forms = candidates(request, credential)
        standard = next(forms)
        if reason is None:
            fitting = _fitting(request, credential, secret_key, chain((standard,), forms))
            if fitting is not None:
                return Verdict(
                    accepted=True, variant=fitting.variant, reason=Reason.OK, canonical_request=""
                )
    except AlgorithmUnavailable:
        return _refused(Reason.ALGORITHM_UNAVAILABLE, b"")
    return _refused(reason or Reason.MISMATCH, standard.canonical_request)


def _fitting(
    request: SignedRequest,
    credential: Credential,
    secret_key: str,
    forms: Iterable[Candidate],
) -> Candidate | None:
    algorithm, scope = credential.algorithm, credential.scope
    key = SigningKey(algorithm, credential.access_key, secret_key, scope)
    date = _first(_gather(request.headers), _DATE) or b""
    for form in forms:
        text = text_to_sign(algorithm, date, scope, form.canonical_request)
        if key.fits(credential.signature, text):
            return form
    return None


def _refused(reason: Reason, canonical_request: bytes) -> Verdict:
    shown = canonical_request.decode("utf-8", "backslashreplace")
    return Verdict(accepted=False, variant="", reason=reason, canonical_request=shown)


def _refusal(request: SignedRequest, credential: Credential, now: datetime) -> Reason | None:
    """What is wrong with the request whatever its signature says."""
    fields = _gather(request.headers)
    if request.method not in _METHODS:
        return Reason.METHOD_UNKNOWN
    if len(fields.get(b"authorization", ())) > 1:
        return Reason.AUTHORIZATION_REPEATED
    return (
        _date_refusal(fields, credential, now)
        or _headers_refusal(fields, credential)
        or _body_refusal(fields, credential.algorithm, request.body)
    )


def _date_refusal(
    fields: dict[bytes, list[bytes]], credential: Credential, now: datetime
) -> Reason | None:
    dates = fields.get(_DATE)
    if dates is None:
        return Reason.DATE_MISSING
    if len(dates) > 1:
        return Reason.DATE_REPEATED
    if _DATE.decode() not in credential.signed_headers:
        return Reason.DATE_NOT_SIGNED
    moment = parse_date(dates[0])
    if moment is None:
        return Reason.DATE_MALFORMED
    if not -CLOCK_SKEW_MAX <= now - moment <= CLOCK_SKEW_MAX:
        return Reason.EXPIRED
    return _scope_refusal(credential.scope, dates[0])


def _scope_refusal(scope: str | None, date: bytes) -> Reason | None:
    if scope is None or scope.startswith(date[:8].decode() + "/"):
        return None
    return Reason.SCOPE_MISMATCH


def _headers_refusal(fields: dict[bytes, list[bytes]], credential: Credential) -> Reason | None:
    for name in credential.signed_headers:
        values = fields.get(wire_bytes(name))
        if values is None:
            return Reason.SIGNED_HEADER_MISSING
        if any(b"\n" in value for value in values):
            return Reason.HEADER_MALFORMED
    return None


def _body_refusal(
    fields: dict[bytes, list[bytes]], algorithm: Algorithm, body: bytes
) -> Reason | None:
    declared = fields.get(body_hash_header(algorithm))
    if declared is None:
        return None
    if len(declared) > 1:
        return Reason.BODY_HASH_REPEATED
    if _HASH_FORM.fullmatch(declared[0]) is None:
        return None
    computed = digest_hex(algorithm, body).encode()
    fits = hmac.compare_digest(declared[0].lower(), computed)
    return None if fits else Reason.BODY_HASH_MISMATCH


def _gather(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(value.strip(_SPACE))
    return fields


def _first(fields: dict[bytes, list[bytes]], name: bytes) -> bytes | None:
    return fields[name][0] if name in fields else None


@functools.lru_cache(maxsize=512)
def _moment(value: bytes) -> datetime | None:
    match = _DATE_FORM.fullmatch(value)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


@functools.lru_cache(maxsize=512)
def _plan(signed_headers: tuple[str, ...]) -> _Plan | None:
    """None for what parse_authorization refuses or the short cut can't do."""
    names = [wire_bytes(name) for name in signed_headers]
    if len(names) == 1 or _DATE not in names:
        return None  # with one name itemgetter gives no tuple
    lines = [name.replace(b"%", b"%%") for name in names]
    return _Plan(
        values_in=itemgetter(*names),
        template=b"%b\n%b\n%b\n"
        + b"".join(line + b":%b\n" for line in lines)
        + b"\n"
        + b";".join(lines)
        + b"\n%b",
        line_breaks=len(names) + 5,
    )
