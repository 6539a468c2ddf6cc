"""Kafka parameters and automatic topic creation on the wire (docs/wire/configs.md)."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from backroom.domain.errors import InvalidConfig, InvalidInput
from backroom.operations.modify_configs import ModifyConfigs

DIGITS_MAX: Final = 12


class KnownConfig(msgspec.Struct, frozen=True):
    """`valid_values` as the wire has them: `least~most`, or the words separated by commas."""

    valid_values: str
    default: str
    config_type: Literal["dynamic", "static"]

    @property
    def value_type(self) -> str:
        return "integer" if "~" in self.valid_values else "enum"

    def allows(self, value: str) -> bool:
        if self.value_type == "enum":
            return value in self.valid_values.split(",")
        least, most = map(int, self.valid_values.split("~"))
        is_number = value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX
        return is_number and least <= int(value) <= most


KNOWN: Final[Mapping[str, KnownConfig]] = {  # [D] the page's example, in its order
    "min.insync.replicas": KnownConfig("1~3", "1", "dynamic"),
    "message.max.bytes": KnownConfig("0~10485760", "10485760", "dynamic"),
    "auto.create.groups.enable": KnownConfig("true,false", "true", "dynamic"),
    "connections.max.idle.ms": KnownConfig("5000~600000", "600000", "static"),
    "log.retention.hours": KnownConfig("1~168", "72", "static"),
    "max.connections.per.ip": KnownConfig("100~20000", "1000", "dynamic"),
    "group.max.session.timeout.ms": KnownConfig("6000~1800000", "1800000", "static"),
    "unclean.leader.election.enable": KnownConfig("true,false", "false", "dynamic"),
    "default.replication.factor": KnownConfig("1~3", "3", "static"),
    "offsets.retention.minutes": KnownConfig("1440~30240", "20160", "dynamic"),
    "num.partitions": KnownConfig("1~200", "3", "static"),
    "group.min.session.timeout.ms": KnownConfig("6000~300000", "6000", "static"),
    "allow.everyone.if.no.acl.found": KnownConfig("true,false", "true", "static"),
}


class ConfigBody(msgspec.Struct, frozen=True):
    name: str
    valid_values: str
    default_value: str
    config_type: str
    value: str
    value_type: str


class ConfigsBody(msgspec.Struct, frozen=True):
    kafka_configs: tuple[ConfigBody, ...]


class ConfigAsked(msgspec.Struct, frozen=True):
    name: str | None = None
    value: str | int | bool | None = None


class ModifyConfigsBody(msgspec.Struct, frozen=True):
    kafka_configs: list[ConfigAsked] | None = None


class ConfigsModifiedBody(msgspec.Struct, frozen=True):
    job_id: str
    dynamic_config: int
    static_config: int


class AutoTopicBody(msgspec.Struct, frozen=True):
    """The request, and the answer."""

    enable_auto_topic: bool | None = None


def encode_configs(values: Mapping[str, str]) -> ConfigsBody:
    """Those that may be changed; what the brokers don't know of is at its default."""
    return ConfigsBody(
        tuple(
            ConfigBody(
                name,
                known.valid_values,
                known.default,
                known.config_type,
                values.get(name, known.default),
                known.value_type,
            )
            for name, known in KNOWN.items()
        )
    )


def decode_configs(body: ModifyConfigsBody) -> tuple[ModifyConfigs, dict[str, Any]]:
    """Params, and the public ones [I: no source shows those of this task]."""
    if not body.kafka_configs:
        raise InvalidInput("kafka_configs", "must name at least one parameter")
    dynamic: dict[str, str] = {}
    static: dict[str, str] = {}
    for config in body.kafka_configs:
        name = config.name or ""
        known = KNOWN.get(name)
        if known is None:
            raise InvalidConfig(name, "is not one that can be changed")
        value = _text(config.value)
        if not known.allows(value):
            raise InvalidConfig(name, f"must be {known.valid_values}")
        if name in dynamic or name in static:
            raise InvalidConfig(name, "must be given once")
        (dynamic if known.config_type == "dynamic" else static)[name] = value
    return ModifyConfigs(dynamic=dynamic, static=static), {"kafka_configs": dynamic | static}


def _text(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def decode_auto_topic(body: AutoTopicBody) -> bool:
    if body.enable_auto_topic is None:
        raise InvalidInput("enable_auto_topic", "must be true or false")
    return body.enable_auto_topic


def public_auto_topic(*, before: bool, after: bool) -> dict[str, Any]:
    return {"old_auto_status": before, "new_auto_status": after}  # [D] example of the list
