"""Users, their passwords and tokens, and keys: who may come in, and as whom."""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import string
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from backroom.domain.account import (
    AccessKey,
    Domain,
    Identity,
    Project,
    Role,
    Scope,
    Token,
    User,
    require_admin,
)
from backroom.domain.errors import (
    InvalidInput,
    InvalidProjectId,
    NameTaken,
    Unauthenticated,
)
from backroom.domain.ids import ProjectId, new_user_id
from backroom.ports import AccountStore, Clock

TOKEN_LIFETIME: Final = timedelta(hours=24)  # [D] api-iam iam_30_0001
TEMPORARY_KEY_LEAST_S: Final = 900  # [D] api-iam iam_04_0002: 15 minutes to 24 hours
TEMPORARY_KEY_MOST_S: Final = 86_400
LOCK_AFTER: Final = 5  # [D] devg-apisign api-sign-0001: five failures in a row
LOCK_TIME: Final = timedelta(minutes=5)  # [D] same page
LOCKED_NAMES_MOST: Final = 10_000  # some 3 MB

KEY_LOCKED: Final = "AK access failed to reach the limit,forbidden."  # [D] same page
TOKEN_REFUSED: Final = "decrypt token fail"  # noqa: S105  [D] same page
KEY_REFUSED: Final = "The access key or the secret key is wrong."  # [I]
LOGIN_REFUSED: Final = "The username or password is wrong."  # [I]
LOGIN_LOCKED: Final = "login failed to reach the limit,forbidden."  # [I] after KEY_LOCKED

SCRYPT_N: Final = 2**14  # 16 MB and some 50 ms a password
OPEN_SCRYPT_N: Final = 2  # the least, where passwords guard nothing: 50 ms of each test's start
SCRYPT_R: Final = 8
SCRYPT_P: Final = 1
HASHED_AT_ONCE: Final = 2  # passwords; more would let logins starve everything else
SALT_LENGTH: Final = 16  # bytes
HASH_LENGTH: Final = 64  # bytes

_ACCESS_KEY_FORM: Final = re.compile(r"[!-+\--~]{1,64}")  # what Authorization can carry
_SECRET_KEY_FORM: Final = re.compile(r"[ -~]{8,128}")
_PASSWORD_LENGTHS: Final = range(8, 129)
_USER_NAME_LENGTHS: Final = range(1, 65)
_KEY_ALPHABET: Final = string.ascii_uppercase + string.digits
_SECRET_ALPHABET: Final = string.ascii_letters + string.digits


class Accounts:
    """The domain is the same for everybody. `lock_after` = 0 switches locking off.

    A lock holds in this process only. Who knows an access key can lock it, as at the real gateway.
    """

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        *,
        domain_id: str,
        domain_name: str,
        lock_after: int = LOCK_AFTER,
        scrypt_n: int | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._domain = Domain(domain_id, domain_name)
        self._key_failures = _Failures(clock, lock_after)
        self._login_failures = _Failures(clock, lock_after)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)
        self._scrypt_n = SCRYPT_N if scrypt_n is None else scrypt_n
        self._no_password = _hash_text(
            secrets.token_bytes(SALT_LENGTH), secrets.token_bytes(64), self._scrypt_n
        )

    def forget_failures(self) -> None:
        self._key_failures.forget()
        self._login_failures.forget()

    def domain(self) -> Domain:
        return self._domain

    async def hash_password(self, password: str) -> str:
        """Self-describing text, different for each call."""
        async with self._hashing:
            return await asyncio.to_thread(_hash_password, password, self._scrypt_n)

    async def add_user(
        self, user_name: str, password: str, project_id: ProjectId, role: Role
    ) -> User:
        """A user who can log in. Raises InvalidInput, InvalidProjectId, NameTaken."""
        _require_user_name(user_name)
        if len(password) not in _PASSWORD_LENGTHS:
            raise InvalidInput("password", "must have 8 to 128 characters")
        await self._require_project(None, project_id)
        user = User(
            id=new_user_id(),
            name=user_name,
            project_id=project_id,
            role=role,
            password_hash=await self.hash_password(password),
        )
        await self._store.add_user(user)
        return user

    async def issue_token(
        self, user_name: str, password: str, domain: str, scope: Scope
    ) -> tuple[str, Token]:
        """The text, which is kept nowhere, and the token. `domain` is an id or a name.

        Whatever is wrong, a project that is not the user's included, the answer is the same and
        takes the same time: Unauthenticated.
        """
        is_ours = self._is_ours(domain)
        name = (is_ours, user_name)
        async with self._hashing:
            # Asked here and not before waiting: of many guesses sent at once only a few get in.
            if self._login_failures.is_locked(name):
                raise Unauthenticated(LOGIN_LOCKED)
            user = await self._store.user_named(user_name)
            stored = (user and user.password_hash) or self._no_password
            fits = await asyncio.to_thread(_is_password, password, stored)
            if user is None or not fits or not is_ours:
                user = None
            project = await self._scoped(user, scope)
            if user is None or project is None:
                self._login_failures.note(name)
                raise Unauthenticated(LOGIN_REFUSED)
            self._login_failures.reset(name)
        return await self._new_token(user, scope, self._clock.now() + TOKEN_LIFETIME)

    async def rescope_token(self, text: str, scope: Scope) -> tuple[str, Token]:
        """A token for another scope of the same user, which ends when the given one does."""
        token = await self._token(text)
        user = await self._store.user(token.user_id)
        if user is None or await self._scoped(user, scope) is None:
            raise Unauthenticated(TOKEN_REFUSED)
        return await self._new_token(user, scope, token.expires_at)

    async def issue_token_for_key(self, access_key: str, secret_key: str) -> tuple[str, Token]:
        """A token with a key's project and role, for who shows the whole pair.

        Not for a temporary key. Raises Unauthenticated, the same for a missing key as for a wrong
        secret.
        """
        if self.is_locked(access_key):
            raise Unauthenticated(KEY_LOCKED)
        key = await self._store.access_key(access_key)
        stored = secrets.token_hex() if key is None else key.secret_key
        fits = hmac.compare_digest(_digest(secret_key), _digest(stored))
        if key is None or not fits or key.token_digest is not None:
            if key is not None:
                self.note_failure(access_key)
            raise Unauthenticated(KEY_REFUSED)
        self.note_success(access_key)
        text = secrets.token_urlsafe(48)
        now = self._clock.now()
        token = Token(
            digest=_digest(text),
            project_id=key.project_id,
            user_id=key.user_id,
            user_name=key.user_name,
            role=key.role,
            issued_at=now,
            expires_at=now + TOKEN_LIFETIME,
        )
        await self._store.add_token(token)
        return text, token

    async def end_token(self, text: str) -> None:
        """From now on it is as if it had never been issued."""
        await self._store.remove_token(_digest(text))

    async def identify_token(self, text: str) -> Identity:
        """Raises Unauthenticated, the same for an unknown token as for one that has ended."""
        token = await self._token(text)
        return Identity(token.project_id, token.user_id, token.user_name, token.role)

    async def issue_temporary_key(
        self, identity: Identity, duration_s: int = TEMPORARY_KEY_LEAST_S
    ) -> tuple[AccessKey, str]:
        """A key with the identity's project and role, and its security token, kept nowhere.

        It outlives the token or key it was asked with. From a domain's token: the user's project.
        """
        if not TEMPORARY_KEY_LEAST_S <= duration_s <= TEMPORARY_KEY_MOST_S:
            raise InvalidInput(
                "duration_seconds",
                f"must be from {TEMPORARY_KEY_LEAST_S} to {TEMPORARY_KEY_MOST_S}",
            )
        project_id = await self._project_id_of(identity)
        if project_id is None:
            raise Unauthenticated(TOKEN_REFUSED)
        security_token = secrets.token_urlsafe(48)
        now = self._clock.now()
        key = AccessKey(
            access_key="".join(secrets.choice(_KEY_ALPHABET) for _ in range(20)),
            secret_key="".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40)),
            project_id=project_id,
            user_id=identity.user_id,
            user_name=identity.user_name,
            role=identity.role,
            created_at=now,
            token_digest=_digest(security_token),
            expires_at=now + timedelta(seconds=duration_s),
        )
        await self._store.add_access_key(key)
        return key, security_token

    def check_security_token(self, key: AccessKey, presented: str | None) -> None:
        """Raises Unauthenticated. An empty one counts as not presented."""
        error = self._security_token_error(key, presented or "")
        if error is not None:
            raise Unauthenticated(f"verify security token fail,ak:{key.access_key},err:{error}")

    async def projects_of(self, identity: Identity, name: str | None = None) -> list[Project]:
        """The identity's own project if it has exactly this name, or any for None."""
        project_id = await self._project_id_of(identity)
        project = None if project_id is None else await self._store.project(project_id)
        if project is None or name not in {None, project.name}:
            return []
        return [project]

    async def add_key(
        self,
        identity: Identity | None,
        access_key: str,
        secret_key: str,
        project_id: ProjectId,
        role: Role,
    ) -> AccessKey:
        """Identity None: whoever sits at the machine. The key gets a user of its own, `key-<AK>`.

        Raises InvalidInput, InvalidProjectId for a project that is missing or not the identity's,
        NameTaken.
        """
        if _ACCESS_KEY_FORM.fullmatch(access_key) is None:
            raise InvalidInput(
                "access_key", "must be 1 to 64 printable ASCII characters, no space, no comma"
            )
        if _SECRET_KEY_FORM.fullmatch(secret_key) is None:
            raise InvalidInput("secret_key", "must be 8 to 128 printable ASCII characters")
        await self._require_project(identity, project_id)
        if await self._store.access_key(access_key) is not None:
            raise NameTaken(access_key)
        user = await self._user_of_key(access_key, project_id, role)
        key = AccessKey(
            access_key=access_key,
            secret_key=secret_key,
            project_id=project_id,
            user_id=user.id,
            user_name=user.name,
            role=role,
            created_at=self._clock.now(),
        )
        await self._store.add_access_key(key)
        return key

    async def list_keys(self, identity: Identity | None) -> list[AccessKey]:
        """The keys that still hold, oldest first, their secret left out (`secret_key` is empty)."""
        project_id = await self._managed_by(identity)
        now = self._clock.now()
        keys = [
            msgspec.structs.replace(key, secret_key="")
            for key in await self._store.access_keys()
            if project_id in {None, key.project_id} and not _has_ended(key.expires_at, now)
        ]
        return sorted(keys, key=lambda key: (key.created_at, key.access_key))

    async def revoke_key(self, identity: Identity | None, access_key: str) -> bool:
        """Gone at once in all processes; False for one that is missing or another project's."""
        project_id = await self._managed_by(identity)
        key = await self._store.access_key(access_key)
        if key is None or project_id not in {None, key.project_id}:
            return False
        return await self._store.revoke_access_key(access_key)

    def is_locked(self, access_key: str) -> bool:
        """To be asked before a signature is verified: then refuse with KEY_LOCKED."""
        return self._key_failures.is_locked(access_key)

    def note_failure(self, access_key: str) -> None:
        """A wrong signature under a key that exists; others would only fill the memory."""
        self._key_failures.note(access_key)

    def note_success(self, access_key: str) -> None:
        self._key_failures.reset(access_key)

    def _is_ours(self, domain: str) -> bool:
        return domain in {self._domain.id, self._domain.name}

    async def _scoped(self, user: User | None, scope: Scope) -> Project | Domain | None:
        """What the user gets of the scope; None if it isn't theirs."""
        if user is None:
            return None
        if not scope.is_project:
            return self._domain if self._is_ours(scope.domain or self._domain.id) else None
        project = await self._store.project(user.project_id)
        if (
            project is None
            or scope.project_id not in {None, project.id}
            or scope.project_name not in {None, project.name}
        ):
            return None
        return project

    async def _new_token(self, user: User, scope: Scope, expires_at: datetime) -> tuple[str, Token]:
        text = secrets.token_urlsafe(48)
        token = Token(
            digest=_digest(text),
            project_id=user.project_id if scope.is_project else None,
            user_id=user.id,
            user_name=user.name,
            role=user.role,
            issued_at=self._clock.now(),
            expires_at=expires_at,
        )
        await self._store.add_token(token)
        return text, token

    async def _token(self, text: str) -> Token:
        token = await self._store.token(_digest(text))
        if token is None or _has_ended(token.expires_at, self._clock.now()):
            raise Unauthenticated(TOKEN_REFUSED)
        return token

    def _security_token_error(self, key: AccessKey, presented: str) -> str | None:
        if key.token_digest is None:
            return "ak is permanent and has no security token" if presented else None
        if not presented:
            return "security token is missing"
        if not hmac.compare_digest(_digest(presented), key.token_digest):
            return "security token is of another ak"
        if _has_ended(key.expires_at, self._clock.now()):
            return "security token expired"
        return None

    async def _project_id_of(self, identity: Identity) -> ProjectId | None:
        if identity.project_id is not None:
            return identity.project_id
        user = await self._store.user(identity.user_id)
        return None if user is None else user.project_id

    async def _managed_by(self, identity: Identity | None) -> ProjectId | None:
        """The project whose keys the identity manages; None: all."""
        if identity is None:
            return None
        require_admin(identity)
        project_id = await self._project_id_of(identity)
        if project_id is None:
            raise Unauthenticated(TOKEN_REFUSED)
        return project_id

    async def _require_project(self, identity: Identity | None, project_id: ProjectId) -> None:
        managed = await self._managed_by(identity)
        if managed not in {None, project_id} or await self._store.project(project_id) is None:
            raise InvalidProjectId("project_id", "no such project")

    async def _user_of_key(self, access_key: str, project_id: ProjectId, role: Role) -> User:
        name = f"key-{access_key}"
        known = await self._store.user_named(name)
        if known is None:
            known = User(id=new_user_id(), name=name, project_id=project_id, role=role)
            await self._store.add_user(known)
        elif known.project_id != project_id:
            raise NameTaken(name)
        return known


class _Streak(msgspec.Struct, frozen=True):
    failures: int
    locked_at: datetime | None


class _Failures:
    """Failures in a row by name, those of the names that failed last."""

    def __init__(self, clock: Clock, lock_after: int) -> None:
        self._clock = clock
        self._lock_after = lock_after
        # By hash, so that long names take no room; it is keyed, so nobody can aim at a collision.
        self._streaks: OrderedDict[int, _Streak] = OrderedDict()

    def forget(self) -> None:
        self._streaks.clear()

    def is_locked(self, name: Hashable) -> bool:
        streak = self._streaks.get(hash(name)) if self._streaks else None
        if streak is None or streak.locked_at is None:
            return False
        # Either way, so that a clock set back doesn't prolong a lock.
        return abs(self._clock.now() - streak.locked_at) < LOCK_TIME

    def note(self, name: Hashable) -> None:
        if self._lock_after == 0 or self.is_locked(name):
            return
        known = self._streaks.pop(hash(name), None)
        failures = 1 if known is None or known.locked_at is not None else known.failures + 1
        locked_at = self._clock.now() if failures >= self._lock_after else None
        self._streaks[hash(name)] = _Streak(failures, locked_at)
        if len(self._streaks) > LOCKED_NAMES_MOST:
            self._streaks.popitem(last=False)

    def reset(self, name: Hashable) -> None:
        if self._streaks:
            self._streaks.pop(hash(name), None)


def _has_ended(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and now >= expires_at


def _digest(secret: str) -> str:
    """Enough for what is random and long; passwords need scrypt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _hash_password(password: str, n: int) -> str:
    salt = secrets.token_bytes(SALT_LENGTH)
    return _hash_text(salt, _scrypt(password, salt, n, SCRYPT_R, SCRYPT_P), n)


def _hash_text(salt: bytes, digest: bytes, n: int) -> str:
    parts = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(("scrypt", str(n), str(SCRYPT_R), str(SCRYPT_P), *parts))


def _is_password(password: str, stored: str) -> bool:
    """Raises ValueError for a text that hash_password didn't make."""
    kind, n, r, p, salt, digest = stored.split("$")
    if kind != "scrypt":
        raise ValueError("a stored password is not scrypt's")
    computed = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(computed, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    plain = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(plain, salt=salt, n=n, r=r, p=p, dklen=HASH_LENGTH)


def _require_user_name(user_name: str) -> None:
    if len(user_name) not in _USER_NAME_LENGTHS or not user_name.isprintable():
        raise InvalidInput("user_name", "must be 1 to 64 printable characters")
