"""Kafka parameters of an instance, and whether topics come to be by being written to."""

from backroom.api.exchange import Request, Response, json_response
from backroom.api.orders import client_token, order_of
from backroom.domain.account import require_operator
from backroom.operations.modify_configs import MODIFY_CONFIGS, ModifyConfigs
from backroom.resources.configs import Configs
from backroom.service import Submitted, TaskService
from backroom.wire import configs as wire


class ConfigHandlers:
    def __init__(self, service: TaskService, configs: Configs) -> None:
        self._service = service
        self._configs = configs

    async def show_instance_configs(self, request: Request) -> Response:
        values = await self._configs.show(request.project_id, request.instance_id)
        return json_response(wire.encode_configs(values))

    async def modify_instance_configs(self, request: Request) -> Response:
        require_operator(request.who)
        token = client_token(request)
        if await self._service.submitted_before(request.who, token) is None:
            await self._configs.instance(request.project_id, request.instance_id)
        params, public = wire.decode_configs(request.json(wire.ModifyConfigsBody))
        order = order_of(request, MODIFY_CONFIGS, params, public)
        submitted = await self._service.submit(request.who, request.instance_id, order)
        return json_response(
            wire.ConfigsModifiedBody(submitted.task_id, len(params.dynamic), len(params.static))
        )

    async def update_instance_auto_create_topic(self, request: Request) -> Response:
        require_operator(request.who)

        async def submit() -> Submitted:
            instance = await self._configs.instance(request.project_id, request.instance_id)
            after = wire.decode_auto_topic(request.json(wire.AutoTopicBody))
            public = wire.public_auto_topic(before=instance.auto_create_topics, after=after)
            params = ModifyConfigs(auto_create_topics=after)
            order = order_of(request, MODIFY_CONFIGS, params, public)
            return await self._service.submit(request.who, instance.id, order)

        await self._service.once(request.who, client_token(request), submit)
        is_enabled = wire.decode_auto_topic(request.json(wire.AutoTopicBody))
        return json_response(wire.AutoTopicBody(is_enabled))
