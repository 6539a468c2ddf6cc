"""Topics: create, list, show, change, delete. Each is done when it is answered; no tasks."""

from backroom.api.errors import error_texts
from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.domain.account import require_operator
from backroom.domain.errors import Refused
from backroom.domain.instance import Instance
from backroom.resources.topics import Topics
from backroom.wire import topics as wire


class TopicHandlers:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def create_instance_topic(self, request: Request) -> Response:
        instance = await self._changeable(request)
        order = wire.decode_create(request.json(wire.CreateTopicBody))
        await self._topics.create(instance, order, wire.max_partitions(instance))
        return json_response(wire.CreatedTopicBody(order.name))

    async def list_instance_topics(self, request: Request) -> Response:
        page = wire.decode_page(request.query())
        shown = await self._topics.list(request.project_id, request.instance_id)
        return json_response(
            wire.encode_topics(shown.instance, shown.topics, shown.configs, shown.notes, page)
        )

    async def show_instance_topic_detail(self, request: Request) -> Response:
        detail = await self._topics.show(
            request.project_id, request.instance_id, request.parameters["topic"]
        )
        return json_response(wire.encode_detail(detail.topic, detail.logs, detail.sizes))

    async def update_instance_topic(self, request: Request) -> Response:
        instance = await self._changeable(request)
        changes = wire.decode_update(request.json(wire.UpdateTopicsBody))
        failed = await self._topics.update(instance, changes, wire.max_partitions(instance))
        if not failed:
            return NO_CONTENT  # [O] Terraform takes nothing else
        rows = tuple(
            wire.FailedTopicBody(id=name, error_code=code, error_msg=text)
            for name, refused in failed.items()
            for code, text in [error_texts(refused, in_chinese=request.wants_chinese)]
        )
        return json_response(wire.FailedTopicsBody(rows), 206)  # [O] where some could not be

    async def batch_delete_instance_topic(self, request: Request) -> Response:
        instance = await self._changeable(request)
        names = wire.decode_delete(request.json(wire.DeleteTopicsBody))
        outcomes = await self._topics.delete(instance, names)
        rows = tuple(_deleted(request, name, refused) for name, refused in outcomes.items())
        return json_response(wire.DeletedTopicsBody(rows))

    async def create_partition(self, request: Request) -> Response:
        instance = await self._changeable(request)
        count = wire.decode_add_partitions(request.json(wire.CreatePartitionBody))
        await self._topics.add_partitions(
            instance, request.parameters["topic"], count, wire.max_partitions(instance)
        )
        return NO_CONTENT

    async def _changeable(self, request: Request) -> Instance:
        require_operator(request.who)
        return await self._topics.instance(request.project_id, request.instance_id)


def _deleted(request: Request, name: str, refused: Refused | None) -> wire.DeletedTopicBody:
    if refused is None:
        return wire.DeletedTopicBody(id=name, success=True)
    code, text = error_texts(refused, in_chinese=request.wants_chinese)
    return wire.DeletedTopicBody(id=name, success=False, error_code=code, error_msg=text)
