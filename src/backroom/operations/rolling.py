"""One broker after the other: each is back and in sync before the next is taken down.

What was done already is read from the cluster, never remembered, so a step that rolls may be cut
off anywhere and run again.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from backroom.domain.errors import KafkaUnavailable, StepNotReady, StepRejected
from backroom.operations.operation import StepContext
from backroom.ports import Cluster, Machine

POLL_S = 0.5


async def seen_cluster(context: StepContext[Any]) -> Cluster:
    """Raises StepRejected where there is none: whoever asks knows that there was one."""
    instance_id = context.task.instance_id
    cluster = await context.platform.observe(instance_id)
    if cluster is None:
        raise StepRejected("DMS.00400026", f"instance {instance_id} has no brokers")
    return cluster


async def behind(context: StepContext[Any], cluster: Cluster) -> frozenset[int]:
    """Brokers that are down, or miss from the replicas in sync of a partition that is theirs."""
    instance_id = context.task.instance_id
    everyone = frozenset(broker.id for broker in cluster.brokers)
    try:
        answering = {broker.id for broker in await context.kafka.brokers(instance_id)}
        moving = await context.kafka.reassignments(instance_id)
        topics = await context.kafka.topics(instance_id)
    except KafkaUnavailable:
        return everyone
    coming = {(at.topic, at.partition, to) for at, move in moving.items() for to in move.adding}
    lagging = {
        broker
        for topic in topics.values()
        for partition in topic.partitions
        for broker in partition.replicas
        if broker not in partition.in_sync and (topic.name, partition.id, broker) not in coming
    }
    return everyone - (answering & set(cluster.running)) | (lagging & everyone)


async def roll(
    context: StepContext[Any],
    cluster: Cluster,
    left: Collection[Machine],
    ask: Callable[[Machine], Awaitable[None]],
) -> None:
    """Raises StepNotReady until nothing is `left` and all brokers are up and in sync.

    `ask` takes one of those left down and lets it come back as it is to be. One that is behind
    anyhow goes first: it is the one that is missed least.
    """
    late = await behind(context, cluster)
    ids = {machine.id for machine in left}
    if left and late <= ids:
        await ask(min(left, key=lambda machine: (machine.id not in late, machine.id)))
    if left or late:
        total = len(cluster.machines)
        raise StepNotReady(POLL_S, percent=100 * (total - len(ids | late)) // total)
