"""Recorded signed requests: vectors as JSON, or one request as the text that was on the wire."""

import base64
import os
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from backroom.wire import signing


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


class UnreadableRecord(Exception):
    """The text is one line for the person who wrote the file."""


def read_vectors(content: bytes) -> list[Vector]:
    found = _decode(content, VectorFile | list[Vector])
    vectors: list[Vector] = found.vectors if isinstance(found, VectorFile) else found
    if not vectors:
        raise UnreadableRecord("there is no vector in it")
    return vectors


def read_record(content: bytes) -> Record:
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


def secret_key_of(record: Record, variable: str) -> str:
    secret_key = os.environ.get(variable) or record.sk
    if not secret_key:
        raise UnreadableRecord(f"no secret key; set the environment variable {variable}")
    return secret_key


def wire_form(record: Record) -> signing.SignedRequest:
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


def credential_of(request: signing.SignedRequest) -> signing.Credential:
    """Raises MalformedAuthorization, also if there is none."""
    for name, value in request.headers:
        if name.lower() == b"authorization":
            return signing.parse_authorization(value)
    raise signing.MalformedAuthorization("there is no Authorization header")


def clock_of(record: Record, request: signing.SignedRequest) -> datetime:
    if record.now is None:
        signed_at = signing.signed_at(request)
        return datetime.now(UTC) if signed_at is None else signed_at
    now = signing.parse_date(record.now.encode())
    if now is None:
        raise UnreadableRecord(f"{record.id}: now is {record.now!r}, not like 20060102T150405Z")
    return now
