"""Who sent a request: a signature, a token, and for writes the first use of that signature."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from backroom.api.exchange import Request
from backroom.api.orders import HEADER, client_token
from backroom.domain.account import AccessKey, Identity
from backroom.domain.errors import Unauthenticated
from backroom.ports import AccountStore, Clock
from backroom.resources.accounts import KEY_LOCKED, Accounts
from backroom.service import ClientToken, Submitted
from backroom.wire.signing import (
    CLOCK_SKEW_MAX,
    Credential,
    MalformedAuthorization,
    Reason,
    Verdict,
    fingerprint,
    parse_authorization,
    verify,
)

REMEMBERED_FOR = 2 * CLOCK_SKEW_MAX + timedelta(minutes=1)  # as long as it could be accepted
READS = frozenset({"GET", "HEAD"})

SubmittedBefore = Callable[[Identity, ClientToken | None], Awaitable[Submitted | None]]


class Authentication:
    """`takes_repeats`: for tests, which do in one second what signs the same."""

    def __init__(
        self,
        accounts: Accounts,
        store: AccountStore,
        clock: Clock,
        submitted_before: SubmittedBefore,
        *,
        takes_repeats: bool = False,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._submitted_before = submitted_before
        self._takes_repeats = takes_repeats

    async def identify(self, request: Request) -> Identity:
        """Raises Unauthenticated. A token is taken before a signature, as at the gateway [I]."""
        token = request.header(b"x-auth-token")
        if token:
            return await self._accounts.identify_token(token.decode("latin-1"))
        authorization = request.header(b"authorization")
        if authorization is None:
            raise Unauthenticated("no X-Auth-Token and no Authorization header")
        try:
            credential = parse_authorization(authorization)
        except MalformedAuthorization as malformed:
            raise Unauthenticated(str(malformed)) from None
        key = await self._store.access_key(credential.access_key)
        if key is None:
            raise Unauthenticated(
                f"Get secretKey failed,ak:{credential.access_key},err:ak not exist"
            )
        self._check_signature(request, credential, key)
        return _identity(key)

    async def is_still_welcome(self, request: Request) -> bool:
        """Whether a request that was let in, and is still being answered, may go on being.

        Its key or token must be good for the same; its signature was good when it came.
        """
        token = request.header(b"x-auth-token")
        if not token:
            return await self._holds(request)
        try:
            return await self._accounts.identify_token(token.decode("latin-1")) == request.who
        except Unauthenticated:
            return False

    async def _holds(self, request: Request) -> bool:
        credential = parse_authorization(request.header(b"authorization") or b"")
        key = await self._store.access_key(credential.access_key)
        if key is None or (key.expires_at is not None and key.expires_at <= self._clock.now()):
            return False
        return _identity(key) == request.who

    def _check_signature(self, request: Request, credential: Credential, key: AccessKey) -> None:
        if self._accounts.is_locked(key.access_key):
            raise Unauthenticated(KEY_LOCKED)
        verdict = verify(request, credential, key.secret_key, self._clock.now())
        if not verdict.accepted:
            if verdict.reason is Reason.MISMATCH:
                self._accounts.note_failure(key.access_key)
            raise Unauthenticated(_refusal(verdict))
        self._accounts.note_success(key.access_key)
        security_token = request.header(b"x-security-token")
        if security_token is not None or key.token_digest is not None:
            presented = None if security_token is None else security_token.decode("latin-1")
            self._accounts.check_security_token(key, presented)

    async def use_once(self, request: Request, *, takes_client_token: bool) -> bytes | None:
        """For a signed write: take its signature, or raise Unauthenticated if it was used before.

        Returns what to give to `release` if the request is refused after all. A repetition with a
        client token may pass, because it changes nothing: where the token is signed, too, or has
        been answered before. Else whoever saw a request could repeat it with a token of his own.
        """
        if request.method in READS or self._takes_repeats:
            return None
        authorization = request.header(b"authorization")
        if authorization is None or request.header(b"x-auth-token"):
            return None
        token = client_token(request) if takes_client_token else None
        credential = parse_authorization(authorization)
        if token is not None and HEADER.decode() in credential.signed_headers:
            return None
        now = self._clock.now()
        digest = fingerprint(credential)
        if await self._store.use_signature(digest, now, now + REMEMBERED_FOR):
            return digest
        if token is None or await self._submitted_before(request.who, token) is None:
            raise Unauthenticated("this signed request was already used: sign it again")
        return None

    async def release(self, digest: bytes) -> None:
        await self._store.forget_signature(digest)


def _identity(key: AccessKey) -> Identity:
    return Identity(key.project_id, key.user_id, key.user_name, key.role)


def shows_any(request: Request) -> bool:
    """Whether the request claims to come from somebody."""
    return bool(request.header(b"x-auth-token") or request.header(b"authorization"))


def _refusal(verdict: Verdict) -> str:
    """In the gateway's words, with what the server would have signed [D]."""
    if verdict.reason is Reason.EXPIRED:
        return "calc ak sk signature fail:signature expired"
    if verdict.reason is Reason.MISMATCH:
        canonical = verdict.canonical_request.replace("\n", "|")
        return f"verify aksk signature fail, canonicalRequest:{canonical}"
    return f"verify aksk signature fail, {verdict.reason}"
