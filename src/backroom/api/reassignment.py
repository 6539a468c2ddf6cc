"""Partition reassignment: begin it, plan it for later, or say how long it would take."""

from datetime import datetime

import msgspec

from backroom.api.exchange import Request, Response, json_response
from backroom.api.orders import client_token, order_of
from backroom.domain.account import require_operator
from backroom.domain.instance import Instance, require_running
from backroom.operations.reassign_partitions import REASSIGN_PARTITIONS, ReassignPartitions
from backroom.ports import Clock
from backroom.resources.configs import Configs
from backroom.resources.reassignments import Reassignments
from backroom.service import Submitted, TaskService
from backroom.wire import reassignment as wire

_Asked = tuple[Instance, wire.ReassignBody, ReassignPartitions, datetime | None]


class ReassignmentHandlers:
    def __init__(
        self, service: TaskService, reassignments: Reassignments, configs: Configs, clock: Clock
    ) -> None:
        self._service = service
        self._reassignments = reassignments
        self._configs = configs
        self._clock = clock

    async def create_kafka_reassignment_task(self, request: Request) -> Response:
        require_operator(request.who)
        token = client_token(request)
        if await self._service.submitted_before(request.who, token) is None:
            instance, body, asked, _ = await self._asked(request)
            if body.time_estimate:
                seconds = await self._reassignments.estimate_s(instance, asked)
                return json_response(wire.encode_estimate(seconds))
        submitted = await self._service.once(request.who, token, lambda: self._submit(request))
        is_later = request.json(wire.ReassignBody).is_schedule
        encode = wire.encode_planned if is_later else wire.encode_started
        return json_response(encode(submitted.task_id))

    async def _asked(self, request: Request) -> _Asked:
        instance = await self._configs.instance(request.project_id, request.instance_id)
        body = request.json(wire.ReassignBody)
        asked = wire.decode_reassign(body)
        execute_at = wire.decode_execute_at(body, self._clock.now())
        require_running(instance)
        return instance, body, asked, execute_at

    async def _submit(self, request: Request) -> Submitted:
        instance, _, asked, execute_at = await self._asked(request)
        await self._reassignments.check(instance, asked)
        public = wire.public_params(asked)
        order = order_of(request, REASSIGN_PARTITIONS, asked, public, execute_at)
        if execute_at is not None:  # one looks whether there is a plan, and makes it
            await self._reassignments.require_none_planned(instance)
            order = msgspec.structs.replace(order, only_at_version=instance.version)
        return await self._service.submit(request.who, instance.id, order)
