"""Each KafkaAdmin there is, with three brokers, and a way to let its time pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.builders import instance_id
from tests.support.clocks import MovedClock
from tests.support.coroutines import pytest_pyfunc_call  # noqa: F401  pytest finds the hook by its name
from tests.support.databases import SqliteMemory

from backroom.platforms.simulated import SimulatedPlatform, Timings
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.ports import ClusterSpec, KafkaAdmin, NewTopic

INSTANCE = instance_id()
LOOK_S = 0.05


@dataclass
class Brokers:
    """`clock.move` is what a test against real brokers would wait for."""

    admin: KafkaAdmin
    platform: SimulatedPlatform
    clock: MovedClock
    prepare: Callable[[], Any]

    async def until(self, is_seen, limit_s: float = 30.0) -> Any:
        """What is seen once it is true: never at once, and never without end."""
        passed = 0.0
        while not (seen := await is_seen()):
            assert passed < limit_s, "not seen in time"
            self.clock.move(LOOK_S)
            passed += LOOK_S
        return seen

    async def make(self, name="t", partitions=1, factor=1, **configs):
        new = NewTopic(
            name=name, partition_count=partitions, replication_factor=factor, configs=configs
        )
        assert await self.admin.create_topics(INSTANCE, [new]) == {name: None}
        return await self.until(lambda: self.topic(name))

    async def topic(self, name="t"):
        return (await self.admin.topics(INSTANCE, [name])).get(name)


@pytest.fixture
def brokers() -> Iterator[Brokers]:
    clock, database = MovedClock(), SqliteMemory()
    clusters = database.open().clusters
    platform = SimulatedPlatform(clusters, clock, Timings())
    admin = SimulatedKafka(clusters, platform, clock, KafkaTimings(metadata_lag_s=0.3))
    spec = ClusterSpec(broker_count=3, storage_gb=300, kafka_version="2.7")
    yield Brokers(admin, platform, clock, lambda: platform.adopt_cluster(INSTANCE, spec))
    database.close()
