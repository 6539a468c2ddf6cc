"""Commands on recorded signed requests: do they verify, and if not, why not."""

import base64
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec
import typer

from backroom.wire import signing

BAD_INPUT: Final = 2
SECRET_KEY_VARIABLE: Final = "BACKROOM_SK"  # noqa: S105 - a name, not a secret
NEAR_MISS_PORTS: Final = ("443", "80")

app = typer.Typer(
    no_args_is_help=True, help="Check and explain the signatures of recorded requests."
)


class Record(msgspec.Struct, kw_only=True):
    """A recorded request; texts are latin-1 views of the bytes on the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body_base64: str = ""
    id: str = ""
    sk: str | None = None
    now: str | None = None
    canonical_request: str | None = None


class Vector(Record, kw_only=True):
    id: str
    sk: str
    now: str
    expect: Literal["valid", "invalid"]


class VectorFile(msgspec.Struct):
    vectors: list[Vector]


class Outcome(msgspec.Struct, kw_only=True):
    id: str
    expect: str
    accepted: bool
    variant: str
    reason: str
    as_expected: bool
    server_canonical_request: str = ""
    recorded_canonical_request: str | None = None
    first_difference: int | None = None  # characters that agree before it


class UnreadableRecord(Exception):
    """The text is one line for the person who wrote the file."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Vectors as JSON.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Verify each recorded request and compare with what it expects.

    The file is {"vectors": [...]} or a bare list; each vector has id, sk, method, target,
    headers, body_base64, now and expect. Exit code 0 if every verdict is as expected, 1 if
    not, 2 if the file can't be read.

    Example: backroom signature check tests/golden/signature-vectors.json
    """
    try:
        outcomes = [_judge(vector) for vector in _read_vectors(file.read_bytes())]
    except (OSError, UnreadableRecord) as error:
        _give_up(file, error)
    wrong = sum(not outcome.as_expected for outcome in outcomes)
    if as_json:
        document = {"total": len(outcomes), "wrong": wrong, "vectors": outcomes}
        typer.echo(msgspec.json.format(msgspec.json.encode(document)).decode())
    else:
        for outcome in outcomes:
            _print_outcome(outcome)
        _say(f"{len(outcomes)} checked, {wrong} not as expected")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def explain(
    file: Annotated[
        str, typer.Argument(help="A vector as JSON or a raw HTTP request; - for standard input.")
    ],
    secret_key_env: Annotated[
        str, typer.Option(help="The environment variable that holds the secret key.")
    ] = SECRET_KEY_VARIABLE,
) -> None:
    """Say why one recorded request is refused, or which form it fitted.

    The secret key comes from the environment, else from the record, never from the command
    line. The clock is the record's "now", else the request's own X-Sdk-Date. Exit code 0 if
    the request is accepted, 1 if it is refused, 2 if it can't be read.

    Example: BACKROOM_SK=... backroom signature explain request.txt
    """
    try:
        record = _read_record(_read_bytes(file))
        lines = list(_explain(record, _secret_key(record, secret_key_env)))
    except (OSError, UnreadableRecord) as error:
        _give_up(file, error)
    accepted = lines[0].startswith("accepted")
    _print_marked(lines)
    raise typer.Exit(0 if accepted else 1)


def _give_up(file: object, error: Exception) -> NoReturn:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    typer.echo(_printable(f"{file}: {' '.join(text.split())}"), err=True)
    raise typer.Exit(BAD_INPUT)


def _read_bytes(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _read_vectors(content: bytes) -> list[Vector]:
    found = _decode(content, VectorFile | list[Vector])
    vectors: list[Vector] = found.vectors if isinstance(found, VectorFile) else found
    if not vectors:
        raise UnreadableRecord("there is no vector in it")
    return vectors


def _read_record(content: bytes) -> Record:
    start = content.lstrip()[:1]
    if not start:
        raise UnreadableRecord("it is empty; give a vector as JSON or a raw HTTP request")
    if start not in (b"{", b"["):
        return _read_http(content)
    found = _decode(content, Any)
    listed = found.get("vectors", [found]) if isinstance(found, dict) else found
    records: list[Record] = _convert(listed, list[Record])
    if len(records) != 1:
        raise UnreadableRecord(f"it holds {len(records)} requests; explain takes one")
    return records[0]


def _decode(content: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableRecord(f"not the JSON of recorded requests: {error}") from error


def _convert(value: object, shape: Any) -> Any:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise UnreadableRecord(f"not a recorded request: {error}") from error


def _read_http(content: bytes) -> Record:
    """Reads a request as on the wire; also one whose line ends an editor has changed."""
    head, _, body = content.partition(b"\r\n\r\n")
    if b"\n\n" in head or (not body and b"\r\n" not in head):
        head, _, body = content.partition(b"\n\n")
    first, *rest = re.split("\r?\n", head.lstrip().decode("latin-1"))
    match first.split():
        case [method, target, version] if version.startswith("HTTP/"):
            pass
        case _:
            raise UnreadableRecord("neither JSON nor a request line like: GET /v2/... HTTP/1.1")
    headers = [_read_header(line) for line in rest if line.strip()]
    body = _body_of_length(body, {name.lower(): value for name, value in headers})
    return Record(
        method=method,
        target=re.sub(r"^https?://[^/]*", "", target),
        headers=headers,
        body_base64=base64.b64encode(body).decode(),
    )


def _read_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise UnreadableRecord(f"the header line {line[:60]!r} has no colon")
    return name.strip(" \t"), value.strip(
        " \t"
    )  # not \x85 or \xa0: those are half of UTF-8 letters


def _body_of_length(body: bytes, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        raise UnreadableRecord("the body is chunked; record it decoded, with Content-Length")
    length = headers.get("content-length", "")
    if length.isdecimal():
        return body[: int(length)]
    return body if body.strip() else b""


def _secret_key(record: Record, variable: str) -> str:
    secret_key = os.environ.get(variable) or record.sk
    if not secret_key:
        raise UnreadableRecord(f"no secret key; set the environment variable {variable}")
    return secret_key


def _wire_form(record: Record) -> signing.SignedRequest:
    path, _, query = record.target.partition("?")
    try:
        return signing.SignedRequest(
            method=record.method,
            raw_path=path.encode("latin-1"),
            raw_query=query.encode("latin-1"),
            headers=[
                (name.encode("latin-1"), text.encode("latin-1")) for name, text in record.headers
            ],
            body=base64.b64decode(record.body_base64, validate=True),
        )
    except UnicodeEncodeError as error:
        raise UnreadableRecord(
            f"{record.id}: {error.object[:40]!r} is not a latin-1 view of bytes"
        ) from error
    except ValueError as error:
        raise UnreadableRecord(f"{record.id}: body_base64 is not base64: {error}") from error


def _credential(request: signing.SignedRequest) -> signing.Credential:
    """Raises MalformedAuthorization, also if there is none."""
    for name, value in request.headers:
        if name.lower() == b"authorization":
            return signing.parse_authorization(value)
    raise signing.MalformedAuthorization("there is no Authorization header")


def _clock(record: Record, request: signing.SignedRequest) -> datetime:
    if record.now is None:
        signed_at = signing.signed_at(request)
        return datetime.now(UTC) if signed_at is None else signed_at
    now = signing.parse_date(record.now.encode())
    if now is None:
        raise UnreadableRecord(f"{record.id}: now is {record.now!r}, not like 20060102T150405Z")
    return now


def _judge(vector: Vector) -> Outcome:
    request = _wire_form(vector)
    now = _clock(vector, request)
    try:
        verdict = signing.verify(request, _credential(request), vector.sk, now)
    except signing.MalformedAuthorization as error:
        return Outcome(
            id=vector.id,
            expect=vector.expect,
            accepted=False,
            variant="",
            reason=str(error),
            as_expected=vector.expect == "invalid",
        )
    outcome = Outcome(
        id=vector.id,
        expect=vector.expect,
        accepted=verdict.accepted,
        variant=verdict.variant,
        reason=verdict.reason,
        as_expected=verdict.accepted == (vector.expect == "valid"),
    )
    if not verdict.accepted:
        outcome.server_canonical_request = verdict.canonical_request
        outcome.recorded_canonical_request = vector.canonical_request
        if vector.canonical_request is not None:
            outcome.first_difference = _agreement(
                vector.canonical_request, verdict.canonical_request
            )
    return outcome


def _say(text: str, fg: str | None = None) -> None:
    typer.secho(_printable(text), fg=fg)


def _printable(text: str) -> str:
    # what was recorded came from strangers: no escape sequence may reach the terminal
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )


def _print_outcome(outcome: Outcome) -> None:
    word = "accepted" if outcome.accepted else "refused"
    note = "" if outcome.as_expected else f"  NOT AS EXPECTED: {outcome.expect}"
    colour = None if outcome.as_expected else typer.colors.RED
    _say(f"{outcome.id}  {word}  {outcome.variant or outcome.reason}{note}", fg=colour)
    if not outcome.accepted:
        _print_difference(outcome.recorded_canonical_request, outcome.server_canonical_request)


def _print_difference(recorded: str | None, server: str) -> None:
    if sys.stdout.isatty():
        _print_table(recorded, server)
    else:
        for line in _difference(recorded, server):
            _say(f"    {line}")


def _print_table(recorded: str | None, server: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    server = _printable(server)
    recorded = None if recorded is None else _printable(recorded)
    left, right = Text(recorded or "(not recorded)"), Text(server)
    if recorded is not None and recorded != server:
        at = _agreement(recorded, server)
        left.stylize("bold reverse", at, at + 1)
        right.stylize("bold reverse", at, at + 1)
    table = Table()
    for title in ("recorded canonical request", "server's canonical request"):
        table.add_column(title, overflow="fold")  # else the difference may be cut off
    table.add_row(left, right)
    Console().print(table)


def _difference(recorded: str | None, server: str) -> Iterator[str]:
    """Both texts line by line; a caret under the first character that differs."""
    if recorded is None:
        yield from (f"server   | {line}" for line in server.split("\n"))
        return
    is_marked = False
    for ours, theirs in _line_pairs(recorded, server):
        if ours == theirs:
            yield f"both     | {ours}"
            continue
        yield f"recorded | {'(no such line)' if ours is None else ours}"
        yield f"server   | {'(no such line)' if theirs is None else theirs}"
        if not is_marked:
            is_marked = True
            yield f"         | {' ' * _agreement(ours or '', theirs or '')}^ first difference"


def _line_pairs(recorded: str, server: str) -> Iterator[tuple[str | None, str | None]]:
    left: list[str | None] = [*recorded.split("\n")]
    right: list[str | None] = [*server.split("\n")]
    longest = max(len(left), len(right))
    for lines in (left, right):
        lines.extend([None] * (longest - len(lines)))
    yield from zip(left, right, strict=True)


def _agreement(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    differing = (at for at, (ours, theirs) in enumerate(pairs) if ours != theirs)
    return next(differing, min(len(one), len(other)))


def _print_marked(lines: Sequence[str]) -> None:
    first, *rest = lines
    colour = typer.colors.GREEN if first.startswith("accepted") else typer.colors.RED
    _say(first, fg=colour)
    for line in rest:
        _say(line)


def _explain(record: Record, secret_key: str) -> Iterator[str]:
    request = _wire_form(record)
    now = _clock(record, request)
    try:
        credential = _credential(request)
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
        forms[0] if recorded is None else max(forms, key=lambda form: _agreement(recorded, form))
    )
    yield "canonical request:"
    yield from (f"    {line}" for line in _difference(recorded, nearest))


def _shown(form: signing.Candidate) -> str:
    return form.canonical_request.decode("utf-8", "backslashreplace")


def _skew_in_words(request: signing.SignedRequest, now: datetime) -> str:
    signed_at = signing.signed_at(request)
    if signed_at is None:
        return "no readable X-Sdk-Date"
    minutes = (now - signed_at).total_seconds() / 60
    side = "before" if minutes >= 0 else "after"
    return f"signed {abs(minutes):.1f} minutes {side} it"


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
    nearest = max(forms, key=lambda form: _agreement(recorded, form))
    if nearest == recorded:
        yield "the request arrived as it was signed"
    yield from _changed_parts(recorded, nearest)


def _changed_parts(recorded: str, server: str) -> Iterator[str]:
    pairs = list(_line_pairs(recorded, server))
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


_FIRST_PARTS: Final = ("method", "path", "query")
_CHANGED: Final = {
    "user-agent": "proxy rewrote User-Agent",
    "host": "host not as signed: a proxy set its own",
    "body": "body changed",
    "x-sdk-date": "the date was changed after signing",
    "path": "path not as signed: was it decoded, encoded again or given a prefix on the way?",
}
