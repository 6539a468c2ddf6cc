"""Whether a topic that somebody writes to comes to be by that."""

import msgspec

from backroom.domain.instance import Instance, changed, require_running
from backroom.operations.operation import Operation, Step, StepContext, stored_instance


class AutoCreateTopics(msgspec.Struct, frozen=True):
    is_enabled: bool


def _prepare(instance: Instance, _params: AutoCreateTopics) -> Instance:
    require_running(instance)
    return instance


async def _publish_setting(context: StepContext[AutoCreateTopics]) -> None:
    """Brokers read auto.create.topics.enable from their file only: the record is what counts."""
    instance = await stored_instance(context)
    if instance.auto_create_topics != context.params.is_enabled:
        await context.instances.save(
            changed(instance, auto_create_topics=context.params.is_enabled)
        )


AUTO_CREATE_TOPICS = Operation(
    name="modifyAutoTopic",  # [D] example of ListBackgroundTasks
    params=AutoCreateTopics,
    prepare=_prepare,
    steps=(Step("publish_setting", _publish_setting),),
)
