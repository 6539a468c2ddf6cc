"""Who is signed in: a sealed cookie around a token that the accounts keep."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from backroom.console.attempts import AddressAttempts
from backroom.console.surroundings import Surroundings
from backroom.domain.account import Identity, Role, Scope
from backroom.domain.errors import StoreUnavailable, Unauthenticated
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.resources.accounts import KEY_REFUSED, LOGIN_LOCKED

COOKIE: Final = "backroom_session"
LIFETIME: Final = timedelta(hours=12)
COOKIE_MOST: Final = 2_000  # characters

_NOBODYS_PROJECT: Final = "-"


class _Sealed(msgspec.Struct, frozen=True):
    """`access_key` is the one it was signed in with: once that is revoked, the session is over.

    So it is for one of the same name that was added later, at another time than `key_made_at`.
    """

    token: str
    access_key: str | None
    key_made_at: str
    until: str


class Session(msgspec.Struct, frozen=True):
    identity: Identity
    project_id: ProjectId
    csrf: str

    @property
    def may_change(self) -> bool:
        return self.identity.role is not Role.VIEWER


class Sessions:
    def __init__(self, around: Surroundings) -> None:
        self._accounts = around.accounts
        self._store = around.account_store
        self._vault = around.vault
        self._clock = around.real_clock
        self._attempts = AddressAttempts(around.real_clock)

    async def begin_with_key(self, access_key: str, secret_key: str, address: str) -> str:
        """As below, with a key pair; the same for a missing key as for a wrong one."""
        with self._attempt(address):
            text, _ = await self._accounts.issue_token_for_key(access_key, secret_key)
            key = await self._store.access_key(access_key)
            if key is None:
                raise Unauthenticated(KEY_REFUSED)
            return self._sealed(text, access_key, stamp(key.created_at))

    async def begin_with_password(self, user_name: str, password: str, address: str) -> str:
        """The cookie's text. Raises Unauthenticated."""
        with self._attempt(address):
            return await self._begun(user_name, password)

    async def _begun(self, user_name: str, password: str) -> str:
        user = await self._store.user_named(user_name)
        scope = Scope(project_id=_NOBODYS_PROJECT if user is None else user.project_id)
        domain = self._accounts.domain().id
        text, _ = await self._accounts.issue_token(user_name, password, domain, scope)
        return self._sealed(text, None)

    async def current(self, cookie: str | None) -> Session | None:
        sealed = self._unsealed(cookie)
        if sealed is None:
            return None
        try:
            identity = await self._accounts.identify_token(sealed.token)
        except Unauthenticated:
            return None
        if sealed.access_key is not None:
            key = await self._store.access_key(sealed.access_key)
            if key is None or stamp(key.created_at) != sealed.key_made_at:
                return None
        if identity.project_id is None:
            return None
        return Session(identity, identity.project_id, _csrf(sealed.token))

    async def end(self, cookie: str | None) -> None:
        sealed = self._unsealed(cookie)
        if sealed is not None:
            await self._accounts.end_token(sealed.token)

    @contextmanager
    def _attempt(self, address: str) -> Iterator[None]:
        """A failure until it has succeeded: many at once are not more than one after the other."""
        if self._attempts.is_locked(address):
            raise Unauthenticated(LOGIN_LOCKED)
        self._attempts.note(address)
        try:
            yield
        except Unauthenticated:
            raise
        except BaseException:
            self._attempts.take_back(address)
            raise
        self._attempts.take_back(address)

    def _sealed(self, token: str, access_key: str | None, key_made_at: str = "") -> str:
        until = stamp(self._clock.now() + LIFETIME)
        plain = msgspec.json.encode(_Sealed(token, access_key, key_made_at, until))
        return self._vault.seal(plain).decode("ascii")

    def _unsealed(self, cookie: str | None) -> _Sealed | None:
        """None for one that is forged, cut or over."""
        if not cookie or len(cookie) > COOKIE_MOST or not cookie.isascii():
            return None
        try:
            plain = self._vault.unseal(cookie.encode())
            sealed = msgspec.json.decode(plain, type=_Sealed)
        except (StoreUnavailable, msgspec.DecodeError):
            return None
        return sealed if datetime.fromisoformat(sealed.until) > self._clock.now() else None


def is_csrf(given: str, wanted: str) -> bool:
    return compare_digest(given.encode(), wanted.encode())


def _csrf(token: str) -> str:
    """A value that only who can read the pages of this session knows."""
    return sha256(b"csrf:" + token.encode()).hexdigest()[:40]
