"""Instances and zones, read. What submits a task is handled with the operations."""

from backroom.api.exchange import Request, Response, json_response
from backroom.resources.cluster_health import ClusterHealth
from backroom.resources.instances import Instances
from backroom.wire.available_zones import encode_available_zones
from backroom.wire.instances import (
    decode_list,
    encode_cluster,
    encode_instances,
    encode_shown,
    encode_tags,
)


class InstanceHandlers:
    def __init__(self, instances: Instances, health: ClusterHealth, region: str) -> None:
        self._instances = instances
        self._health = health
        self._region = region

    async def show_instance(self, request: Request) -> Response:
        instance, current = await self._instances.show(request.project_id, request.instance_id)
        return Response(body=encode_shown(instance, current))

    async def list_instances(self, request: Request) -> Response:
        wanted, page = decode_list(request.query(), request.project_id)
        found, total = await self._instances.list(wanted, page)
        return json_response(encode_instances(found, total))

    async def show_kafka_tags(self, request: Request) -> Response:
        instance, _ = await self._instances.show(request.project_id, request.instance_id)
        return json_response(encode_tags(instance))

    async def show_kafka_cluster(self, request: Request) -> Response:
        instance, alive = await self._health.show(request.project_id, request.instance_id)
        return json_response(encode_cluster(instance, alive))

    async def list_available_zones(self, request: Request) -> Response:
        _ = request.who  # a route that forgot to ask for one fails
        return json_response(encode_available_zones(self._region))
