"""Kafka parameters of an instance: dynamic ones on the brokers now, static ones at a restart.

Whether topics come to be by being written to is one of them, with a call of its own.
"""

import msgspec

from backroom.domain.errors import StepNotReady, StepRejected
from backroom.domain.instance import Instance, changed, require_running
from backroom.operations.operation import Operation, Step, StepContext, stored_instance
from backroom.ports import ConfigResource

LOOK_S = 0.25
EVERY_BROKER = ConfigResource("broker", "")


class ModifyConfigs(msgspec.Struct, frozen=True, kw_only=True):
    """New values by name. `auto_create_topics`: None leaves it as it is."""

    dynamic: dict[str, str] = {}
    static: dict[str, str] = {}
    auto_create_topics: bool | None = None


def _prepare(instance: Instance, _params: ModifyConfigs) -> Instance:
    require_running(instance)
    return instance


async def _alter_dynamic(context: StepContext[ModifyConfigs]) -> None:
    wanted = context.params.dynamic
    if not wanted:
        return
    instance_id = context.task.instance_id
    seen = (await context.kafka.configs(instance_id, [EVERY_BROKER])).get(EVERY_BROKER, {})
    missing: dict[str, str | None] = {
        name: value
        for name, value in wanted.items()
        if name not in seen or seen[name].value != value
    }
    if not missing:
        return
    results = await context.kafka.alter_configs(instance_id, {EVERY_BROKER: missing})
    error = results[EVERY_BROKER]
    if error is not None:
        raise StepRejected("DMS.00400063", f"{error.code} {error.message}")
    raise StepNotReady(LOOK_S)


async def _keep_static(context: StepContext[ModifyConfigs]) -> None:
    """No request to a broker changes these: they are kept until the brokers are restarted."""
    instance = await stored_instance(context)
    kept = tuple(sorted({**dict(instance.static_configs), **context.params.static}.items()))
    if kept != instance.static_configs:
        await context.instances.save(changed(instance, static_configs=kept))


async def _publish_setting(context: StepContext[ModifyConfigs]) -> None:
    """Brokers read auto.create.topics.enable from their file only: the record is what counts."""
    is_wanted = context.params.auto_create_topics
    instance = await stored_instance(context)
    if is_wanted is not None and instance.auto_create_topics != is_wanted:
        await context.instances.save(changed(instance, auto_create_topics=is_wanted))


MODIFY_CONFIGS = Operation(
    name="kafkaConfigModify",  # [O] Terraform waits for this name, after either call
    params=ModifyConfigs,
    prepare=_prepare,
    steps=(
        Step("alter_dynamic", _alter_dynamic, 4),
        Step("keep_static", _keep_static),
        Step("publish_setting", _publish_setting),
    ),
)
