"""A managed Kafka as people ask for it and see it; what its brokers are, the platform knows."""

from datetime import datetime
from enum import StrEnum, unique

import msgspec

from backroom.domain.errors import InstanceNotReady
from backroom.domain.ids import InstanceId, ProjectId, UserId


@unique
class InstanceStatus(StrEnum):
    CREATING = "CREATING"
    CREATE_FAILED = "CREATEFAILED"
    RUNNING = "RUNNING"
    ERROR = "ERROR"
    RESTARTING = "RESTARTING"
    EXTENDING = "EXTENDING"
    EXTEND_FAILED = "EXTENDEDFAILED"
    DELETING = "DELETING"


class PublicAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How clients outside reach the brokers. `addresses` has one IP per broker, in broker order."""

    address_ids: tuple[str, ...]
    addresses: tuple[str, ...]
    bandwidth_mbit_per_s: int


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    host: str
    port: int


class Instance(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """`storage_gb` is for all brokers together. `version` grows by one with each stored change."""

    id: InstanceId
    project_id: ProjectId
    name: str
    status: InstanceStatus
    user_id: UserId
    user_name: str
    created_at: datetime
    engine_version: str
    broker_count: int
    storage_gb: int
    product_id: str
    storage_spec_code: str
    vpc_id: str
    subnet_id: str
    security_group_id: str
    available_zones: tuple[str, ...]
    description: str = ""
    access_user: str | None = None
    ssl_enabled: bool = False
    security_protocol: str | None = None
    sasl_mechanisms: tuple[str, ...] = ()
    vpc_plaintext: bool = False  # asked for plaintext inside the VPC beside SASL
    retention_policy: str = "time_base"
    auto_create_topics: bool = False
    maintain_begin: str = "02:00:00"
    maintain_end: str = "06:00:00"
    enterprise_project_id: str = "0"
    tags: tuple[tuple[str, str], ...] = ()
    brokers: tuple[Broker, ...] = ()
    public_access: PublicAccess | None = None
    extend_count: int = 0
    static_configs: tuple[tuple[str, str], ...] = ()  # for the brokers' file at their next restart
    version: int = 1


class InstanceFilter(msgspec.Struct, frozen=True, kw_only=True):
    project_id: ProjectId
    name: str | None = None
    name_is_exact: bool = False
    instance_id: str | None = None
    status: str | None = None
    enterprise_project_id: str | None = None
    with_failed: bool = True


def changed(instance: Instance, **changes: object) -> Instance:
    """The next version of `instance`, for the store to compare and swap."""
    return msgspec.structs.replace(instance, version=instance.version + 1, **changes)


def require_running(instance: Instance) -> None:
    if instance.status is not InstanceStatus.RUNNING:
        raise InstanceNotReady(instance.id, instance.status)


def instance_view(instance: Instance) -> str:
    """What a task keeps of the instance before and after it, as JSON text: all but the version."""
    content = msgspec.to_builtins(instance)
    del content["version"]
    return msgspec.json.encode(content).decode()
