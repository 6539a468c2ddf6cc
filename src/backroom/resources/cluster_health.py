"""Which brokers of an instance answer."""

from backroom.domain.errors import KafkaUnavailable
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance
from backroom.ports import InstanceStore, KafkaAdmin
from backroom.resources.instances import existing_instance


class ClusterHealth:
    def __init__(self, kafka: KafkaAdmin, store: InstanceStore) -> None:
        self._kafka = kafka
        self._store = store

    async def show(
        self, project_id: ProjectId, instance_id: InstanceId
    ) -> tuple[Instance, frozenset[int]]:
        """The instance, and the ids of its brokers that answer: none where nobody does."""
        instance = await existing_instance(self._store, project_id, instance_id)
        try:
            alive = await self._kafka.brokers(instance_id)
        except KafkaUnavailable:
            alive = ()
        return instance, frozenset(broker.id for broker in alive)
