"""Doing something to many tasks: those ticked at once, or all that match as a task of its own."""

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from backroom.console.asking import client_token, decode_reason, new_once, status_of
from backroom.console.deeds import BY_NAME, CANCEL, DELETE, RETRY, Deed
from backroom.console.filters import Filter, decode_filter, narrowed
from backroom.console.searching import PAGE, total
from backroom.console.surroundings import Surroundings
from backroom.console.visits import Pairs, Visit, led_to
from backroom.domain.account import require_operator
from backroom.domain.errors import InvalidInput, Refused
from backroom.domain.ids import TaskId
from backroom.operations.bulk import BULK_MOST
from backroom.service import Bulk, Retry

TICKED_MOST: Final = PAGE


class Outcome(msgspec.Struct, frozen=True):
    """`made` is the task that does it again; `problem` why nothing was done."""

    task_id: str
    made: str = ""
    problem: str = ""


class BulkPages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def confirm(self, visit: Visit) -> Response:
        """Of all that match the filter in the URL."""
        require_operator(visit.session.identity)
        return await self._page(visit, visit.query)

    async def submit(self, visit: Visit) -> Response:
        require_operator(visit.session.identity)
        deed = _deed(visit.form)
        wanted = narrowed(decode_filter(visit.form), deed.states)
        try:
            bulk = self._bulk(visit, deed, wanted)
            submitted = await self._around.service.submit_bulk(visit.session.identity, bulk)
        except Refused as error:
            return await self._page(visit, visit.form, error)
        return led_to(visit, f"/console/tasks/{submitted.task_id}?made=1")

    async def selected(self, visit: Visit) -> Response:
        """Of those ticked; first a page that asks, then one that tells what became of each."""
        require_operator(visit.session.identity)
        deed = _deed(visit.form)
        if visit.value("all"):
            filtered = [pair for pair in visit.form if pair[0] != "id"]
            return await self._page(visit, filtered)
        ids = list(dict.fromkeys(visit.values("id")))[:TICKED_MOST]
        context = {"deed": deed, "ids": ids, "outcomes": None, "back": visit.value("back")}
        if visit.value("sure") and ids:
            reason = decode_reason(visit.value("reason"))
            context["outcomes"] = [await self._treat(visit, deed, one, reason) for one in ids]
        return visit.page("ticked.html", context)

    def _bulk(self, visit: Visit, deed: Deed, wanted: Filter) -> Bulk:
        if not wanted.states:
            raise InvalidInput("state", f"may be {' or '.join(deed.states)} here")
        public = wanted.public
        reason = decode_reason(visit.value("reason"))
        return Bulk(
            wanted=wanted.search(visit.project_id),
            public=public,
            retry=deed is RETRY,
            delete=deed is DELETE,
            reason=reason,
            request_id=visit.request.scope["backroom.request_id"],
            client_token=client_token(visit, msgspec.json.encode((deed.name, public, reason))),
        )

    async def _page(self, visit: Visit, asked: Pairs, error: Refused | None = None) -> Response:
        deed = _deed(asked)
        given = decode_filter(asked)
        wanted = narrowed(given, deed.states)
        is_nothing = not wanted.states
        count = 0 if is_nothing else await total(self._around, wanted.search(visit.project_id))
        context = {
            "deed": deed,
            "filter": wanted,
            "given": given,
            "count": count,
            "most": BULK_MOST,
            "problem": "",
            "code": "",
            "once": new_once(),
        }
        if error is not None:
            code, text = self._around.error_texts(error, in_chinese=visit.in_chinese)
            context |= {"problem": text, "code": code}
        return visit.page("bulk.html", context, status_of(error))

    async def _treat(self, visit: Visit, deed: Deed, text: str, reason: str | None) -> Outcome:
        try:
            return Outcome(text, await self._do(visit, deed, TaskId(text), reason))
        except Refused as error:
            _, words = self._around.error_texts(error, in_chinese=visit.in_chinese)
            return Outcome(text, problem=words)

    async def _do(self, visit: Visit, deed: Deed, task_id: TaskId, reason: str | None) -> str:
        identity, service = visit.session.identity, self._around.service
        if deed is CANCEL:
            await service.cancel(identity, task_id, reason)
            return ""
        if deed is RETRY:
            return (await service.retry(identity, task_id, Retry(reason=reason))).task_id
        task = (await service.full(visit.project_id, task_id)).progress.task
        await service.delete(identity, task.instance_id, task_id, task.kind)
        return ""


def _deed(pairs: Pairs) -> Deed:
    name = next((value for key, value in pairs if key == "action"), "")
    deed = BY_NAME.get(name)
    if deed is None or not deed.is_bulk:
        raise HTTPException(404)
    return deed
