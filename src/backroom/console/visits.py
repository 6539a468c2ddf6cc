"""One request of a person: who it is, in which language, and what their form says."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backroom.console.rendering import TEXT, Text, rendered
from backroom.console.sessions import COOKIE, Session, Sessions, is_csrf
from backroom.console.texts import LANGUAGES
from backroom.domain.errors import BodyTooLarge, InvalidInput
from backroom.domain.ids import ProjectId

FORM_MOST: Final = 256 * 1024  # bytes
FORM_DRAINED: Final = 12 * 1024 * 1024
FIELDS_MOST: Final = 2_000
LANGUAGE_COOKIE: Final = "backroom_language"
THEME_COOKIE: Final = "backroom_theme"
THEMES: Final = ("auto", "light", "dark")
HOME: Final = "/console/tasks"
SIGN_IN: Final = "/console/sign-in"

Pairs = Sequence[tuple[str, str]]


class NotFromHere(Exception):
    """A form without the token of this session: it may have been made by another site."""


@dataclass
class Visit:
    """`form` is read before a handler of a POST runs, and its token is right then."""

    request: Request
    session: Session
    t: Text
    form: Pairs = field(default_factory=tuple)

    @property
    def project_id(self) -> ProjectId:
        return self.session.project_id

    @property
    def in_chinese(self) -> bool:
        return self.t.language == "zh"

    @property
    def query(self) -> Pairs:
        return pairs_of(self.request.url.query)

    def value(self, name: str) -> str:
        """The last one of the form; empty where there is none."""
        return next((value for key, value in reversed(self.form) if key == name), "")

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.form if key == name]

    def page(self, template: str, context: Mapping[str, Any], status: int = 200) -> Response:
        return rendered(template, {**shared(self.request, self.t, self.session), **context}, status)


Handler = Callable[[Visit], Awaitable[Response]]


def shared(request: Request, t: Text, session: Session | None) -> dict[str, Any]:
    """What every template may use."""
    query = request.url.query
    return {
        "t": t,
        "theme": theme_of(request),
        "session": session,
        "csrf": "" if session is None else session.csrf,
        "here": request.url.path + (f"?{query}" if query else ""),
        "path": request.url.path,
        "request_id": request.scope["backroom.request_id"],
    }


def text_of(request: Request) -> Text:
    """As chosen, else what the browser asks for first of what we have."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return TEXT[chosen]
    for wish in _wishes(request.headers.get("accept-language", "")):
        language = wish.partition("-")[0].lower()
        if language in LANGUAGES:
            return TEXT[language]
    return TEXT[LANGUAGES[0]]


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def pairs_of(text: str) -> Pairs:
    """Of a query or a form. Raises InvalidInput."""
    try:
        return parse_qsl(text, errors="strict", max_num_fields=FIELDS_MOST)
    except ValueError:
        raise InvalidInput("query", f"must be UTF-8, at most {FIELDS_MOST} values") from None


async def read_form(request: Request) -> Pairs:
    """Raises BodyTooLarge, InvalidInput. Too much is thrown away, so that the answer arrives."""
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > FORM_DRAINED:
            break
        if length <= FORM_MOST:
            parts.append(part)
    if length > FORM_MOST:
        raise BodyTooLarge(FORM_MOST)
    try:
        text = b"".join(parts).decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInput("form", "must be percent-encoded") from None
    return pairs_of(text)


def signed_in(sessions: Sessions, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """For who is signed in only; others are led to where they can sign in."""

    async def handle(request: Request) -> Response:
        if any("\0" in text for text in request.path_params.values()):
            raise HTTPException(404)
        session = await sessions.current(request.cookies.get(COOKIE))
        if session is None:
            return _led_to_sign_in(request)
        visit = Visit(request, session, text_of(request))
        _require_no_nul(visit.query)
        if request.method == "POST":
            visit.form = await read_form(request)
            if not is_csrf(visit.value("csrf"), session.csrf):
                raise NotFromHere
        return await handler(visit)

    return handle


def _require_no_nul(pairs: Pairs) -> None:
    """PostgreSQL takes none in a text. Raises InvalidInput."""
    if any("\0" in text for pair in pairs for text in pair):
        raise InvalidInput("query", "must not contain NUL")


def local(target: str) -> str:
    """Where to go next, if that is a page of ours; else the first page."""
    is_ours = target.startswith("/console/") and target.isascii() and target.isprintable()
    return HOME if not is_ours or "\\" in target or "//" in target.partition("?")[0] else target


def led_to(visit: Visit, target: str) -> Response:
    """After a form was accepted; htmx asks for pages by itself and is told where to go."""
    if visit.request.headers.get("hx-request"):
        return Response(headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def _led_to_sign_in(request: Request) -> Response:
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or request.url.path.startswith("/console/live"):
        back = HOME
    target = SIGN_IN if local(back) == HOME else f"{SIGN_IN}?{urlencode({'back': back})}"
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": target})
    if request.url.path.startswith("/console/live"):
        return Response(status_code=204)  # the word for "do not come back" in an event stream
    return RedirectResponse(target, 303)


def _wishes(header: str) -> list[str]:
    """Of Accept-Language, what is wanted most first."""
    weighed: list[tuple[float, str]] = []
    for part in header.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighed, key=lambda wish: wish[0])]
