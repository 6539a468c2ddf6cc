"""The calls that submit a task: body to order, order to the service, its task to the answer."""

from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.domain.account import require_operator
from backroom.domain.ids import new_instance_id
from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE, DeleteInstance
from backroom.ports import Clock
from backroom.resources.instances import Instances
from backroom.service import Order, TaskService
from backroom.wire.instance_requests import CreateBody, CreatedBody, decode_create
from backroom.wire.public_access import PublicAccessBody, decode_public_access


class SubmissionHandlers:
    def __init__(self, service: TaskService, instances: Instances, clock: Clock) -> None:
        self._service = service
        self._instances = instances
        self._clock = clock

    async def modify_kafka_public_ip_access_switch(self, request: Request) -> Response:
        require_operator(request.who)
        instance, _ = await self._instances.show(request.project_id, request.instance_id)
        operation, params, public = decode_public_access(request.json(PublicAccessBody), instance)
        await self._service.submit(
            request.who,
            instance.id,
            Order(operation=operation, params=params, public=public, request_id=request.request_id),
        )
        return NO_CONTENT  # [O] Terraform takes nothing but 204

    async def create_post_paid_kafka_instance(self, request: Request) -> Response:
        require_operator(request.who)
        instance, params, public = decode_create(
            request.json(CreateBody), request.who, new_instance_id(), self._clock.now()
        )
        await self._service.submit_new(
            request.who,
            instance,
            Order(
                operation=CREATE_INSTANCE,
                params=params,
                public=public,
                request_id=request.request_id,
            ),
        )
        return json_response(CreatedBody(instance.id))

    async def delete_instance(self, request: Request) -> Response:
        await self._service.submit(
            request.who,
            request.instance_id,
            Order(
                operation=DELETE_INSTANCE,
                params=DeleteInstance(),
                public={"instance_id": request.instance_id},
                request_id=request.request_id,
            ),
        )
        return NO_CONTENT
