"""Coming in and going out, and what a person prefers."""

import secrets
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from backroom.console.rendering import rendered
from backroom.console.sessions import COOKIE, LIFETIME, Sessions, is_csrf
from backroom.console.surroundings import Surroundings
from backroom.console.texts import LANGUAGES
from backroom.console.visits import (
    LANGUAGE_COOKIE,
    SIGN_IN,
    THEME_COOKIE,
    THEMES,
    NotFromHere,
    Visit,
    led_to,
    local,
    read_form,
    shared,
    text_of,
)
from backroom.domain.errors import Unauthenticated
from backroom.resources.accounts import KEY_LOCKED, LOGIN_LOCKED

ENTRY_COOKIE: Final = "backroom_entry"  # what the form must say, too, before there is a session
YEAR_S: Final = 365 * 86_400
WAYS: Final = ("key", "password")
NAME_MOST: Final = 256  # characters
SECRET_MOST: Final = 1_024


class SignInPages:
    def __init__(self, around: Surroundings, sessions: Sessions) -> None:
        self._texts = around.error_texts
        self._sessions = sessions

    async def show(self, request: Request) -> Response:
        way = request.query_params.get("with", WAYS[0])
        back = local(request.query_params.get("back", ""))
        if await self._sessions.current(request.cookies.get(COOKIE)) is not None:
            return RedirectResponse(back, 303)
        return self._form(request, way, back)

    async def sign_in(self, request: Request) -> Response:
        form = await read_form(request)
        values = dict(form)
        _require_entry(request, values)
        back, way = local(values.get("back", "")), values.get("with", WAYS[0])
        name, secret = values.get("name", ""), values.get("secret", "")
        address = "" if request.client is None else request.client.host
        try:
            if not name or len(name) > NAME_MOST or len(secret) > SECRET_MOST or "\0" in name:
                raise Unauthenticated("no name")  # noqa: TRY301  the same answer as for a wrong one
            cookie = await self._begun(way, name, secret, address)
        except Unauthenticated as error:
            return self._refused(request, error, way, back)
        response = RedirectResponse(back, 303)
        _set(response, request, COOKIE, cookie, int(LIFETIME.total_seconds()))
        response.delete_cookie(ENTRY_COOKIE, path="/console")
        return response

    async def _begun(self, way: str, name: str, secret: str, address: str) -> str:
        if way == WAYS[0]:
            return await self._sessions.begin_with_key(name, secret, address)
        return await self._sessions.begin_with_password(name, secret, address)

    async def sign_out(self, visit: Visit) -> Response:
        await self._sessions.end(visit.request.cookies.get(COOKIE))
        response = led_to(visit, SIGN_IN)
        response.delete_cookie(COOKIE, path="/console")
        return response

    async def prefer(self, request: Request) -> Response:
        """Language or look; nothing of this is a secret, but no other site may change it."""
        form = await read_form(request)
        values = dict(form)
        session = await self._sessions.current(request.cookies.get(COOKIE))
        if session is None:
            _require_entry(request, values)
        elif not is_csrf(values.get("csrf", ""), session.csrf):
            raise NotFromHere
        response = RedirectResponse(local(values.get("back", "")), 303)
        for name, cookie, known in (
            ("language", LANGUAGE_COOKIE, LANGUAGES), ("theme", THEME_COOKIE, THEMES),
        ):  # fmt: skip
            if values.get(name) in known:
                _set(response, request, cookie, values[name], YEAR_S)
        return response

    def _form(
        self, request: Request, way: str, back: str, problem: str = "", status: int = 200
    ) -> Response:
        entry = request.cookies.get(ENTRY_COOKIE, "")
        is_new = not (entry.isalnum() and entry.isascii() and len(entry) == 40)  # noqa: PLR2004
        if is_new:
            entry = secrets.token_hex(20)
        context = {
            **shared(request, text_of(request), None),
            "csrf": entry,
            "way": way if way in WAYS else WAYS[0],
            "back": back,
            "problem": problem,
        }
        response = rendered("sign_in.html", context, status)
        if is_new:
            _set(response, request, ENTRY_COOKIE, entry, None)
        return response

    def _refused(self, request: Request, error: Unauthenticated, way: str, back: str) -> Response:
        """With the official code and, once locked, the official words."""
        t = text_of(request)
        code, words = self._texts(error, in_chinese=t.language == "zh")
        is_locked = error.detail in (KEY_LOCKED, LOGIN_LOCKED)
        text = t("sign_in_locked") if is_locked else t("sign_in_wrong")
        shown = f"{text} {code}: {words}" if is_locked else f"{text} ({code})"
        return self._form(request, way, back, shown, 429 if is_locked else 401)


def _require_entry(request: Request, values: dict[str, str]) -> None:
    """Raises NotFromHere for a form that another site had the browser send."""
    entry = request.cookies.get(ENTRY_COOKIE, "")
    if not entry or not _is_from_here(request) or not is_csrf(values.get("csrf", ""), entry):
        raise NotFromHere


def _is_from_here(request: Request) -> bool:
    """What a browser says of where the form is from; programs say nothing."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    _, _, host = origin.partition("://")
    return host == request.headers.get("host")


def _set(response: Response, request: Request, name: str, value: str, age_s: int | None) -> None:
    response.set_cookie(
        name,
        value,
        max_age=age_s,
        path="/console",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
