"""The IAM calls that clients of the Kafka API make: requests to values, values to answers.

Shapes and their sources: docs/wire/iam.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from backroom.domain.account import AccessKey, Domain, Project, Scope, Token
from backroom.domain.errors import InvalidInput
from backroom.wire.queries import whole_number

TEXT_LENGTH_MAX: Final = 255  # characters of a name or id [I]
SECRET_LENGTH_MAX: Final = (
    16_384  # characters; the cloud's own tokens, though unknown here, fit [I]
)
DURATION_DIGITS_MAX: Final = 10
PAGE_SIZE_MAX: Final = 5000  # [D] api-iam iam_06_0001
DEFAULT_DURATION_S: Final = 900  # [D] api-iam iam_04_0002


class Reference(msgspec.Struct, frozen=True):
    id: str | None = None
    name: str | None = None


class UserPart(msgspec.Struct, frozen=True):
    name: str | None = None
    password: str | None = None
    domain: Reference | None = None

    def __repr__(self) -> str:
        return f"UserPart({self.name!r})"


class PasswordPart(msgspec.Struct, frozen=True):
    user: UserPart | None = None


class TokenPart(msgspec.Struct, frozen=True):
    id: str | None = None
    duration_seconds: int | str | None = None  # [O] a number in the SDKs, [D] a text in an example

    def __repr__(self) -> str:
        return "TokenPart()"


class IdentityPart(msgspec.Struct, frozen=True):
    methods: tuple[str, ...] = ()
    password: PasswordPart | None = None
    token: TokenPart | None = None


class ScopePart(msgspec.Struct, frozen=True):
    project: Reference | None = None
    domain: Reference | None = None


class AuthPart(msgspec.Struct, frozen=True):
    identity: IdentityPart | None = None
    scope: ScopePart | None = None


class AuthBody(msgspec.Struct, frozen=True):
    """Of both POST /v3/auth/tokens and POST /v3.0/OS-CREDENTIAL/securitytokens."""

    auth: AuthPart | None = None


class PasswordLogin(msgspec.Struct, frozen=True):
    user_name: str
    password: str
    domain: str  # id or name
    scope: Scope

    def __repr__(self) -> str:
        return f"PasswordLogin({self.user_name!r})"


class TokenLogin(msgspec.Struct, frozen=True):
    token: str
    scope: Scope

    def __repr__(self) -> str:
        return "TokenLogin()"


class TemporaryKeyRequest(msgspec.Struct, frozen=True):
    """`token` is whom the key is for if the request's headers don't say."""

    duration_s: int
    token: str | None

    def __repr__(self) -> str:
        return f"TemporaryKeyRequest({self.duration_s})"


class ProjectQuery(msgspec.Struct, frozen=True):
    name: str | None
    parent_id: str | None  # a project's parent is its domain
    domain_id: str | None
    page: int
    page_size: int


class Named(msgspec.Struct, frozen=True):
    id: str
    name: str


class Owned(msgspec.Struct, frozen=True):
    id: str
    name: str
    domain: Named


class TokenUser(msgspec.Struct, frozen=True):
    id: str
    name: str
    domain: Named
    password_expires_at: str = ""  # [D] empty: never


class TokenBody(msgspec.Struct, frozen=True, kw_only=True):
    """Either `project` or `domain`, by the scope."""

    expires_at: str
    issued_at: str
    methods: tuple[str, ...]
    user: TokenUser
    roles: tuple[Named, ...]
    catalog: tuple[Named, ...] = ()
    project: Owned | msgspec.UnsetType = msgspec.UNSET
    domain: Named | msgspec.UnsetType = msgspec.UNSET


class TokenAnswer(msgspec.Struct, frozen=True):
    token: TokenBody


class Links(msgspec.Struct, frozen=True):
    """Empty: where the client reached us is not known here [I]."""


class ProjectItem(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    domain_id: str
    parent_id: str
    enabled: bool = True
    is_domain: bool = False
    description: str = ""
    links: Links = Links()


class ProjectsAnswer(msgspec.Struct, frozen=True):
    projects: tuple[ProjectItem, ...]
    links: Links = Links()


class DomainItem(msgspec.Struct, frozen=True):
    id: str
    name: str
    enabled: bool = True
    description: str = ""
    links: Links = Links()


class DomainsAnswer(msgspec.Struct, frozen=True):
    domains: tuple[DomainItem, ...]
    links: Links = Links()


class Locales(msgspec.Struct, frozen=True, rename="kebab"):
    zh_cn: str
    en_us: str


class RegionItem(msgspec.Struct, frozen=True):
    id: str
    locales: Locales
    type: str = "public"  # [O] the Node and PHP SDKs take only these
    description: str = ""
    parent_region_id: str | None = None
    links: Links = Links()


class RegionsAnswer(msgspec.Struct, frozen=True):
    regions: tuple[RegionItem, ...]
    links: Links = Links()


class CredentialBody(msgspec.Struct, frozen=True):
    access: str
    secret: str
    securitytoken: str
    expires_at: str

    def __repr__(self) -> str:
        return f"CredentialBody({self.access!r})"


class CredentialAnswer(msgspec.Struct, frozen=True):
    credential: CredentialBody


def decode_login(body: AuthBody) -> PasswordLogin | TokenLogin:
    """Raises InvalidInput that names the part; never quotes a value."""
    auth, identity = _identity(body)
    scope = _scope(auth.scope)
    match identity.methods:
        case ["password"]:
            return _password_login(identity, scope)
        case ["token"]:
            part = identity.token or TokenPart()
            return TokenLogin(_secret(part.id, "auth.identity.token.id"), scope)
        case _:
            raise InvalidInput("auth.identity.methods", 'must be ["password"] or ["token"]')


def decode_temporary_key(body: AuthBody) -> TemporaryKeyRequest:
    """Raises InvalidInput. A policy is not looked at: it is for another service only [D]."""
    _, identity = _identity(body)
    if identity.methods != ("token",):
        raise InvalidInput("auth.identity.methods", 'must be ["token"]')
    part = identity.token or TokenPart()
    token = None if not part.id else _secret(part.id, "auth.identity.token.id")
    return TemporaryKeyRequest(_duration_s(part.duration_seconds), token)


def decode_project_query(query: Mapping[str, str]) -> ProjectQuery:
    """Raises InvalidInput."""
    return ProjectQuery(
        name=query.get("name"),
        parent_id=query.get("parent_id"),
        domain_id=query.get("domain_id"),
        page=whole_number(query, "page", 1, least=1),
        page_size=whole_number(query, "per_page", PAGE_SIZE_MAX, least=1, most=PAGE_SIZE_MAX),
    )


def encode_time(moment: datetime) -> str:
    """`2020-01-04T09:05:22.701000Z`: UTC, six digits [D: the example; O: the SDK's strptime]."""
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def encode_token(token: Token, method: str, domain: Domain, project: Project | None) -> TokenAnswer:
    owner = Named(domain.id, domain.name)
    return TokenAnswer(
        TokenBody(
            expires_at=encode_time(token.expires_at),
            issued_at=encode_time(token.issued_at),
            methods=(method,),
            user=TokenUser(token.user_id, token.user_name, owner),
            roles=(Named("0", token.role),),
            project=msgspec.UNSET if project is None else Owned(project.id, project.name, owner),
            domain=owner if project is None else msgspec.UNSET,
        )
    )


def encode_projects(
    projects: Sequence[Project], domain: Domain, query: ProjectQuery
) -> ProjectsAnswer:
    """The page of the projects that the query asks for; the names are filtered already."""
    if {query.parent_id, query.domain_id} - {None, domain.id}:
        return ProjectsAnswer(())
    start = (query.page - 1) * query.page_size
    return ProjectsAnswer(
        tuple(
            ProjectItem(id=project.id, name=project.name, domain_id=domain.id, parent_id=domain.id)
            for project in projects[start : start + query.page_size]
        )
    )


def encode_domains(domain: Domain) -> DomainsAnswer:
    return DomainsAnswer((DomainItem(domain.id, domain.name),))


def encode_regions(regions: Sequence[str]) -> RegionsAnswer:
    return RegionsAnswer(tuple(RegionItem(region, Locales(region, region)) for region in regions))


def encode_credential(key: AccessKey, security_token: str) -> CredentialAnswer:
    if key.expires_at is None:
        raise ValueError(f"{key.access_key} is not temporary")
    expires_at = encode_time(key.expires_at)
    return CredentialAnswer(
        CredentialBody(key.access_key, key.secret_key, security_token, expires_at)
    )


def _identity(body: AuthBody) -> tuple[AuthPart, IdentityPart]:
    if body.auth is None:
        raise InvalidInput("auth", "is missing")
    if body.auth.identity is None:
        raise InvalidInput("auth.identity", "is missing")
    return body.auth, body.auth.identity


def _password_login(identity: IdentityPart, scope: Scope) -> PasswordLogin:
    where = "auth.identity.password.user"
    user = None if identity.password is None else identity.password.user
    if user is None:
        raise InvalidInput(where, "is missing")
    domain = user.domain or Reference()
    return PasswordLogin(
        user_name=_text(user.name, f"{where}.name"),
        password=_secret(user.password, f"{where}.password"),
        domain=_text(domain.id or domain.name, f"{where}.domain"),
        scope=scope,
    )


def _scope(part: ScopePart | None) -> Scope:
    """With a project and a domain the project counts, with neither it is the domain [I]."""
    if part is None:
        return Scope()
    if part.project is not None:
        _text(part.project.id or part.project.name, "auth.scope.project")
        return Scope(
            project_id=_optional_text(part.project.id, "auth.scope.project.id"),
            project_name=_optional_text(part.project.name, "auth.scope.project.name"),
        )
    if part.domain is not None:
        return Scope(domain=_text(part.domain.id or part.domain.name, "auth.scope.domain"))
    return Scope()


def _duration_s(value: int | str | None) -> int:
    if value is None:
        return DEFAULT_DURATION_S
    text = str(value) if isinstance(value, str) or abs(value) < 10**DURATION_DIGITS_MAX else ""
    if not (text.isascii() and text.isdigit() and len(text) <= DURATION_DIGITS_MAX):
        raise InvalidInput("duration_seconds", "must be a whole number of seconds")
    return int(text)


def _optional_text(value: str | None, parameter: str) -> str | None:
    return _text(value, parameter) if value else None


def _text(value: str | None, parameter: str) -> str:
    if not value:
        raise InvalidInput(parameter, "is missing")
    if len(value) > TEXT_LENGTH_MAX or not value.isprintable():
        raise InvalidInput(parameter, f"must be 1 to {TEXT_LENGTH_MAX} printable characters")
    return value


def _secret(value: str | None, parameter: str) -> str:
    if not value:
        raise InvalidInput(parameter, "is missing")
    if len(value) > SECRET_LENGTH_MAX:
        raise InvalidInput(parameter, f"must be at most {SECRET_LENGTH_MAX} characters")
    return value
