"""The calls that commands make: the official ones, and those of the native API by their own names.

They answer with the JSON as it came; what is not there raises CallRefused with status 404.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import msgspec

from backroom.cli import shapes
from backroom.cli.client import Answer, Call, Client, quoted
from backroom.cli.exits import CallRefused, NoNativeApi, NotTheApi
from backroom.cli.sentences import tell
from backroom.cli.shapes import shaped
from backroom.wire.answers import PUBLIC_ACCESS_PATH, scheduled_tasks
from backroom.wire.signing_requests import Headers

Record = dict[str, Any]

TASKS_PAGE: Final = 100  # [O] the most that the lists of tasks give at once
INSTANCES_PAGE: Final = 50  # [D]
TOPICS_PAGE: Final = 200  # [D]
SEARCH_PAGE: Final = 100

REASON_HEADER: Final = "X-Backroom-Reason"
TOKEN_HEADER: Final = "X-Client-Token"  # noqa: S105  a header's name
TOKEN_LENGTH: Final = 32


class Purpose(msgspec.Struct, frozen=True):
    """Of one run of a command: why, and what makes its changes safe to repeat.

    `is_repeatable`: the token was said, so another run may have it, too.
    """

    token: str
    reason: str | None = None
    is_repeatable: bool = False

    def headers(self, call: Call) -> Headers:
        """A token of its own for each change that the run makes."""
        what = f"{self.token}\n{call.method}\n{call.target}\n".encode() + call.body
        headers = [(TOKEN_HEADER, sha256(what).hexdigest()[:TOKEN_LENGTH])]
        if self.reason is not None:
            headers.append((REASON_HEADER, quote(self.reason, safe=" ")))
        return headers


class Calls:
    """The official calls first, then the native ones."""

    def __init__(self, client: Client, purpose: Purpose | None = None) -> None:
        self.client = client
        self.purpose = purpose
        self._v2 = f"/v2/{quoted(client.server.project_id)}"
        self._native = f"/backroom/v1/{quoted(client.server.project_id)}"

    def list_tasks(
        self, instance_id: str, most: int | None, times: Mapping[str, str]
    ) -> tuple[list[Record], int]:
        """Newest first, and how many there are. `most` None: all of them."""
        path = f"{self._instance(instance_id)}/tasks"
        return self._pages(path, most, times, _official_tasks)

    def list_scheduled(self, instance_id: str, most: int | None) -> tuple[list[Record], int]:
        path = f"{self._instance(instance_id)}/scheduled-tasks"
        return self._pages(path, most, {}, _scheduled_tasks)

    def _pages(
        self,
        path: str,
        most: int | None,
        times: Mapping[str, str],
        taken: Callable[[Record], tuple[list[Record], int]],
    ) -> tuple[list[Record], int]:
        found: list[Record] = []
        while True:
            limit = TASKS_PAGE if most is None else min(TASKS_PAGE, most - len(found))
            query = {"start": str(len(found) + 1), "limit": str(limit), **times}
            page, total = taken(self._get(path, query).json)
            found += page
            if not page or len(found) >= (total if most is None else min(most, total)):
                return found, total

    def show_task(self, instance_id: str, task_id: str) -> Record:
        path = f"{self._instance(instance_id)}/tasks/{quoted(task_id)}"
        body = shaped(self._get(path).json, shapes.OneOfficialTask)
        task: Record = body["tasks"][0]
        return task

    def progress(self, instance_id: str, task_id: str) -> Record | None:
        """None for a task of a kind that has none."""
        path = f"{self._instance(instance_id)}/tasks/{quoted(task_id)}/progress"
        try:
            body: Record = shaped(self._get(path).json, shapes.OfficialProgress)
        except CallRefused as error:
            if error.status == HTTPStatus.BAD_REQUEST:
                return None
            raise
        return body

    def delete_task(self, instance_id: str, task_id: str, *, is_scheduled: bool = False) -> None:
        kind = "scheduled-tasks" if is_scheduled else "tasks"
        self._change("DELETE", f"{self._instance(instance_id)}/{kind}/{quoted(task_id)}")

    def update_scheduled(self, instance_id: str, task_id: str, query: Mapping[str, str]) -> None:
        path = f"{self._instance(instance_id)}/scheduled-tasks/{quoted(task_id)}"
        self._change("PUT", path, query=query)

    def list_instances(self, **query: str) -> list[Record]:
        found: list[Record] = []
        while True:
            page = {"offset": str(len(found)), "limit": str(INSTANCES_PAGE)}
            answer = self._get(f"{self._v2}/instances", {"engine": "kafka", **page, **query})
            body = shaped(answer.json, shapes.Instances)
            found += body["instances"]
            if not body["instances"] or len(found) >= body["instance_num"]:
                return found

    def show_instance(self, instance_id: str) -> Record:
        body: Record = shaped(self._get(self._instance(instance_id)).json, shapes.Instance)
        return body

    def create_instance(self, content: Mapping[str, Any]) -> Answer:
        return self._change("POST", f"{self._v2}/kafka/instances", content)

    def act_on_instances(self, action: str, ids: Sequence[str]) -> Answer:
        content = {"action": action, "instances": list(ids)}
        return self._change("POST", f"{self._v2}/instances/action", content)

    def extend_instance(self, instance_id: str, content: Mapping[str, Any]) -> Answer:
        path = f"{self._v2}/kafka/instances/{quoted(instance_id)}/extend"
        return self._change("POST", path, content)

    def switch_public_ip(self, instance_id: str, content: Mapping[str, Any]) -> Answer:
        project = quoted(self.client.server.project_id)
        path = f"/v1/{project}/instances/{quoted(instance_id)}/{PUBLIC_ACCESS_PATH}"
        return self._change("POST", path, content)

    def list_topics(self, instance_id: str) -> list[Record]:
        found: list[Record] = []
        while True:
            page = {"offset": str(len(found)), "limit": str(TOPICS_PAGE)}
            answer = self._get(f"{self._instance(instance_id)}/topics", page)
            body = shaped(answer.json, shapes.Topics)
            found += body["topics"]
            if not body["topics"] or len(found) >= body["total"]:
                return found

    def show_topic(self, instance_id: str, topic: str) -> Record:
        path = f"{self._instance(instance_id)}/management/topics/{quoted(topic)}"
        body: Record = shaped(self._get(path).json, shapes.Topic)
        return body

    def create_topic(self, instance_id: str, content: Mapping[str, Any]) -> Record:
        answer = self._change("POST", f"{self._instance(instance_id)}/topics", content)
        body: Record = answer.json
        return body

    def delete_topics(self, instance_id: str, names: Sequence[str]) -> list[Record]:
        path = f"{self._instance(instance_id)}/topics/delete"
        answer = self._change("POST", path, {"topics": list(names)})
        body = shaped(answer.json, shapes.DeletedTopics)
        results: list[Record] = body["topics"]
        return results

    def reassign(self, instance_id: str, content: Mapping[str, Any]) -> Answer:
        path = f"{self._v2}/kafka/instances/{quoted(instance_id)}/reassign"
        return self._change("POST", path, content)

    def search(self, query: Mapping[str, str], most: int | None) -> tuple[list[Record], bool]:
        """Newest first, and whether there are more. `most` None: all of them."""
        found: list[Record] = []
        for page, has_more in self.search_pages(query, most):
            found += page
            if most is not None and len(found) >= most:
                return found[:most], has_more or len(found) > most
        return found, False

    def search_pages(
        self, query: Mapping[str, str], most: int | None = None
    ) -> Iterator[tuple[list[Record], bool]]:
        limit = SEARCH_PAGE if most is None else min(most, SEARCH_PAGE)
        cursor: Mapping[str, str] = {}
        while True:
            asked = {**query, **cursor, "limit": str(limit)}
            answer = self._native_call("tasks", Call(path=f"{self._native}/tasks", query=asked))
            body = shaped(answer.json, shapes.FoundTasks)
            if body["cursor"] is not None and body["cursor"] == cursor.get("cursor"):
                raise NotTheApi(tell("not the api", why="the same cursor twice"))
            yield body["tasks"], body["cursor"] is not None
            if body["cursor"] is None:
                return
            cursor = {"cursor": body["cursor"]}

    def full_task(self, task_id: str) -> Record:
        path = f"{self._native}/tasks/{quoted(task_id)}"
        body: Record = shaped(self._native_call("show", Call(path=path)).json, shapes.FullTask)
        return body

    def cancel(self, task_id: str) -> Record:
        return self._act(task_id, "cancel", {})

    def retry(self, task_id: str, *, from_step: bool) -> Record:
        return self._act(task_id, "retry", {"from_step": from_step})

    def act_on_matching(
        self, action: str, matching: Mapping[str, str], content: Mapping[str, Any]
    ) -> str:
        """The id of the bulk task that cancels, retries or deletes all that is found now."""
        path = f"{self._native}/tasks/bulk-{action}"
        asked = {**content, "filter": matching, "reason": self._reason}
        body = shaped(self._change("POST", path, asked).json, shapes.TaskId)
        return str(body["task_id"])

    @property
    def is_repeatable(self) -> bool:
        """Whether another run makes the same changes once with this one."""
        return self.purpose is not None and self.purpose.is_repeatable

    def _act(self, task_id: str, action: str, content: Mapping[str, Any]) -> Record:
        self.require_native(action)
        path = f"{self._native}/tasks/{quoted(task_id)}/{action}"
        answer = self._change("POST", path, {**content, "reason": self._reason})
        body: Record = shaped(answer.json, shapes.TaskId)
        return body

    @property
    def _reason(self) -> str | None:
        return None if self.purpose is None else self.purpose.reason

    def events_of_task(self, task_id: str) -> list[Record]:
        """The first thousand of them."""
        path = f"{self._native}/tasks/{quoted(task_id)}/events"
        call = Call(path=path, query={"limit": "1000"})
        body: Record = shaped(self._native_call("events", call).json, shapes.Events)
        events: list[Record] = body["events"]
        return events

    def stream(self, after: int, instance_id: str | None = None) -> Iterator[Record]:
        below = "" if instance_id is None else f"/instances/{quoted(instance_id)}"
        for event in self.client.events(f"{self._native}{below}/events", after):
            yield shaped(event, shapes.Event)

    def require_native(self, what: str) -> None:
        """Before anything is asked that the real service would answer by a plain 404."""
        if not self.client.is_backroom:
            raise NoNativeApi(tell("no native", endpoint=self.client.shown_endpoint, what=what))

    def _native_call(self, what: str, call: Call) -> Answer:
        self.require_native(what)
        return self.client.call(call)

    def _instance(self, instance_id: str) -> str:
        return f"{self._v2}/instances/{quoted(instance_id)}"

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        return self.client.call(Call(path=path, query=query or {}))

    def _change(
        self, method: str, path: str, content: Any = None, query: Mapping[str, str] | None = None
    ) -> Answer:
        call = Call(method=method, path=path, query=query or {}, content=content)
        if self.purpose is not None:
            call = msgspec.structs.replace(call, headers=self.purpose.headers(call))
        return self.client.call(call)


def _official_tasks(body: Record) -> tuple[list[Record], int]:
    found = shaped(body, shapes.OfficialTasks)
    return found["tasks"], int(found["task_count"])


def _scheduled_tasks(body: Record) -> tuple[list[Record], int]:
    try:
        tasks, count = scheduled_tasks(body)
    except (TypeError, ValueError) as error:
        raise NotTheApi(tell("not the api", why=error)) from None
    return shaped(tasks, list[shapes.Scheduled]), count
