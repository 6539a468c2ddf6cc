"""Doing something to one task: a page that says what will happen, then the deed."""

import re
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backroom.console.asking import client_token, decode_reason, new_once, status_of
from backroom.console.deeds import BY_NAME, CANCEL, DELETE, MOVE, RETRY, RETRY_STEP, Deed, possible
from backroom.console.filters import decode_moment
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Visit, led_to
from backroom.domain.account import require_operator
from backroom.domain.errors import InvalidInput, Refused
from backroom.domain.ids import InstanceId, TaskId
from backroom.domain.task import Kind
from backroom.service import ClientToken, Move, Retry

_VERSION: Final = re.compile(r"[0-9]{1,9}")


class ActionPages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def confirm(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        return await self._page(visit, _deed(visit))

    async def act(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        deed = _deed(visit)
        try:
            target = await self._do(visit, deed)
        except Refused as error:
            return await self._page(visit, deed, error)
        return led_to(visit, target)

    async def _do(self, visit: Visit, deed: Deed) -> str:
        """Where to go then."""
        identity, service = visit.session.identity, self._around.service
        task_id = TaskId(visit.request.path_params["task_id"])
        reason = decode_reason(visit.value("reason"))
        if deed is CANCEL:
            await service.cancel(identity, task_id, reason)
            return f"/console/tasks/{task_id}"
        if deed is DELETE:
            record = await self._record(visit)
            instance_id, kind = InstanceId(record["instance_id"]), Kind(record["kind"])
            await service.delete(identity, instance_id, task_id, kind)
            return "/console/tasks"
        if deed is MOVE:
            await self._move(visit, task_id, reason)
            return f"/console/tasks/{task_id}"
        again = Retry(
            from_step=deed is not RETRY,
            reason=reason,
            request_id=visit.request.scope["backroom.request_id"],
            client_token=_client_token(visit, task_id, deed),
        )
        submitted = await service.retry(identity, task_id, again)
        return f"/console/tasks/{submitted.task_id}?made=1"

    async def _move(self, visit: Visit, task_id: TaskId, reason: str | None) -> None:
        execute_at = decode_moment("execute_at", visit.value("at").strip())
        if execute_at is None:
            raise InvalidInput("execute_at", "is missing")
        record = await self._record(visit)
        seen = visit.value("version")
        move = Move(
            execute_at=execute_at,
            reason=reason,
            seen_version=int(seen) if _VERSION.fullmatch(seen) else None,
        )
        instance_id = InstanceId(record["instance_id"])
        await self._around.service.reschedule(visit.session.identity, instance_id, task_id, move)

    async def _page(self, visit: Visit, deed: Deed, error: Refused | None = None) -> Response:
        record = await self._record(visit)
        context: dict[str, Any] = {
            "task": record,
            "deed": deed,
            "is_possible": deed in possible(record),
            "problem": "",
            "code": "",
            "current": None,
            "reason": visit.value("reason"),
            "once": new_once(),
            "at": visit.value("at") or record["execute_at"] or "",
            "wrong": "",
        }
        if error is not None:
            code, text = self._around.error_texts(error, in_chinese=visit.in_chinese)
            context |= {"problem": text, "code": code, "once": new_once()}
            context["wrong"] = getattr(error, "parameter", "")
            if deed is RETRY or deed is RETRY_STEP:
                context["current"] = await self._in_the_way(visit, record)
        return visit.page("confirm.html", context, status_of(error))

    async def _in_the_way(self, visit: Visit, record: dict[str, Any]) -> Any:
        """The task that holds the instance now, if there is another."""
        instance_id = InstanceId(record["instance_id"])
        instance = await self._around.instances.get(visit.project_id, instance_id)
        if instance is None:
            return None
        _, current = await self._around.shown.show(visit.project_id, instance_id)
        return None if current is None or current.id == record["id"] else current

    async def _record(self, visit: Visit) -> dict[str, Any]:
        record: dict[str, Any] = await self._around.calls.call(
            visit.session.identity, "ShowTask", {"task_id": visit.request.path_params["task_id"]}
        )
        return record


def _deed(visit: Visit) -> Deed:
    deed = BY_NAME.get(visit.request.path_params["action"])
    if deed is None:
        raise HTTPException(404)
    return deed


def _client_token(visit: Visit, task_id: TaskId, deed: Deed) -> ClientToken | None:
    asked = msgspec.json.encode((task_id, deed.name, visit.value("reason")))
    return client_token(visit, asked)
