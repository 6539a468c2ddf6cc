"""Kafka parameters of an instance as they are in force, or will be after the next restart."""

from backroom.domain.ids import InstanceId, ProjectId
from backroom.domain.instance import Instance
from backroom.ports import ConfigResource, InstanceStore, KafkaAdmin
from backroom.resources.instances import existing_instance


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
        return await existing_instance(self._instances, project_id, instance_id)
