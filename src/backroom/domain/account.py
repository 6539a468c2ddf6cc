"""Who asks: projects, users, keys, tokens, and what a role may do."""

from datetime import datetime
from enum import StrEnum, unique

import msgspec

from backroom.domain.errors import AdminOnly, ReadOnlyRole
from backroom.domain.ids import ProjectId, UserId


@unique
class Role(StrEnum):
    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # reads and submits
    ADMIN = "admin"  # and manages keys


class Project(msgspec.Struct, frozen=True, kw_only=True):
    id: ProjectId
    name: str  # the region's id for a default project


class Domain(msgspec.Struct, frozen=True):
    """What the IAM calls show above the projects; there is one."""

    id: str
    name: str


class User(msgspec.Struct, frozen=True, kw_only=True):
    """`password_hash` is scrypt's; None for a user without a password."""

    id: UserId
    name: str
    project_id: ProjectId
    role: Role
    password_hash: str | None = None

    def __repr__(self) -> str:
        return f"User({self.name!r})"


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair as used; at rest the secret is sealed.

    A temporary key has the digest of its security token and an end.
    """

    access_key: str
    secret_key: str
    project_id: ProjectId
    user_id: UserId
    user_name: str
    role: Role
    created_at: datetime
    is_generated: bool = False  # made by the first start; never good beyond loopback
    token_digest: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key!r})"


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is asked for: the project that fits all that is given, or else the domain."""

    project_id: str | None = None
    project_name: str | None = None
    domain: str | None = None  # id or name; None: the user's

    @property
    def is_project(self) -> bool:
        return self.project_id is not None or self.project_name is not None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An issued X-Auth-Token; only its SHA-256 is kept. No project: scoped to the domain."""

    digest: str
    project_id: ProjectId | None
    user_id: UserId
    user_name: str
    role: Role
    issued_at: datetime
    expires_at: datetime


class Identity(msgspec.Struct, frozen=True):
    """Who a request comes from, once proven."""

    project_id: ProjectId | None
    user_id: UserId
    user_name: str
    role: Role


def require_operator(identity: Identity) -> None:
    if identity.role is Role.VIEWER:
        raise ReadOnlyRole(identity.user_name)


def require_admin(identity: Identity) -> None:
    if identity.role is not Role.ADMIN:
        raise AdminOnly(identity.user_name)
