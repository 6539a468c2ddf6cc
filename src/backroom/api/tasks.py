"""Background and scheduled tasks: show, list, progress, delete, change of a schedule."""

from backroom.api.exchange import NO_CONTENT, Request, Response, json_response
from backroom.domain.task import Kind
from backroom.operations.catalogue import CATALOGUE
from backroom.ports import Clock
from backroom.service import TaskService
from backroom.wire import tasks as wire


class TaskHandlers:
    def __init__(self, service: TaskService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def show_background_task(self, request: Request) -> Response:
        record = await self._service.show(request.project_id, request.instance_id, request.task_id)
        return json_response(wire.encode_one(record))

    async def list_background_tasks(self, request: Request) -> Response:
        wanted, page = wire.decode_list(
            request.query(), request.project_id, request.instance_id, Kind.BACKGROUND
        )
        return json_response(wire.encode_page(await self._service.list(wanted, page)))

    async def delete_background_task(self, request: Request) -> Response:
        await self._service.delete(
            request.who, request.instance_id, request.task_id, Kind.BACKGROUND
        )
        return NO_CONTENT

    async def show_background_task_progress(self, request: Request) -> Response:
        found = await self._service.progress(
            request.project_id, request.instance_id, request.task_id
        )
        operation = CATALOGUE[found.task.name]
        return json_response(
            wire.encode_progress(operation, found.task, found.history, self._clock.now())
        )

    async def list_scheduled_tasks(self, request: Request) -> Response:
        wanted, page = wire.decode_list(
            request.query(), request.project_id, request.instance_id, Kind.SCHEDULED
        )
        return json_response(wire.encode_scheduled_page(await self._service.list(wanted, page)))

    async def update_scheduled_task(self, request: Request) -> Response:
        update = wire.decode_schedule_update(request.query())
        if update.execute_at is None:
            await self._service.cancel_schedule(request.who, request.instance_id, request.task_id)
        else:
            await self._service.reschedule(
                request.who, request.instance_id, request.task_id, update.execute_at
            )
        return NO_CONTENT

    async def delete_scheduled_task(self, request: Request) -> Response:
        await self._service.delete(
            request.who, request.instance_id, request.task_id, Kind.SCHEDULED
        )
        return NO_CONTENT
