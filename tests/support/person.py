"""A person with a browser: cookies are kept, forms are filled in as the page has them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.world import World

HOST = "127.0.0.1:8443"
VOID = {"input", "meta", "link", "img", "br", "rect", "line", "circle", "path"}


@dataclass
class Form:
    """`fields` as a browser would send them with no button pressed; `buttons` by their name."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__()
        self.status = status
        self.headers = headers
        self.body = body
        self.html = body.decode()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self._select: tuple[str, list[tuple[str, bool]]] | None = None
        self._area: str | None = None
        self._open: list[str] = []
        if headers.get("content-type", "").startswith("text/html"):
            self.feed(self.html)

    @property
    def text(self) -> str:
        """All that a reader sees, blanks run together."""
        return " ".join(" ".join(self._texts).split())

    def form(self, action: str) -> Form:
        return next(one for one in self.forms if one.action.partition("?")[0] == action)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "form":
            self.forms.append(Form(given.get("method", "get"), given["action"]))
        elif self.forms:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        form, name = self.forms[-1], given.get("name", "")
        if tag == "input" and name:
            if given.get("type") != "checkbox" or "checked" in given:
                form.fields.append((name, given.get("value", "")))
        elif tag == "button":
            form.buttons.append((name, given.get("value", "")))
        elif tag == "select":
            self._select = name, []
        elif tag == "option" and self._select is not None:
            self._select[1].append((given.get("value", ""), "selected" in given))
        elif tag == "textarea":
            self._area = name
            form.fields.append((name, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag == "select" and self._select is not None:
            name, options = self._select
            chosen = next((value for value, is_chosen in options if is_chosen), options[0][0])
            self.forms[-1].fields.append((name, chosen))
            self._select = None
        if tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            name, _ = self.forms[-1].fields.pop()
            self.forms[-1].fields.append((name, data))
        elif not {"script", "style"} & set(self._open):
            self._texts.append(data)


class Person:
    """Not signed in until told. `language` is what their browser asks for."""

    def __init__(self, world: World, language: str = "en", address: str = "127.0.0.1") -> None:
        self.world = world
        self.language = language
        self.address = address
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    def get(self, target: str, **headers: str) -> Page:
        return self._ask("GET", target, b"", headers)

    def post(self, target: str, fields: Iterable[tuple[str, str]], **headers: str) -> Page:
        body = urlencode(list(fields)).encode()
        headers = {"content_type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", target, body, headers)

    def leave(self, target: str) -> int:
        """A form of which only the beginning comes; the status, which nobody sees."""
        headers = [(b"host", HOST.encode()), (b"content-length", b"100")]
        return self.world.do(self._asked("POST", target, "", headers, b"")).status

    def send(self, form: Form, button: tuple[str, str] | None = None, **given: Any) -> Page:
        """The form with these values instead of its own; a list gives a name several times."""
        fields = [pair for pair in form.fields if pair[0] not in given]
        for name, value in given.items():
            values = value if isinstance(value, list) else [value]
            fields += [(name, one) for one in values if one is not None]
        if button is not None:
            fields.append(button)
        return self.post(form.action, fields)

    def follow(self, page: Page) -> Page:
        assert page.status == 303, page.text
        return self.get(page.headers["location"])

    def sign_in(self, access_key: str | None = None, secret_key: str | None = None) -> "Person":
        key = self.world.key
        name, secret = access_key or key.access_key, secret_key or key.secret_key
        page = self.get("/console/sign-in")
        answer = self.send(page.form("/console/sign-in"), name=name, secret=secret)
        assert answer.status == 303, answer.text
        return self

    def _ask(self, method: str, target: str, body: bytes, given: dict[str, str]) -> Page:
        parts = urlsplit(target)
        headers = [(b"host", HOST.encode()), (b"accept-language", self.language.encode())]
        headers += [(name.replace("_", "-").encode(), v.encode()) for name, v in given.items()]
        if self.cookies:
            text = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers.append((b"cookie", text.encode()))
        return self.world.do(self._asked(method, parts.path, parts.query, headers, body))

    async def _asked(
        self, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Page:
        sent: list[dict[str, Any]] = []
        is_cut = (b"content-length", b"100") in headers
        parts = [] if is_cut else [body]
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if parts:
                return {"type": "http.request", "body": parts.pop(), "more_body": False}
            if is_cut:
                return {"type": "http.disconnect"}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": method, "scheme": "https", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "headers": headers,
            "server": ("127.0.0.1", 8443), "client": (self.address, 50000), "root_path": "",
        }  # fmt: skip
        await self.world.backroom.application(scope, receive, send)
        start, *bodies = sent
        fields: dict[str, str] = {}
        self.set_cookies = []
        for name, value in start["headers"]:
            if name == b"set-cookie":
                self._keep(value.decode())
            else:
                assert name.decode() not in fields, f"a header twice: {name!r}"
                fields[name.decode()] = value.decode("latin-1")
        return Page(start["status"], fields, b"".join(part.get("body", b"") for part in bodies))

    def _keep(self, text: str) -> None:
        self.set_cookies.append(text)
        name, _, value = text.partition(";")[0].partition("=")
        if "max-age=0" in text.lower():
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value.strip('"')
