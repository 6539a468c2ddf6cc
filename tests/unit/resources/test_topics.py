"""Changes of topics whose answer was lost: what is seen counts, nothing is taken for granted."""

import asyncio

import pytest
from tests.support.builders import instance_id
from tests.support.kafkas import FlakyKafka

from backroom.domain.errors import KafkaUnavailable
from backroom.domain.topic import TopicChange, TopicOrder
from backroom.platforms.simulated_kafka import KafkaTimings, SimulatedKafka
from backroom.resources.topics import SEEN_WITHIN_S, Topics

ID = instance_id()
ROOM = 100


class Asked:
    """Topics behind brokers that lose answers, with time that passes while they are waited for."""

    def __init__(self, world, instance):
        timings = KafkaTimings(metadata_lag_s=0.3)
        real = SimulatedKafka(world.stores.clusters, world.platform, world.clock, timings)
        self.world, self.instance, self.kafka = world, instance, FlakyKafka(real)
        self.topics = Topics(
            self.kafka, world.instances, world.stores.tasks, world.stores.clusters, world.clock
        )

    async def answer(self, asked):
        under_way = asyncio.ensure_future(asked)
        await self.world.clock.pass_until(under_way.done)
        return await under_way

    async def seen(self, name="t"):
        return (await self.kafka.topics(ID, [name])).get(name)

    async def made(self):
        order = TopicOrder(name="t", partition_count=1, replication_factor=1)
        await self.answer(self.topics.create(self.instance, order, ROOM))


async def asked_of(world):
    return Asked(world, await world.add_instance())


async def create(asked):
    order = TopicOrder(name="t", partition_count=1, replication_factor=1, description="d")
    await asked.answer(asked.topics.create(asked.instance, order, ROOM))


async def delete(asked):
    await asked.answer(asked.topics.delete(asked.instance, ["t"]))


async def add_partitions(asked):
    await asked.answer(asked.topics.add_partitions(asked.instance, "t", 3, ROOM))


async def alter(asked):
    changes = [TopicChange(name="t", configs={"flush.messages": "7"})]
    failed = await asked.answer(asked.topics.update(asked.instance, changes, ROOM))
    if failed:
        raise failed["t"]


async def is_made(asked):
    return await asked.seen() is not None


async def is_gone(asked):
    return await asked.seen() is None


async def has_three(asked):
    return len((await asked.seen()).partitions) == 3


async def is_set(asked):
    shown = await asked.topics.list(asked.instance.project_id, ID)
    return shown.configs["t"]["flush.messages"].value == "7"


CASES = {
    "create_topics": (create, is_made),
    "delete_topics": (delete, is_gone),
    "create_partitions": (add_partitions, has_three),
    "alter_configs": (alter, is_set),
}
cases = pytest.mark.parametrize("case", CASES)


@cases
async def test_change_is_answered_as_made_when_it_is_seen_although_its_answer_was_lost(world, case):
    asked, (change, is_there) = await asked_of(world), CASES[case]
    if change is not create:
        await asked.made()
    asked.kafka.unsure[case] = 1
    await change(asked)
    assert await is_there(asked)


@cases
async def test_change_that_is_never_seen_is_no_success_and_can_be_asked_for_again(world, case):
    asked, (change, is_there) = await asked_of(world), CASES[case]
    if change is not create:
        await asked.made()
    asked.kafka.lost[case] = 1
    begun = world.clock.now()
    with pytest.raises(KafkaUnavailable):
        await change(asked)
    assert (world.clock.now() - begun).total_seconds() >= SEEN_WITHIN_S
    assert not await is_there(asked)
    await change(asked)
    assert await is_there(asked)
