"""Asking for a new instance: the body, what of it is refused, and the answer.

Where each field and rule comes from, and how sure it is: docs/wire/instances.md.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from backroom.domain.account import Identity
from backroom.domain.errors import (
    InvalidAccessUser,
    InvalidDescription,
    InvalidInput,
    InvalidMaintenanceWindow,
    InvalidName,
    InvalidPassword,
    InvalidProjectId,
    InvalidPublicAccess,
    InvalidStorage,
    ProductNotFound,
    UnsupportedEngine,
    UnsupportedVersion,
)
from backroom.domain.ids import InstanceId
from backroom.domain.instance import Instance, InstanceStatus
from backroom.operations.create_instance import CreateInstance
from backroom.wire.flavors import FLAVORS, flavor_of
from backroom.wire.instances import ENGINE, SASL_SSL

ENGINE_VERSIONS: Final = ("1.1.0", "2.3.0", "2.7", "3.x")  # [D]
SASL_PROTOCOLS: Final = (SASL_SSL, "SASL_PLAINTEXT")  # [D]
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-512")  # [D]
RETENTION_POLICIES: Final = ("time_base", "produce_reject")  # [D]
STORAGE_SPEC_CODES: Final = tuple(
    f"dms.physical.storage.{kind}"
    for kind in (
        "high.v2", "ultra.v2", "general", "extreme",  # [D] SDK
        "normal", "high", "ultra",  # [D] older pages
    )
)  # fmt: skip

NAME_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{3,63}")  # [D]
CLOCK_FORM: Final = re.compile(r"([01][0-9]|2[0-3]):00(?::00)?")  # [D] HH:mm; [O] HH:mm:ss
DESCRIPTION_LENGTH_MAX: Final = 1024  # [D]
TEXT_LENGTH_MAX: Final = 64  # [I] for ids of other services
PASSWORD_LENGTHS: Final = range(8, 33)  # [D]
PASSWORD_KINDS_MIN: Final = 3  # [D] of the four below; the error's older text says two
PASSWORD_KINDS: Final = (
    string.ascii_lowercase, string.ascii_uppercase, string.digits,
    "`~!@#$%^&*()-_=+\\|[{}];:'\",<.>/? ",  # [D] the semicolon only in the user guide
)  # fmt: skip
STORAGE_STEP_GB: Final = 100  # [D]
STORAGE_PER_BROKER_MIN_GB: Final = 100  # [D] 300 for 3 brokers, 100 for a single one
ZONES_FOR_MANY: Final = 3  # [D] one zone, or three and more; never two
WINDOW_STARTS_H: Final = (22, 2, 6, 10, 14, 18)  # [D] v1 page
WINDOW_LENGTH_H: Final = 4  # [D] v1 page
WINDOW_DEFAULT: Final = ("02:00:00", "06:00:00")  # [D] v1 page
TAGS_MAX: Final = 20  # [D] user guide
TAG_KEY_LENGTH_MAX: Final = 128  # [D]
TAG_VALUE_LENGTH_MAX: Final = 255  # [D]
TAG_PUNCTUATION: Final = frozenset(" _.:=+-@")  # [D]


class PortProtocolAsked(msgspec.Struct, frozen=True, kw_only=True):
    private_plain_enable: bool | None = None
    private_sasl_ssl_enable: bool | None = None
    private_sasl_plaintext_enable: bool | None = None
    public_plain_enable: bool | None = None
    public_sasl_ssl_enable: bool | None = None
    public_sasl_plaintext_enable: bool | None = None


class TagAsked(msgspec.Struct, frozen=True, kw_only=True):
    key: str | None = None
    value: str | None = None


class BillingAsked(msgspec.Struct, frozen=True, kw_only=True):
    charging_mode: str | None = None


class CreateBody(msgspec.Struct, frozen=True, kw_only=True):
    """CreateInstanceByEngineReq as it comes in; nothing is checked but JSON types."""

    name: str | None = None
    description: str | None = None
    engine: str | None = None
    engine_version: str | int | float | None = None  # [D] "Getting Started" sends the number 2.7
    broker_num: int | None = None
    storage_space: int | None = None
    access_user: str | None = None
    password: str | None = None
    vpc_id: str | None = None
    security_group_id: str | None = None
    subnet_id: str | None = None
    available_zones: list[str] | None = None
    product_id: str | None = None
    maintain_begin: str | None = None
    maintain_end: str | None = None
    enable_publicip: bool | None = None
    tenant_ips: list[str] | None = None
    publicip_id: str | None = None
    ssl_enable: bool | None = None
    kafka_security_protocol: str | None = None
    sasl_enabled_mechanisms: list[str] | None = None
    port_protocol: PortProtocolAsked | None = None
    retention_policy: str | None = None
    ipv6_enable: bool | None = None
    disk_encrypted_enable: bool | None = None
    disk_encrypted_key: str | None = None
    connector_enable: bool | None = None
    enable_auto_topic: bool | None = None
    storage_spec_code: str | None = None
    enterprise_project_id: str | None = None
    tags: list[TagAsked] | None = None
    arch_type: str | None = None
    vpc_client_plain: bool | None = None
    bss_param: BillingAsked | None = None

    def __repr__(self) -> str:
        return f"CreateBody({self.name!r})"  # the password stays out of logs and traces


class CreatedBody(msgspec.Struct, frozen=True):
    instance_id: str


def decode_create(
    body: CreateBody, identity: Identity, instance_id: InstanceId, now: datetime
) -> tuple[Instance, CreateInstance, dict[str, Any]]:
    """The new instance, what the operation needs, and what anybody may see of that."""
    if identity.project_id is None:
        raise InvalidProjectId("project_id", "the identity must be of a project")
    _refuse_unmodelled(body)
    if body.engine != ENGINE:
        raise UnsupportedEngine("engine", f"must be {ENGINE}")
    product_id, brokers, storage_gb = _size(body)
    access = _access(body)
    begin, end = _maintenance_window(body.maintain_begin, body.maintain_end)
    instance = Instance(
        id=instance_id,
        project_id=identity.project_id,
        name=_name(body.name),
        status=InstanceStatus.CREATING,
        user_id=identity.user_id,
        user_name=identity.user_name,
        created_at=now,
        engine_version=_engine_version(body.engine_version),
        broker_count=brokers,
        storage_gb=storage_gb,
        product_id=product_id,
        storage_spec_code=_one_of(
            "storage_spec_code", _text("storage_spec_code", body.storage_spec_code),
            STORAGE_SPEC_CODES,
        ),
        vpc_id=_text("vpc_id", body.vpc_id),
        subnet_id=_text("subnet_id", body.subnet_id),
        security_group_id=_text("security_group_id", body.security_group_id),
        available_zones=_zones(body.available_zones),
        description=_description(body.description),
        access_user=access.user,
        ssl_enabled=access.user is not None,
        security_protocol=access.protocol,
        sasl_mechanisms=access.mechanisms,
        vpc_plaintext=access.vpc_plaintext,
        retention_policy=_one_of(
            "retention_policy", body.retention_policy or RETENTION_POLICIES[0], RETENTION_POLICIES
        ),
        auto_create_topics=bool(body.enable_auto_topic),
        maintain_begin=begin,
        maintain_end=end,
        enterprise_project_id=_text("enterprise_project_id", body.enterprise_project_id or "0"),
        tags=_tags(body.tags or ()),
    )  # fmt: skip
    params = CreateInstance(
        broker_count=brokers,
        storage_gb=storage_gb,
        engine_version=instance.engine_version,
        product_id=product_id,
        access_user=access.user,
        password=access.password,
    )
    return instance, params, _public_params(instance)


def _refuse_unmodelled(body: CreateBody) -> None:
    """What would be shown as granted without being there is refused, not ignored [I]."""
    if body.enable_publicip:
        raise InvalidPublicAccess(
            "enable_publicip", "bind public addresses once the instance is RUNNING"
        )
    asked = {
        "ipv6_enable": body.ipv6_enable,
        "disk_encrypted_enable": body.disk_encrypted_enable,
        "connector_enable": body.connector_enable,
        "tenant_ips": body.tenant_ips,
    }
    for parameter, value in asked.items():
        if value:
            raise InvalidInput(parameter, "is not available here; leave it out")
    if body.bss_param is not None and body.bss_param.charging_mode not in (None, "", "postPaid"):
        raise InvalidInput("bss_param.charging_mode", "must be postPaid")
    if body.arch_type is not None:
        _one_of("arch_type", body.arch_type.upper(), ("X86", "ARM"))


def _name(name: str | None) -> str:
    if name is None or NAME_FORM.fullmatch(name) is None:
        raise InvalidName(
            "name", "must be 4 to 64 letters, digits, underscores and hyphens, a letter first"
        )
    return name


def _description(text: str | None) -> str:
    if text is not None and len(text) > DESCRIPTION_LENGTH_MAX:
        raise InvalidDescription(
            "description", f"may have at most {DESCRIPTION_LENGTH_MAX} characters"
        )
    return text or ""


def _engine_version(version: str | float | None) -> str:
    text = str(version)
    if text not in ENGINE_VERSIONS:
        raise UnsupportedVersion("engine_version", f"must be one of {', '.join(ENGINE_VERSIONS)}")
    return text


def _size(body: CreateBody) -> tuple[str, int, int]:
    """Product, brokers and gigabytes, which bound each other."""
    product_id = _text("product_id", body.product_id)
    flavor = flavor_of(product_id)
    if flavor is None:
        raise ProductNotFound(
            "product_id", f"must be a family such as c6, a dot, and one of {', '.join(FLAVORS)}"
        )
    brokers = body.broker_num
    if brokers is None or not flavor.brokers_min <= brokers <= flavor.brokers_max:
        raise InvalidInput(
            "broker_num",
            f"must be from {flavor.brokers_min} to {flavor.brokers_max} for {product_id}",
        )
    least = STORAGE_PER_BROKER_MIN_GB * brokers
    most = flavor.storage_per_broker_max_gb * brokers
    space = body.storage_space
    if space is None or space % STORAGE_STEP_GB or not least <= space <= most:
        raise InvalidStorage(
            "storage_space",
            f"must be a multiple of {STORAGE_STEP_GB} from {least} to {most} GB"
            f" for {brokers} brokers of {product_id}",
        )
    return product_id, brokers, space


class _Access(msgspec.Struct, frozen=True, kw_only=True):
    """How clients inside come in; no user means without SASL."""

    user: str | None = None
    password: str | None = None
    protocol: str | None = None
    mechanisms: tuple[str, ...] = ()
    vpc_plaintext: bool = False


def _access(body: CreateBody) -> _Access:
    ports = _as_ports(body) if body.port_protocol is None else _checked(body.port_protocol)
    protocol = _sasl_protocol(ports)
    if protocol is None:
        return _Access(vpc_plaintext=bool(body.vpc_client_plain))
    user = _access_user(body.access_user)
    return _Access(
        user=user,
        password=_password(body.password, user),
        protocol=protocol,
        mechanisms=_mechanisms(body.sasl_enabled_mechanisms or SASL_MECHANISMS[:1]),
        vpc_plaintext=bool(ports.private_plain_enable),
    )


def _as_ports(body: CreateBody) -> PortProtocolAsked:
    """The older switches said with the newer ones."""
    if not body.ssl_enable:
        return PortProtocolAsked(private_plain_enable=True)
    protocol = _one_of(
        "kafka_security_protocol", body.kafka_security_protocol or SASL_SSL, SASL_PROTOCOLS
    )
    return PortProtocolAsked(
        private_plain_enable=bool(body.vpc_client_plain),
        private_sasl_ssl_enable=protocol == SASL_SSL,
        private_sasl_plaintext_enable=protocol != SASL_SSL,
    )


def _checked(ports: PortProtocolAsked) -> PortProtocolAsked:
    if _has_public(ports):
        raise InvalidPublicAccess("port_protocol", "public access must be on first")
    if ports.private_sasl_ssl_enable and ports.private_sasl_plaintext_enable:
        raise InvalidInput("port_protocol", "may have one private SASL protocol only")
    if not ports.private_plain_enable and _sasl_protocol(ports) is None:
        raise InvalidInput("port_protocol", "must have a private protocol")
    return ports


def _has_public(ports: PortProtocolAsked) -> bool:
    return bool(
        ports.public_plain_enable
        or ports.public_sasl_ssl_enable
        or ports.public_sasl_plaintext_enable
    )


def _sasl_protocol(ports: PortProtocolAsked) -> str | None:
    if ports.private_sasl_ssl_enable:
        return SASL_SSL
    return "SASL_PLAINTEXT" if ports.private_sasl_plaintext_enable else None


def _access_user(user: str | None) -> str:
    if user is None or NAME_FORM.fullmatch(user) is None:
        raise InvalidAccessUser(
            "access_user",
            "must be 4 to 64 letters, digits, underscores and hyphens, a letter first",
        )
    return user


def _password(password: str | None, user: str) -> str:
    if password is None or len(password) not in PASSWORD_LENGTHS:
        raise InvalidPassword("password", "must have 8 to 32 characters")
    if set(password) - set("".join(PASSWORD_KINDS)) or password.startswith("-"):
        raise InvalidPassword(
            "password", "may have ASCII letters, digits, punctuation and spaces, no hyphen first"
        )
    kinds = sum(not set(password).isdisjoint(kind) for kind in PASSWORD_KINDS)
    if kinds < PASSWORD_KINDS_MIN:
        raise InvalidPassword(
            "password",
            "must have three of: lower-case letters, upper-case letters, digits, punctuation",
        )
    if password in (user, user[::-1]):
        raise InvalidPassword("password", "must not be the user's name, nor that backwards")
    return password


def _mechanisms(asked: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(asked))
    for mechanism in wanted:
        _one_of("sasl_enabled_mechanisms", mechanism, SASL_MECHANISMS)
    return wanted


def _zones(zones: list[str] | None) -> tuple[str, ...]:
    wanted = tuple(_text("available_zones", zone) for zone in zones or ())
    if len(set(wanted)) != len(wanted):
        raise InvalidInput("available_zones", "must not name a zone twice")
    if len(wanted) != 1 and len(wanted) < ZONES_FOR_MANY:
        raise InvalidInput("available_zones", "must be one zone, or three and more")
    return wanted


def _maintenance_window(begin: str | None, end: str | None) -> tuple[str, str]:
    if not begin and not end:
        return WINDOW_DEFAULT
    first, last = (CLOCK_FORM.fullmatch(text or "") for text in (begin, end))
    if first is not None and last is not None:
        from_h, to_h = int(first[1]), int(last[1])
        if from_h in WINDOW_STARTS_H and to_h == (from_h + WINDOW_LENGTH_H) % 24:
            return f"{from_h:02}:00:00", f"{to_h:02}:00:00"
    raise InvalidMaintenanceWindow(
        "maintain_begin",
        "must be 02:00, 06:00, 10:00, 14:00, 18:00 or 22:00, and maintain_end four hours later",
    )


def _tags(tags: Sequence[TagAsked]) -> tuple[tuple[str, str], ...]:
    if len(tags) > TAGS_MAX:
        raise InvalidInput("tags", f"may be at most {TAGS_MAX}")
    pairs = tuple((_tag_key(tag.key or ""), _tag_value(tag.value or "")) for tag in tags)
    if len(dict(pairs)) != len(pairs):
        raise InvalidInput("tags", "must not have a key twice")
    return pairs


def _tag_key(key: str) -> str:
    if not 0 < len(key) <= TAG_KEY_LENGTH_MAX:
        raise InvalidInput("tags.key", f"must have 1 to {TAG_KEY_LENGTH_MAX} characters")
    if not _is_tag_text(key) or key.startswith("_sys_"):
        raise InvalidInput(
            "tags.key",
            "may have letters, digits, spaces inside and _.:=+-@, and must not begin with _sys_",
        )
    return key


def _tag_value(value: str) -> str:
    if len(value) > TAG_VALUE_LENGTH_MAX or not _is_tag_text(value):
        raise InvalidInput(
            "tags.value",
            f"may have {TAG_VALUE_LENGTH_MAX} letters, digits, spaces inside and _.:=+-@",
        )
    return value


def _is_tag_text(text: str) -> bool:
    """Letters of any language, with their marks [D]."""
    return text == text.strip(" ") and all(
        letter in TAG_PUNCTUATION or unicodedata.category(letter)[0] in "LMN" for letter in text
    )


def _text(parameter: str, text: str | None) -> str:
    if text is None or not 0 < len(text) <= TEXT_LENGTH_MAX or not text.isprintable():
        raise InvalidInput(parameter, f"must be a text of 1 to {TEXT_LENGTH_MAX} characters")
    return text


def _one_of(parameter: str, text: str, allowed: Sequence[str]) -> str:
    if text not in allowed:
        raise InvalidInput(parameter, f"must be one of {', '.join(allowed)}")
    return text


def _public_params(instance: Instance) -> dict[str, Any]:
    """[I] no source shows the params of this task; the names are those of the request."""
    public = {
        "name": instance.name,
        "engine_version": instance.engine_version,
        "product_id": instance.product_id,
        "broker_num": instance.broker_count,
        "storage_space": instance.storage_gb,
        "storage_spec_code": instance.storage_spec_code,
        "available_zones": list(instance.available_zones),
        "ssl_enable": instance.ssl_enabled,
    }
    if instance.access_user is not None:
        public["access_user"] = instance.access_user
    return public
