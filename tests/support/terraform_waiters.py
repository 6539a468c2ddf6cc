"""How Terraform's provider waits, said again in Python: what a poll makes of our answers.

From its source, services/kafka at a0345b8 (2026-08-21) and before its change #10075 (2026-07-03),
services/rocketmq at a0345b8, and from terraform-plugin-sdk v2, helper/retry/state.go. Go's type
assertions are kept: what would panic there raises TypeError here.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Any

NOT_FOUND_CHECKS = 20
UNKNOWN: tuple[str, ...] = ("DELETED", "FAILED")


@unique
class Verdict(Enum):
    PENDING = "goes on waiting"
    DONE = "is done"
    FAILED = "ends with an error"


class Refused(Exception):
    """What golangsdk calls ErrDefault404 and so on."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Api:
    """golangsdk's client: a GET that is not 200 is an error."""

    caller: Any
    instance_path: str

    def get(self, path: str = "") -> Any:
        answer = self.caller.get(f"{self.instance_path}{path}")
        if answer.status != 200:
            raise Refused(answer.status)
        return answer.json


Refreshed = tuple[Any, str]
Refresh = Callable[[Api], Refreshed]


@dataclass
class Waiter:
    """StateChangeConf; `refresh` returns what was found (None: nothing) and its state."""

    refresh: Refresh
    pending: Collection[str]
    target: Collection[str]
    not_found: int = field(default=0, init=False)

    def poll(self, api: Api) -> Verdict:
        try:
            found, state = self.refresh(api)
        except Refused:
            return Verdict.FAILED
        if found is None:
            self.not_found += 1
            return Verdict.FAILED if self.not_found > NOT_FOUND_CHECKS else Verdict.PENDING
        self.not_found = 0
        if state in self.target:
            return Verdict.DONE
        return Verdict.PENDING if state in self.pending else Verdict.FAILED


def text(value: Any) -> str:
    """`.(string)`: panics on anything else."""
    if not isinstance(value, str):
        raise TypeError(f"interface conversion: {value!r} is not string")
    return value


def _judged(found: Any, status: str) -> Refreshed:
    """Since #10075: FAILED and DELETED are errors, SUCCESS is the end, all else is pending."""
    if status in UNKNOWN:
        raise Refused(200)
    return found, "COMPLETED" if status == "SUCCESS" else "PENDING"


def by_id(task_id: str) -> Waiter:
    def refresh(api: Api) -> Refreshed:
        body = api.get(f"/tasks/{task_id}")
        return _judged(body, text(body["tasks"][0]["status"]))

    return Waiter(refresh, {"PENDING"}, {"COMPLETED"})


def by_id_before(task_id: str, pending: Collection[str] = ("CREATED",)) -> Waiter:
    """Before #10075: parameters, ports, quotas with CREATED only, reassignment with both."""

    def refresh(api: Api) -> Refreshed:
        tasks = api.get(f"/tasks/{task_id}")["tasks"]
        if not tasks:
            raise Refused(200)
        return tasks[0], text(tasks[0]["status"])

    return Waiter(refresh, pending, {"SUCCESS"})


def every_task(api: Api) -> list[Any]:
    """100 at a time until a page is short."""
    found: list[Any] = []
    while True:
        page = api.get(f"/tasks?limit=100&start={1 + len(found)}")["tasks"]
        found += page
        if len(page) < 100:
            return found


def background_tasks(api: Api) -> list[Any]:
    """The data source: 10 at a time until the total is reached; the total must be a text."""
    found: list[Any] = []
    start = 1
    while True:
        body = api.get(f"/tasks?limit=10&start={start}")
        found += body["tasks"]
        start += len(body["tasks"])
        if int(text(body["task_count"])) <= start - 1:
            return found


def by_name(name: str) -> Waiter:
    def refresh(api: Api) -> Refreshed:
        found = next((task for task in every_task(api) if task["name"] == name), None)
        return _judged(found, "" if found is None else text(found["status"]))

    return Waiter(refresh, {"PENDING"}, {"COMPLETED"})


def by_name_before(name: str) -> Waiter:
    """The first page only, and no patience: also how RabbitMQ and RocketMQ wait for addresses."""

    def refresh(api: Api) -> Refreshed:
        found = next((task for task in api.get("/tasks")["tasks"] if task["name"] == name), None)
        if found is None:
            raise Refused(200)
        return found, text(found["status"])

    return Waiter(refresh, {"CREATED"}, {"SUCCESS"})


def _status(api: Api) -> Refreshed:
    try:
        shown = api.get()
    except Refused as refused:
        if refused.status == 404:
            return {}, "DELETED"  # golangsdk hands over an empty struct, not nil
        raise
    return shown, text(shown["status"])


def instance_before(pending: str) -> Waiter:
    """CREATING or RESTARTING, then RUNNING."""
    return Waiter(_status, {pending}, {"RUNNING"})


def instance() -> Waiter:
    def refresh(api: Api) -> Refreshed:
        try:
            shown = api.get()
        except Refused as refused:
            if refused.status == 404:
                return None, "DELETED"
            raise
        if shown["status"] in ("ERROR", "EXTENDEDFAILED", "FROZEN"):
            raise Refused(200)
        return shown, "COMPLETED" if shown["status"] == "RUNNING" else "PENDING"

    return Waiter(refresh, {"PENDING"}, {"COMPLETED"})


def instance_action() -> Waiter:
    def refresh(api: Api) -> Refreshed:
        shown, status = _status(api)
        is_over = status in ("DELETED", "RUNNING", "RECYCLE")
        return shown, "COMPLETED" if is_over else "PENDING"

    return Waiter(refresh, {"PENDING"}, {"COMPLETED"})


def instance_gone() -> Waiter:
    return Waiter(_status, {"DELETING", "RUNNING", "ERROR"}, {"DELETED"})


def ports_bound() -> Waiter:
    def refresh(api: Api) -> Refreshed:
        shown = api.get()
        return shown, "BOUND" if text(shown["cross_vpc_info"]) else "PENDING"

    return Waiter(refresh, {"PENDING"}, {"BOUND"})


def resized(key: str, value: Any) -> Waiter:
    """Until it has the size that was asked for, its status is not even looked at."""

    def refresh(api: Api) -> Refreshed:
        shown = api.get()
        return shown, "PENDING" if shown[key] != value else text(shown["status"])

    return Waiter(refresh, {"PENDING", "EXTENDING"}, {"RUNNING"})
