"""One request as it came in, nothing decoded, and the answer to it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from backroom.domain.account import Identity
from backroom.domain.errors import EmptyBody, InvalidJson
from backroom.domain.ids import NOWHERE, InstanceId, ProjectId, TaskId
from backroom.wire.queries import decode_query
from backroom.wire.signing import SignedRequest

T = TypeVar("T")

Headers = list[tuple[bytes, bytes]]


class Request(SignedRequest):
    """`parameters` are the percent-decoded values of the path template. Headers: lower-case names.

    `identity` is set before any handler of a route that needs one runs.
    """

    request_id: str = ""
    parameters: Mapping[str, str] = {}
    identity: Identity | None = None

    def header(self, name: bytes) -> bytes | None:
        """The last value; `name` in lower case."""
        if self.fields is None:
            self.fields = dict(self.headers)
        return self.fields.get(name)

    def query(self) -> dict[str, str]:
        return decode_query(self.raw_query)

    def json(self, kind: type[T]) -> T:
        """The body as `kind`. Raises EmptyBody or InvalidJson; unknown fields are ignored."""
        if not self.body.strip():
            raise EmptyBody("body", "is empty")
        try:
            return msgspec.json.decode(self.body.decode(), type=kind)  # UTF-8 in all of it
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidJson("body", str(error)) from error

    @property
    def wants_chinese(self) -> bool:
        return wants_chinese(self.headers)

    @property
    def who(self) -> Identity:
        """The proven identity; a route that needs none must not ask."""
        if self.identity is None:
            raise LookupError(f"{self.raw_path!r} is a route without identity")
        return self.identity

    @property
    def project_id(self) -> ProjectId:
        """The project that the caller acts in: NOWHERE when the path names another one."""
        return self.who.project_id or NOWHERE

    @property
    def instance_id(self) -> InstanceId:
        return InstanceId(self.parameters["instance_id"])

    @property
    def task_id(self) -> TaskId:
        return TaskId(self.parameters["task_id"])


def wants_chinese(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """[O] clients say so with X-Language: zh-cn or en-us; English where they don't."""
    return any(name == b"x-language" and value.lower().startswith(b"zh") for name, value in headers)


class ConnectionDropped(Exception):
    """The client gets no answer: its connection ends."""


class Response(msgspec.Struct):
    """One with a `stream` goes on with it behind its body, until the client leaves."""

    status: int = 200
    body: bytes = b""
    headers: Headers = []
    content_type: bytes = b"application/json"
    stream: AsyncGenerator[bytes, None] | None = None


_encode = msgspec.json.Encoder().encode


def json_response(content: Any, status: int = 200, headers: Headers | None = None) -> Response:
    return Response(status, _encode(content), headers or [])


NO_CONTENT = Response(204)
