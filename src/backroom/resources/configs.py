"""Kafka parameters of an instance as they are in force, or will be after the next restart."""

from backroom.domain.errors import InstanceNotFound
from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance
from backroom.ports import ConfigResource, InstanceStore, KafkaAdmin


class Configs:
    def __init__(self, kafka: KafkaAdmin, instances: InstanceStore) -> None:
        self._kafka = kafka
        self._instances = instances

    async def show(self, project_id: ProjectId, instance_id: InstanceId) -> dict[str, str]:
        """Values by name; static ones as they were asked for last."""
        instance = await self.instance(project_id, instance_id)
        alive = await self._kafka.brokers(instance_id)
        broker = ConfigResource("broker", str(alive[0].id))
        found = await self._kafka.configs(instance_id, [broker])
        values = {name: entry.value for name, entry in found.get(broker, {}).items()}
        return values | dict(instance.static_configs)

    async def instance(self, project_id: ProjectId, instance_id: InstanceId) -> Instance:
        instance = await self._instances.get(project_id, instance_id)
        if instance is None:
            raise InstanceNotFound(instance_id)
        return instance
