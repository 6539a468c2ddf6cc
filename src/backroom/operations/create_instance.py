"""A new instance: brokers come up, then it is shown as RUNNING."""

import msgspec

from backroom.domain.errors import InstanceNotReady, StepNotReady
from backroom.domain.instance import Instance, InstanceStatus, changed
from backroom.operations.operation import (
    Operation,
    Step,
    StepContext,
    show_running,
    show_status,
)
from backroom.ports import ClusterSpec

POLL_S = 0.5


class CreateInstance(msgspec.Struct, frozen=True):
    """`password` is for `access_user`; both None without SASL."""

    broker_count: int
    storage_gb: int
    engine_version: str
    product_id: str = ""  # none in tasks of earlier releases
    access_user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"CreateInstance({self.broker_count} brokers)"  # the password stays out of logs


def _prepare(instance: Instance, _params: CreateInstance) -> Instance:
    """For another try: the first one comes with an instance that is being created already."""
    if instance.status is not InstanceStatus.CREATE_FAILED:
        raise InstanceNotReady(instance.id, instance.status)
    return changed(instance, status=InstanceStatus.CREATING)


async def _create_brokers(context: StepContext[CreateInstance]) -> list[str]:
    params = context.params
    instance_id = context.task.instance_id
    spec = ClusterSpec(
        broker_count=params.broker_count,
        storage_gb=params.storage_gb,
        kafka_version=params.engine_version,
        flavor=params.product_id,
    )
    await context.platform.create_cluster(instance_id, spec)
    cluster = await context.platform.observe(instance_id)
    running = 0 if cluster is None else len(cluster.running)
    if cluster is None or running < params.broker_count:
        raise StepNotReady(POLL_S, percent=100 * running // params.broker_count)
    return [f"{broker.host}:{broker.port}" for broker in cluster.brokers]


async def _publish_instance(context: StepContext[CreateInstance]) -> None:
    cluster = await context.platform.observe(context.task.instance_id)
    if cluster is None:
        raise StepNotReady(POLL_S)
    await show_running(context, cluster.brokers)


async def _mark_failed(context: StepContext[CreateInstance]) -> None:
    await show_status(context, InstanceStatus.CREATE_FAILED)


CREATE_INSTANCE = Operation(
    name="createInstance",  # [I] no source shows the name; the console says "Creating an instance"
    params=CreateInstance,
    prepare=_prepare,
    steps=(
        Step("create_brokers", _create_brokers, 19),
        Step("publish_instance", _publish_instance),
    ),
    undo=_mark_failed,
    has_secrets=True,
)
