"""Topics as people ask for them, and what of them Kafka doesn't keep."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

PARTITIONS_MAX = 200  # of one topic
MIN_IN_SYNC = "min.insync.replicas"


class TopicNote(msgspec.Struct, frozen=True):
    created_at: datetime
    description: str = ""


class TopicOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A topic to be made. None: as the brokers have it. `configs` are Kafka's own names."""

    name: str
    partition_count: int | None = None
    replication_factor: int | None = None
    is_synchronous: bool = False
    configs: Mapping[str, str] = {}
    description: str = ""


class TopicChange(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves a thing as it is; a config of None goes back to the brokers' value."""

    name: str
    partition_count: int | None = None
    partition_brokers: tuple[int, ...] = ()
    is_synchronous: bool | None = None
    configs: Mapping[str, str | None] = {}
    description: str | None = None
