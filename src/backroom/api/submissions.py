"""The calls that submit a task: body to order, order to the service, its task to the answer."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.api.orders import client_token, order_of
from backroom.domain.account import require_operator
from backroom.domain.errors import Refused, StoreUnavailable
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, new_instance_id
from backroom.domain.instance import InstanceFilter, InstanceStatus
from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE, DeleteInstance
from backroom.operations.extend_instance import EXTEND_INSTANCE
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.ports import Clock
from backroom.resources.instances import Instances
from backroom.service import ClientToken, Order, Submitted, TaskService
from backroom.wire.extensions import ExtendBody, decode_extend, encode_extended
from backroom.wire.instance_actions import ActionBody, decode_action, encode_results
from backroom.wire.instance_requests import CreateBody, CreatedBody, decode_create
from backroom.wire.public_access import PublicAccessBody, decode_public_access


class SubmissionHandlers:
    def __init__(self, service: TaskService, instances: Instances, clock: Clock) -> None:
        self._service = service
        self._instances = instances
        self._clock = clock

    async def modify_kafka_public_ip_access_switch(self, request: Request) -> Response:
        require_operator(request.who)

        async def submit() -> Submitted:
            instance, _ = await self._instances.show(request.project_id, request.instance_id)
            body = request.json(PublicAccessBody)
            order = order_of(request, *decode_public_access(body, instance))
            return await self._service.submit(request.who, instance.id, order)

        await self._service.once(request.who, client_token(request), submit)
        return NO_CONTENT  # [O] Terraform takes nothing but 204

    async def create_post_paid_kafka_instance(self, request: Request) -> Response:
        require_operator(request.who)
        instance, params, public = decode_create(
            request.json(CreateBody), request.who, new_instance_id(), self._clock.now()
        )
        order = order_of(request, CREATE_INSTANCE, params, public)
        submitted = await self._service.submit_new(request.who, instance, order)
        return json_response(CreatedBody(submitted.instance_id))

    async def delete_instance(self, request: Request) -> Response:
        order = _deletion(request, request.instance_id)
        await self._service.submit(request.who, request.instance_id, order)
        return NO_CONTENT

    async def batch_restart_or_delete_instances(self, request: Request) -> Response:
        """Each instance for itself: one that can't be had doesn't keep the others."""
        require_operator(request.who)
        action = decode_action(request.json(ActionBody))
        if action.instance_ids is None:
            await self._delete_failed_creations(request)
            return NO_CONTENT  # [D] where all_failure is given
        outcomes = await self._submit_each(
            request, action.instance_ids, is_restart=action.is_restart
        )
        return json_response(encode_results(outcomes))

    async def _delete_failed_creations(self, request: Request) -> None:
        """The last of them uses the token up, so a call that was cut off goes on when repeated."""
        if await self._service.submitted_before(request.who, client_token(request)) is not None:
            return
        ids = await self._failed_creations(request)
        for instance_id in ids:
            order = _deletion(request, instance_id)
            if instance_id != ids[-1]:
                order = _apart(order)
            with suppress(Refused):  # deleted by somebody else just now
                await self._service.submit(request.who, instance_id, order)

    async def _failed_creations(self, request: Request) -> list[InstanceId]:
        wanted = InstanceFilter(
            project_id=request.project_id, status=InstanceStatus.CREATE_FAILED.value
        )
        ids: list[InstanceId] = []
        while True:
            found, total = await self._instances.list(wanted, Page(len(ids)))
            ids += [instance.id for instance in found]
            if not found or len(ids) >= total:
                return ids

    async def _submit_each(
        self, request: Request, ids: Sequence[InstanceId], *, is_restart: bool
    ) -> dict[InstanceId, bool]:
        """Whether each was accepted. A store that is away is told only where nothing was yet."""
        make = _restart if is_restart else _deletion
        outcomes: dict[InstanceId, bool] = {}
        first = await self._service.submitted_before(request.who, client_token(request))
        for instance_id in ids:
            order = make(request, instance_id)
            if first is not None and first.instance_id != instance_id:
                order = _apart(order)
            try:
                submitted = await self._service.submit(request.who, instance_id, order)
            except Refused:
                outcomes[instance_id] = False
            except StoreUnavailable:
                if not any(outcomes.values()):
                    raise
                outcomes[instance_id] = False
            else:
                outcomes[instance_id] = True
                first = first or submitted
        return outcomes

    async def resize_kafka_instance(self, request: Request) -> Response:
        require_operator(request.who)

        async def submit() -> Submitted:
            instance, _ = await self._instances.show(request.project_id, request.instance_id)
            params, public = decode_extend(request.json(ExtendBody), instance)
            order = order_of(request, EXTEND_INSTANCE, params, public)
            return await self._service.submit(request.who, instance.id, order)

        submitted = await self._service.once(request.who, client_token(request), submit)
        return json_response(encode_extended(submitted.task_id))


def _deletion(request: Request, instance_id: InstanceId) -> Order:
    return order_of(request, DELETE_INSTANCE, DeleteInstance(), {"instance_id": instance_id})


def _restart(request: Request, instance_id: InstanceId) -> Order:
    return order_of(request, RESTART_INSTANCE, RestartInstance(), {"instance_id": instance_id})


def _apart(order: Order) -> Order:
    """Of several instances one uses the request's token up, the others one made from it.

    No client can send a line break: it can't be a token of its own.
    """
    given = order.client_token
    if given is None:
        return order
    own = ClientToken(f"{given.token}\n{order.public['instance_id']}", given.digest)
    return msgspec.structs.replace(order, client_token=own)
