"""Topics on the wire: bodies to orders and changes, topics to answers (docs/wire/topics.md)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from backroom.domain.errors import (
    InvalidConfig,
    InvalidInput,
    InvalidPartitionCount,
    InvalidReplicaCount,
    InvalidRetentionTime,
    InvalidTopicName,
)
from backroom.domain.filter import Page
from backroom.domain.instance import Instance
from backroom.domain.topic import (
    MIN_IN_SYNC,
    PARTITIONS_MAX,
    TopicChange,
    TopicNote,
    TopicOrder,
)
from backroom.ports import ConfigEntry, Partition, PartitionLog, Topic, TopicPartition
from backroom.wire.flavors import flavor_of
from backroom.wire.queries import whole_number
from backroom.wire.times import encode_epoch_ms

NAME_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,199}")  # [D] SDK
REPLICAS_MAX: Final = 20  # [D] text of the error's code
RETENTION_MAX_H: Final = 720  # [D] SDK; the error's older text says 168
DESCRIPTION_MAX: Final = 200  # [D] SDK
LIST_LIMIT_DEFAULT: Final = 50  # [D]
LIST_LIMIT_MAX: Final = 200  # [D]
DELETED_AT_ONCE_MAX: Final = 1_000  # [I]
RETENTION, FLUSH = "retention.ms", "flush.messages"
MS_PER_H: Final = 3_600_000

Loose = str | int | float | bool  # [D] the page's own examples write "false" and 10485760


class OtherConfigAsked(msgspec.Struct, frozen=True):
    name: str | None = None
    value: Loose | None = None


class CreateTopicBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    partition: int | None = None
    replication: int | None = None
    retention_time: int | None = None
    sync_message_flush: Loose | None = None
    sync_replication: Loose | None = None
    topic_other_configs: list[OtherConfigAsked] | None = None
    topic_desc: str | None = None


class CreatedTopicBody(msgspec.Struct, frozen=True):
    name: str


class UpdateTopicAsked(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    retention_time: int | None = None
    sync_replication: Loose | None = None
    sync_message_flush: Loose | None = None
    new_partition_numbers: int | None = None
    new_partition_brokers: list[int] | None = None
    topic_other_configs: list[OtherConfigAsked] | None = None
    topic_desc: str | None = None


class UpdateTopicsBody(msgspec.Struct, frozen=True):
    topics: list[UpdateTopicAsked] | None = None


class FailedTopicBody(msgspec.Struct, frozen=True, kw_only=True):
    """[O] sent with 206; `error_code` is ours."""

    id: str
    success: bool = False
    error_code: str
    error_msg: str


class FailedTopicsBody(msgspec.Struct, frozen=True):
    failed_topics: tuple[FailedTopicBody, ...]


class DeleteTopicsBody(msgspec.Struct, frozen=True):
    topics: list[str] | None = None


class DeletedTopicBody(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    success: bool
    error_code: str | msgspec.UnsetType = msgspec.UNSET  # ours, of one that is still there
    error_msg: str | msgspec.UnsetType = msgspec.UNSET


class DeletedTopicsBody(msgspec.Struct, frozen=True):
    topics: tuple[DeletedTopicBody, ...]


class CreatePartitionBody(msgspec.Struct, frozen=True):
    partition: int | None = None


class OtherConfigBody(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    valid_values: str
    default_value: str
    config_type: str = "dynamic"
    value: str
    value_type: str


class TopicBody(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of the page's example."""

    policiesOnly: bool = False  # noqa: N815  [D] the wire's only name in this case
    name: str
    replication: int
    partition: int
    retention_time: int
    sync_replication: bool
    sync_message_flush: bool
    external_configs: dict[str, Any] = {}
    topic_type: int
    topic_other_configs: tuple[OtherConfigBody, ...]
    topic_desc: str
    created_at: int | msgspec.UnsetType = msgspec.UNSET


class TopicListBody(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    size: int
    remain_partitions: int
    max_partitions: int
    topic_max_partitions: int = PARTITIONS_MAX
    topics: tuple[TopicBody, ...]


class ReplicaBody(msgspec.Struct, frozen=True, kw_only=True):
    broker: int
    leader: bool
    in_sync: bool
    size: int
    lag: int


class PartitionBody(msgspec.Struct, frozen=True, kw_only=True):
    partition: int
    leader: int
    replicas: tuple[ReplicaBody, ...]
    lso: int
    leo: int
    hw: int
    last_update_timestamp: int


class TopicDetailBody(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partitions: tuple[PartitionBody, ...]
    group_subscribed: tuple[str, ...] = ()


class _OtherConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`values` are those allowed; a whole number up to `most` where it is empty."""

    default: str
    values: tuple[str, ...] = ()
    most: int = 0


OTHER_CONFIGS: Final[Mapping[str, _OtherConfig]] = {  # [D] user guide and the page's example
    "max.message.bytes": _OtherConfig(default="10485760", most=10_485_760),
    "message.timestamp.type": _OtherConfig(
        default="LogAppendTime", values=("CreateTime", "LogAppendTime")
    ),
}


def max_partitions(instance: Instance) -> int:
    flavor = flavor_of(instance.product_id)
    return 0 if flavor is None else flavor.partitions_per_broker * instance.broker_count


def decode_create(body: CreateTopicBody) -> TopicOrder:
    if body.replication is not None and not 1 <= body.replication <= REPLICAS_MAX:
        raise InvalidReplicaCount("replication", f"must be from 1 to {REPLICAS_MAX}")
    flags = _switch("sync_message_flush", body.sync_message_flush)
    return TopicOrder(
        name=_name("id", body.id),
        partition_count=_partition_count("partition", body.partition),
        replication_factor=body.replication,
        is_synchronous=bool(_switch("sync_replication", body.sync_replication)),
        configs={
            **_retention(body.retention_time),
            **({FLUSH: "1"} if flags else {}),
            **_other_configs(body.topic_other_configs or ()),
        },
        description=_description(body.topic_desc) or "",
    )


def decode_update(body: UpdateTopicsBody) -> list[TopicChange]:
    if not body.topics:
        raise InvalidInput("topics", "must name at least one topic")
    names = [topic.id for topic in body.topics]
    if len(set(names)) < len(names):
        raise InvalidInput("topics", "must name each topic once")
    return [_change(topic) for topic in body.topics]


def _change(topic: UpdateTopicAsked) -> TopicChange:
    configs: dict[str, str | None] = dict(_retention(topic.retention_time))
    flushes = _switch("sync_message_flush", topic.sync_message_flush)
    if flushes is not None:
        configs[FLUSH] = "1" if flushes else None
    configs.update(_other_configs(topic.topic_other_configs or ()))
    brokers = tuple(topic.new_partition_brokers or ())
    if len(set(brokers)) < len(brokers):
        raise InvalidInput("new_partition_brokers", "must name each broker once")
    return TopicChange(
        name=_name("id", topic.id),
        partition_count=_partition_count("new_partition_numbers", topic.new_partition_numbers),
        partition_brokers=brokers,
        is_synchronous=_switch("sync_replication", topic.sync_replication),
        configs=configs,
        description=_description(topic.topic_desc),
    )


def decode_delete(body: DeleteTopicsBody) -> list[str]:
    if not body.topics:
        raise InvalidInput("topics", "must name at least one topic")
    if len(body.topics) > DELETED_AT_ONCE_MAX:
        raise InvalidInput("topics", f"may name at most {DELETED_AT_ONCE_MAX} topics")
    return body.topics


def decode_add_partitions(body: CreatePartitionBody) -> int:
    count = _partition_count("partition", body.partition)
    if count is None:
        raise InvalidPartitionCount("partition", "is missing")
    return count


def decode_page(query: Mapping[str, str]) -> Page:
    """[O] Terraform asks for one page more when the last was full: that one is empty."""
    return Page(
        skip=whole_number(query, "offset", 0, least=0),
        limit=whole_number(query, "limit", LIST_LIMIT_DEFAULT, least=0, most=LIST_LIMIT_MAX),
    )


def encode_topics(
    instance: Instance,
    topics: Sequence[Topic],
    configs: Mapping[str, Mapping[str, ConfigEntry]],
    notes: Mapping[str, TopicNote],
    page: Page,
) -> TopicListBody:
    most = max_partitions(instance)
    used = sum(len(topic.partitions) for topic in topics if not topic.is_internal)
    shown = topics[page.skip : page.skip + page.limit]
    return TopicListBody(
        total=len(topics),
        size=len(shown),
        remain_partitions=max(0, most - used),
        max_partitions=most,
        topics=tuple(
            _encode_topic(topic, configs.get(topic.name, {}), notes.get(topic.name))
            for topic in shown
        ),
    )


def encode_detail(
    topic: Topic,
    logs: Mapping[int, PartitionLog],
    all_sizes: Mapping[TopicPartition, Mapping[int, int]],
) -> TopicDetailBody:
    partitions = []
    for partition in topic.partitions:
        sizes = all_sizes.get(TopicPartition(topic.name, partition.id), {})
        log = logs.get(partition.id)
        end = 0 if log is None else log.end_offset
        written_at = None if log is None else log.written_at
        partitions.append(
            PartitionBody(
                partition=partition.id,
                leader=-1 if partition.leader is None else partition.leader,
                replicas=tuple(_encode_replicas(partition, sizes, end)),
                lso=0 if log is None else log.start_offset,
                leo=end,
                hw=end,
                last_update_timestamp=0 if written_at is None else encode_epoch_ms(written_at),
            )
        )
    return TopicDetailBody(topic=topic.name, partitions=tuple(partitions))


def _encode_replicas(
    partition: Partition, sizes: Mapping[int, int], end: int
) -> Iterable[ReplicaBody]:
    """Kafka says how many bytes a replica has, not how many messages: the lag is reckoned [I]."""
    whole = max(sizes.values(), default=0)
    for broker in partition.replicas:
        size = sizes.get(broker, 0)
        is_in_sync = broker in partition.in_sync
        yield ReplicaBody(
            broker=broker,
            leader=broker == partition.leader,
            in_sync=is_in_sync,
            size=size,
            lag=0 if is_in_sync or whole == 0 else end * (whole - size) // whole,
        )


def _encode_topic(
    topic: Topic, configs: Mapping[str, ConfigEntry], note: TopicNote | None
) -> TopicBody:
    factor = len(topic.partitions[0].replicas) if topic.partitions else 0
    in_sync = configs.get(MIN_IN_SYNC)
    return TopicBody(
        name=topic.name,
        replication=factor,
        partition=len(topic.partitions),
        retention_time=max(0, int(_value(configs, RETENTION, "0"))) // MS_PER_H,
        sync_replication=(
            in_sync is not None and in_sync.is_override and int(in_sync.value) >= factor
        ),
        sync_message_flush=_value(configs, FLUSH, "") == "1",
        topic_type=int(topic.is_internal),
        topic_other_configs=tuple(
            OtherConfigBody(
                name=name,
                valid_values=",".join(known.values) or f"0~{known.most}",
                default_value=known.default,
                value=_value(configs, name, known.default),
                value_type="enum" if known.values else "integer",
            )
            for name, known in OTHER_CONFIGS.items()
        ),
        topic_desc="" if note is None else note.description,
        created_at=msgspec.UNSET if note is None else encode_epoch_ms(note.created_at),
    )


def _value(configs: Mapping[str, ConfigEntry], name: str, default: str) -> str:
    entry = configs.get(name)
    return default if entry is None else entry.value


def _name(parameter: str, name: str | None) -> str:
    if name is None or NAME_FORM.fullmatch(name) is None:
        raise InvalidTopicName(
            parameter,
            "3 to 200 letters, digits, underscores (_), hyphens (-), periods (.), a letter first",
        )
    return name


def _partition_count(parameter: str, count: int | None) -> int | None:
    if count is not None and not 1 <= count <= PARTITIONS_MAX:
        raise InvalidPartitionCount(parameter, f"must be from 1 to {PARTITIONS_MAX}")
    return count


def _retention(hours: int | None) -> dict[str, str]:
    if hours is None:
        return {}
    if not 1 <= hours <= RETENTION_MAX_H:
        raise InvalidRetentionTime("retention_time", f"1-{RETENTION_MAX_H}")
    return {RETENTION: str(hours * MS_PER_H)}


def _description(text: str | None) -> str | None:
    if text is not None and len(text) > DESCRIPTION_MAX:
        raise InvalidInput("topic_desc", f"may have at most {DESCRIPTION_MAX} characters")
    return text


def _switch(parameter: str, value: Loose | None) -> bool | None:
    if value is None:
        return None
    text = str(value).lower()
    if text not in ("true", "false"):
        raise InvalidInput(parameter, "must be true or false")
    return text == "true"


def _other_configs(asked: Iterable[OtherConfigAsked]) -> dict[str, str]:
    configs: dict[str, str] = {}
    for config in asked:
        known = OTHER_CONFIGS.get(config.name or "")
        if config.name is None or known is None:
            raise InvalidConfig(str(config.name), f"must be one of {', '.join(OTHER_CONFIGS)}")
        value = "" if config.value is None else str(config.value)
        if not _is_allowed(value, known):
            allowed = " or ".join(known.values) or f"a whole number from 0 to {known.most}"
            raise InvalidConfig(config.name, f"must be {allowed}")
        configs[config.name] = value
    return configs


def _is_allowed(value: str, known: _OtherConfig) -> bool:
    if known.values:
        return value in known.values
    is_number = value.isascii() and value.isdigit() and len(value) <= len(str(known.most))
    return is_number and int(value) <= known.most
