"""Why one recorded request is refused: the usual accidents, each tried, and what they leave."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from backroom.cli.recorded_requests import Record, clock_of, credential_of, wire_form
from backroom.cli.signature_reports import agreement, difference, line_pairs
from backroom.wire import signing

NEAR_MISS_PORTS: Final = ("443", "80")
_FIRST_PARTS: Final = ("method", "path", "query")
_CHANGED: Final = {
    "user-agent": "proxy rewrote User-Agent",
    "host": "host not as signed: a proxy set its own",
    "body": "body changed",
    "x-sdk-date": "the date was changed after signing",
    "path": "path not as signed: was it decoded, encoded again or given a prefix on the way?",
}


class Case(msgspec.Struct, frozen=True):
    record: Record
    request: signing.SignedRequest
    credential: signing.Credential
    secret_key: str
    now: datetime

    def is_accepted(
        self, request: signing.SignedRequest | None = None, secret_key: str | None = None
    ) -> bool:
        return signing.verify(
            request or self.request, self.credential, secret_key or self.secret_key, self.now
        ).accepted


def explained(record: Record, secret_key: str) -> Iterator[str]:
    request = wire_form(record)
    now = clock_of(record, request)
    try:
        credential = credential_of(request)
    except signing.MalformedAuthorization as error:
        yield f"refused: {error}"
        return
    verdict = signing.verify(request, credential, secret_key, now)
    yield f"accepted: {verdict.variant}" if verdict.accepted else f"refused: {verdict.reason}"
    yield f"algorithm {credential.algorithm}, access key {credential.access_key}"
    yield f"signed headers: {';'.join(credential.signed_headers)}"
    yield f"clock {now:%Y%m%dT%H%M%SZ}, {_skew_in_words(request, now)}"
    forms = list(signing.candidates(request, credential))
    for form in forms:
        word = "fits" if signing.fits(request, credential, secret_key, form) else "no"
        yield f"tried {form.variant}: {word}"
    if verdict.accepted:
        return
    yield from _compared(record.canonical_request, [_shown(form) for form in forms])
    case = Case(record, request, credential, secret_key, now)
    for hint in _hints(case, verdict.reason):
        yield f"hint: {hint}"


def _compared(recorded: str | None, forms: Sequence[str]) -> Iterator[str]:
    """The standard form, or the one that agrees longest with what the client signed."""
    nearest = (
        forms[0] if recorded is None else max(forms, key=lambda form: agreement(recorded, form))
    )
    yield "canonical request:"
    yield from (f"    {line}" for line in difference(recorded, nearest))


def _shown(form: signing.Candidate) -> str:
    return form.canonical_request.decode("utf-8", "backslashreplace")


def _skew_in_words(request: signing.SignedRequest, now: datetime) -> str:
    signed_at = signing.signed_at(request)
    if signed_at is None:
        return "no readable X-Sdk-Date"
    minutes = (now - signed_at).total_seconds() / 60
    side = "before" if minutes >= 0 else "after"
    return f"signed {abs(minutes):.1f} minutes {side} it"


def _hints(case: Case, reason: signing.Reason) -> Iterator[str]:
    names = case.credential.signed_headers
    sent = {name.lower().decode("latin-1") for name, _ in case.request.headers}
    match reason:
        case signing.Reason.MISMATCH:
            yield from _mismatch_hints(case)
        case signing.Reason.EXPIRED:
            yield (
                f"{_skew_in_words(case.request, case.now)}; 15 minutes are allowed. Set the "
                "client's clock, or sign again just before sending"
            )
        case signing.Reason.BODY_HASH_MISMATCH:
            yield (
                f"body changed: the {len(case.request.body)} bytes received have not the hash "
                "the client declares"
            )
        case signing.Reason.SIGNED_HEADER_MISSING:
            missing = ", ".join(name for name in names if name not in sent)
            yield f"a proxy removed what was signed, or the record lacks it: {missing}"
        case signing.Reason.DATE_NOT_SIGNED:
            yield "x-sdk-date must be one of SignedHeaders, else anyone could renew the request"
        case signing.Reason.DATE_MISSING | signing.Reason.DATE_MALFORMED:
            yield "X-Sdk-Date must be there in UTC, like 20060102T150405Z"
        case _:
            yield "see docs/wire/signing.md for the rule"


def _mismatch_hints(case: Case) -> Iterator[str]:
    guesses = [hint for hint, is_so in _guesses(case) if is_so]
    recorded = list(_recorded_hints(case))
    yield from guesses
    yield from recorded
    if guesses or recorded:
        return
    yield "the secret key is another one than the client's, or something signed was changed"
    if "user-agent" in case.credential.signed_headers:
        yield "User-Agent is signed: has a proxy rewritten it?"
    if "host" in case.credential.signed_headers:
        yield "Host is signed: did a proxy set its own?"


def _guesses(case: Case) -> Iterator[tuple[str, bool]]:
    """Usual accidents, each tried: the request is verified as it was before one."""
    request, body = case.request, case.request.body
    lowered = msgspec.structs.replace(case.credential, signature=case.credential.signature.lower())
    yield (
        "the signature is right but not in lower case",
        signing.verify(request, lowered, case.secret_key, case.now).accepted,
    )
    yield (
        "the secret key has blanks or a line end around it",
        case.is_accepted(secret_key=case.secret_key.strip()),
    )
    for what, other in (
        ("is missing: an empty one was signed", b""),
        ("has a line end too many", body.removesuffix(b"\n").removesuffix(b"\r")),
        ("has lost its last line end", body + b"\n"),
    ):
        changed = msgspec.structs.replace(request, body=other)
        yield f"body changed: what was signed {what}", case.is_accepted(changed)
    for host in _other_hosts(request):
        shown = host.decode("latin-1")
        yield f"host not as signed: {shown} was signed", case.is_accepted(_with_host(request, host))


def _other_hosts(request: signing.SignedRequest) -> Iterator[bytes]:
    fields = {name.lower(): value for name, value in request.headers}
    host = fields.get(b"host", b"")
    bare = re.sub(rb":[0-9]+$", b"", host)
    hosts = [bare, *(b"%b:%b" % (bare, port.encode()) for port in NEAR_MISS_PORTS)]
    if b"x-forwarded-host" in fields:
        hosts.append(fields[b"x-forwarded-host"])
    yield from (other for other in hosts if other != host)


def _with_host(request: signing.SignedRequest, host: bytes) -> signing.SignedRequest:
    headers = [
        (name, host if name.lower() == b"host" else value) for name, value in request.headers
    ]
    return msgspec.structs.replace(request, headers=headers)


def _recorded_hints(case: Case) -> Iterator[str]:
    """What the client's own canonical request tells, if it was recorded."""
    recorded = case.record.canonical_request
    if recorded is None:
        return
    forms = [_shown(form) for form in signing.candidates(case.request, case.credential)]
    signed = signing.Candidate("recorded", recorded.encode("utf-8", "surrogatepass"))
    if not signing.fits(case.request, case.credential, case.secret_key, signed):
        yield (
            "the signature does not fit the recorded canonical request either: another secret "
            "key, or the signature or the date was changed"
        )
    nearest = max(forms, key=lambda form: agreement(recorded, form))
    if nearest == recorded:
        yield "the request arrived as it was signed"
    yield from _changed_parts(recorded, nearest)


def _changed_parts(recorded: str, server: str) -> Iterator[str]:
    pairs = list(line_pairs(recorded, server))
    for at, (ours, theirs) in enumerate(pairs):
        if ours == theirs:
            continue
        name = _part_name(at, len(pairs), ours or theirs or "")
        yield _CHANGED.get(name, f"{name} is not as signed")


def _part_name(at: int, count: int, line: str) -> str:
    if at < len(_FIRST_PARTS):
        return _FIRST_PARTS[at]
    if at == count - 1:
        return "body"
    return line.partition(":")[0] if ":" in line else "the list of signed headers"
