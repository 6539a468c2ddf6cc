"""What an emulator is filled with. These structs are the file's format, bounds included."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backroom.domain.account import Role

ProjectIdText = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
InstanceIdText = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
AGO_MOST_S = 10 * 366 * 86_400


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class SeedKey(_Strict, frozen=True, kw_only=True):
    access_key: Annotated[str, Meta(pattern=r"^[!-+\--~]{1,64}$")]
    secret_key: Annotated[str, Meta(pattern="^[ -~]{8,128}$")]
    role: Role = Role.ADMIN


class SeedTopic(_Strict, frozen=True, kw_only=True):
    name: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,249}$")]
    partitions: Annotated[int, Meta(ge=1, le=200)] = 3
    replicas: Annotated[int, Meta(ge=1, le=20)] = 3


class SeedTask(_Strict, frozen=True, kw_only=True):
    """One that has ended. It was asked for `ago_s` seconds ago and took `duration_s` of them.

    `failed_step` is the operation's last one if not said.
    """

    operation: str
    id: ProjectIdText | None = None
    state: Literal["succeeded", "failed", "cancelled"] = "succeeded"
    ago_s: Annotated[float, Meta(ge=0, le=AGO_MOST_S)] = 3_600.0
    duration_s: Annotated[float, Meta(ge=0, le=AGO_MOST_S)] = 10.0
    params: dict[str, Any] = {}
    reason: Annotated[str, Meta(max_length=1_000)] | None = None
    failed_step: str | None = None
    error_code: Annotated[str, Meta(max_length=64)] = "DMS.00500000"
    error_msg: Annotated[str, Meta(max_length=1_000)] = "It failed in the seed."


class SeedInstance(_Strict, frozen=True, kw_only=True):
    """A running one; `storage_gb` is of all brokers together."""

    name: Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_-]{3,63}$")]
    id: InstanceIdText | None = None
    description: Annotated[str, Meta(max_length=1_024)] = ""
    engine_version: str | float = "2.7"
    product_id: str = "c6.2u4g.cluster"
    broker_count: Annotated[int, Meta(ge=1, le=50)] = 3
    storage_gb: Annotated[int, Meta(ge=1, le=1_500_000)] = 300
    topics: list[SeedTopic] = []
    tasks: list[SeedTask] = []


class SeedProject(_Strict, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    id: ProjectIdText | None = None
    keys: list[SeedKey] = []
    instances: list[SeedInstance] = []


class Seed(_Strict, frozen=True, kw_only=True):
    """`keys` and `instances` at the top are those of the first project, which is always there."""

    projects: list[SeedProject] = []
    keys: list[SeedKey] = []
    instances: list[SeedInstance] = []
