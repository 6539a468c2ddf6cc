"""A signed HTTP client, for our server and the real service: one connection, no redirects.

Over http.client, since a command's first output has 300 ms, imports included.
"""

import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from backroom import __version__
from backroom.cli.exits import (
    AnswerLost,
    CallFailed,
    CallRefused,
    NotConnected,
    NotTheApi,
    Unreachable,
)
from backroom.cli.output import printable
from backroom.cli.sentences import language, tell
from backroom.wire.signing_requests import Headers, RequestKey, Unsigned, signed_headers

CONNECT_S: Final = 10.0
ANSWER_S: Final = 75.0
QUIET_S: Final = 40.0  # a stream has a comment every 15 s
TRIES: Final = 3
LATER_MOST_S: Final = 10.0  # a longer Retry-After is the caller's to wait for
ANSWER_MOST: Final = 256 * 1024 * 1024  # bytes
SHOWN_MOST: Final = 200  # bytes of what is no error of the API
_LATER: Final = frozenset({429, 502, 503, 504})
_OUTSIDE_URL: Final = set(" <>\"'\\")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and as whom. `authority` is a file of CAs; None: those of the system."""

    endpoint: str
    key: RequestKey
    project_id: str
    authority: Path | None = None


class Told(dict[str, Any]):
    """An object of an answer. Raises NotTheApi for what is not in it."""

    def __missing__(self, name: str) -> Any:
        raise NotTheApi(tell("not the api", why=f"no {name}"))


class Answer(msgspec.Struct, frozen=True):
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2  # noqa: PLR2004  the class of successes

    @property
    def json(self) -> Any:
        """Empty for no body. Raises NotTheApi."""
        return decoded(self.body) if self.body else Told()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is raw; parts from people come through `quoted`."""

    method: str = "GET"
    path: str
    query: Mapping[str, str] = {}
    content: Any = None
    headers: Headers = []

    @property
    def target(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def body(self) -> bytes:
        return b"" if self.content is None else json.dumps(self.content).encode()

    @property
    def may_repeat(self) -> bool:
        return self.method == "GET"


def decoded(text: bytes) -> Told:
    """Raises NotTheApi for what is no JSON object."""
    try:
        found = json.loads(text, object_hook=Told)
    except (ValueError, RecursionError):
        raise NotTheApi(tell("not the api", why="no JSON")) from None
    if not isinstance(found, Told):
        raise NotTheApi(tell("not the api", why="no JSON object"))
    return found


def quoted(part: str) -> str:
    return quote(part, safe="")


class Client:
    def __init__(
        self,
        server: Server,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server
        self._now = now
        self._pause = pause
        self._link: HTTPConnection | None = None
        self._stream: HTTPConnection | None = None
        self._url = url = _checked(server.endpoint)
        self._context = None if url.scheme == "http" else _trusting(server)
        self._is_backroom: bool | None = None
        self.last_date: datetime | None = None  # of the last answer, as the server sees it

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def interrupt(self) -> None:
        """End the stream that another thread reads."""
        link = self._stream
        if link is not None and link.sock is not None:
            with suppress(OSError):
                link.sock.shutdown(socket.SHUT_RDWR)

    @property
    def is_backroom(self) -> bool:
        """Whether the native API is there; asked once, without a key.

        Raises Unreachable, and CallRefused where it is said to be elsewhere.
        """
        if self._is_backroom is None:
            answer = self.probe("/healthz")
            if _is_redirect(answer):
                raise _refusal(answer)
            self._is_backroom = answer.is_success and told_by(answer).get("status") == "ok"
        return self._is_backroom

    def call(self, call: Call) -> Answer:
        """The answer of a call that was accepted.

        Raises Unreachable, CallRefused; AnswerLost where nobody knows what became of a change.
        """
        answer = self._answered(call)
        if answer.is_success:
            return answer
        raise _refusal(answer)

    def probe(self, path: str) -> Answer:
        """Unsigned, and whatever the status."""
        return self._answered(Call(path=path), is_signed=False)

    def events(self, path: str, after: int) -> Iterator[dict[str, Any]]:
        """A stream of the native API, until it ends. Raises Unreachable when it breaks."""
        call = Call(
            path=path, query={"after": str(after)}, headers=[("Accept", "text/event-stream")]
        )
        link = self._stream = self._connection(QUIET_S)
        with closing(link):
            try:
                answer = self._sent(link, call, is_signed=True)
                if answer.status == HTTPStatus.NO_CONTENT:
                    return
                if answer.status != HTTPStatus.OK:
                    raise _refusal(_read(answer))
                for line in answer:
                    if line.startswith(b"data:"):
                        yield decoded(line[5:])
            except (OSError, HTTPException, ValueError, NotTheApi) as error:
                raise self._unreachable(error) from None

    def _answered(self, call: Call, *, is_signed: bool = True) -> Answer:
        for tries_left in reversed(range(TRIES)):
            try:
                answer = self._exchange(call, is_signed=is_signed)
            except AnswerLost:
                if not tries_left or not self._may_repeat(call):
                    raise
                continue
            except _StaleLink as stale:
                if not tries_left:
                    raise self._unreachable(stale.error) from None
                continue
            if answer.status not in _LATER or not tries_left:
                return answer
            again_s = _again_s(answer.headers)
            if again_s > LATER_MOST_S or not self._may_repeat(call):
                return answer
            self._pause(again_s)
        raise AssertionError("unreachable: the last try returns or raises")

    def _may_repeat(self, call: Call) -> bool:
        """A read, or a change that a client token makes safe to repeat."""
        if call.may_repeat:
            return True
        if not any(name == "X-Client-Token" for name, _ in call.headers):
            return False
        with suppress(CallFailed):
            return self.is_backroom
        return False

    def _exchange(self, call: Call, *, is_signed: bool) -> Answer:
        link = self._link = self._link or self._connection(ANSWER_S)
        is_fresh = link.sock is None
        if is_fresh:
            self._connect(link)
        try:
            answer = _read(self._sent(link, call, is_signed=is_signed))
        except (OSError, HTTPException) as error:
            self.close()
            if call.may_repeat:
                raise (self._unreachable(error) if is_fresh else _StaleLink(error)) from None
            raise AnswerLost(tell("answer lost", why=_why(error))) from None
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        self.last_date = _date(answer.headers) or self.last_date
        return answer

    def _sent(self, link: HTTPConnection, call: Call, *, is_signed: bool) -> HTTPResponse:
        body = call.body
        headers: Headers = [
            ("Host", self._url.netloc.rpartition("@")[2]),
            ("User-Agent", f"backroom/{__version__}"),
            ("X-Project-Id", self.server.project_id),
            *call.headers,
        ]
        if body:
            headers.append(("Content-Type", "application/json"))
        if language() == "zh":
            headers.append(("X-Language", "zh-cn"))
        target = self._url.path.rstrip("/") + call.target
        if is_signed:
            unsigned = Unsigned(call.method, target, headers, body)
            headers = signed_headers(unsigned, self.server.key, self._now())
        link.putrequest(call.method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            link.putheader(name, value.encode())
        if body or call.method != "GET":
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body)
        return link.getresponse()

    def _connect(self, link: HTTPConnection) -> None:
        timeout_s, link.timeout = link.timeout, CONNECT_S
        try:
            link.connect()
        except ssl.SSLCertVerificationError as error:
            self.close()
            why = error.verify_message
            raise NotConnected(tell("untrusted", endpoint=self.shown_endpoint, why=why)) from None
        except (OSError, HTTPException) as error:
            self.close()
            raise self._unreachable(error) from None
        link.timeout = timeout_s
        link.sock.settimeout(timeout_s)

    def _connection(self, timeout_s: float) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._context is None:
            return HTTPConnection(host, port, timeout=timeout_s)
        proxy = _proxy(host)
        if proxy is None:
            return HTTPSConnection(host, port, timeout=timeout_s, context=self._context)
        way = urlsplit(proxy)
        link = HTTPSConnection(
            way.hostname or "", way.port, timeout=timeout_s, context=self._context
        )
        link.set_tunnel(host, port)
        return link

    @property
    def shown_endpoint(self) -> str:
        return shown_endpoint(self.server.endpoint)

    def _unreachable(self, error: BaseException) -> Unreachable:
        return Unreachable(tell("unreachable", endpoint=self.shown_endpoint, why=_why(error)))


def _checked(endpoint: str) -> SplitResult:
    """Raises NotConnected."""
    with suppress(ValueError):
        url = urlsplit(endpoint)
        is_url = url.scheme in {"http", "https"} and url.hostname and not url.query
        if is_url and url.port != 0 and not _OUTSIDE_URL & set(endpoint) and endpoint.isprintable():
            return url
    raise NotConnected(tell("bad endpoint", endpoint=shown_endpoint(endpoint)))


def shown_endpoint(endpoint: str) -> str:
    """One line, without a name and a password."""
    return printable(re.sub(r"//[^/]*@", "//", endpoint)).replace("\n", "\\n")


def is_in_the_clear(endpoint: str) -> bool:
    """Whether what is asked and answered leaves this machine unencrypted."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    if url.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return False
    from ipaddress import ip_address  # noqa: PLC0415  few need it

    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


class _StaleLink(Exception):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _trusting(server: Server) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.authority)
    except (OSError, ssl.SSLError) as error:
        raise NotConnected(
            tell(
                "untrusted",
                endpoint=shown_endpoint(server.endpoint),
                why=f"{server.authority}: {_why(error)}",
            )
        ) from None


def _proxy(host: str) -> str | None:
    """For https, as the environment says."""
    if not any(name.lower() == "https_proxy" for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  few need it

    return None if proxy_bypass(host) else getproxies().get("https")


def _read(response: HTTPResponse) -> Answer:
    with closing(response):
        body = response.read(ANSWER_MOST)
        if response.length:  # read() of so many bytes takes a body that was cut off for whole
            raise IncompleteRead(body, response.length)
    return Answer(
        response.status, {name.lower(): value for name, value in response.getheaders()}, body
    )


def told_by(answer: Answer) -> dict[str, Any]:
    """The JSON object of the answer; empty where there is none."""
    with suppress(NotTheApi):
        return answer.json  # type: ignore[no-any-return]  # of whatever server
    return {}


def _refusal(answer: Answer) -> CallRefused | Unreachable:
    """The server's own words, else the status."""
    told = told_by(answer)
    code = str(told.get("error_code") or answer.status)
    words = told.get("error_msg") or answer.body[:SHOWN_MOST].decode("utf-8", "replace")
    text = printable(" ".join(str(words).split())) or _phrase(answer.status)
    if _is_redirect(answer):
        text += tell("hint elsewhere", to=shown_endpoint(answer.headers["location"]))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        text += tell("hint identity")
    said = tell("refused", code=printable(code), text=text)
    if answer.status in _LATER:
        return Unreachable(said, _again_s(answer.headers))
    return CallRefused(said, answer.status, code)


def _is_redirect(answer: Answer) -> bool:
    return answer.status // 100 == 3 and "location" in answer.headers  # noqa: PLR2004  the class


def _phrase(status: int) -> str:
    with suppress(ValueError):
        return HTTPStatus(status).phrase
    return "?"


def _again_s(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 1.0


def _date(headers: Mapping[str, str]) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  http.client has it already

    with suppress(ValueError, OverflowError):
        return parsedate_to_datetime(headers.get("date", ""))
    return None


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(" ".join(str(text).split()))
