"""Where a follower sees tasks: through the native API, or through official calls alone."""

import queue
import random
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

import msgspec

from backroom.cli.calls import Calls, Record
from backroom.cli.client import Client
from backroom.cli.exits import CallFailed
from backroom.cli.sentences import tell
from backroom.wire.answers import steps_of

FINAL_STATES: Final = frozenset({"succeeded", "failed", "cancelled"})
SAFETY_S: Final = 15.0  # without news, all is looked at again
AGAIN_S: Final = 2.0  # until a broken stream is opened again
CLOSED_WITHIN_S: Final = 1.0  # a thread that is late dies with the command
POLL_FIRST_S: Final = 2.0
POLL_GROWTH: Final = 1.5
POLL_MOST_S: Final = 15.0
IN_FLIGHT_MOST: Final = 200

_STATES: Final = {
    "SUCCESS": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "DELETED": "failed",  # [D] a status; what it ended as is not told any more
}


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it was seen. `word` is the server's own; `state` is ours, in flight if not final.

    None where the API tells nothing.
    """

    id: str
    name: str
    word: str
    state: str
    instance_id: str = ""
    step: str | None = None
    percent: int | None = None
    remaining_s: float | None = None
    why: str | None = None
    began_at: str | None = None
    ended_at: str | None = None
    record: Record = {}

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


class Source(Protocol):
    """`may_refresh`: a look more often than its news say costs nobody much."""

    may_refresh: bool

    def look(self, task_id: str) -> Sighting:
        """Raises CallFailed."""

    def in_flight(self) -> list[Sighting]:
        """What has not ended, oldest first, at most IN_FLIGHT_MOST."""

    def news(self, within_s: float) -> set[str] | None:
        """Wait; the tasks that something happened to, or None: look at all."""

    def close(self) -> None: ...


class NativeSource:
    """One stream of the project's events is the bell for any number of tasks."""

    may_refresh = True

    def __init__(self, calls: Calls, instance_id: str | None = None) -> None:
        self._calls = calls
        self._instance_id = instance_id
        self._rung: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ringer = Client(calls.client.server)
        self._over = threading.Event()
        self._all_again_at = time.monotonic() + SAFETY_S

    def look(self, task_id: str) -> Sighting:
        seen = seen_natively(self._calls.full_task(task_id))
        if seen.is_final or self._thread is not None:
            return seen
        self._listen(task_id)
        return seen_natively(self._calls.full_task(task_id))

    def in_flight(self) -> list[Sighting]:
        wanted = {"state": "waiting,running"}
        if self._instance_id is not None:
            wanted["instance_id"] = self._instance_id
        found, _ = self._calls.search(wanted, IN_FLIGHT_MOST)
        newest = found or self._calls.search({}, 1)[0]
        if newest:
            self._listen(newest[0]["id"])
        return [seen_natively(record) for record in reversed(found)]

    def news(self, within_s: float) -> set[str] | None:
        rung: list[str | None] = []
        try:
            rung.append(self._rung.get(timeout=min(within_s, SAFETY_S)))
            while True:
                rung.append(self._rung.get_nowait())
        except queue.Empty:
            pass
        if None in rung or time.monotonic() >= self._all_again_at:
            self._all_again_at = time.monotonic() + SAFETY_S
            return None
        return {task_id for task_id in rung if task_id is not None}

    def close(self) -> None:
        self._over.set()
        self._ringer.interrupt()
        if self._thread is not None:
            self._thread.join(CLOSED_WITHIN_S)

    def _listen(self, task_id: str) -> None:
        """From the task's last event on; what is looked at after that misses nothing."""
        if self._thread is not None:
            return
        events = self._calls.events_of_task(task_id)
        after = events[-1]["sequence"] if events else 0
        self._thread = threading.Thread(target=self._ring, args=(after,), daemon=True)
        self._thread.start()

    def _ring(self, after: int) -> None:
        calls = Calls(self._ringer)
        while not self._over.is_set():
            try:
                for event in calls.stream(after, self._instance_id):
                    after = event["sequence"]
                    self._rung.put(event["task_id"])
            except CallFailed:
                pass  # whoever looks is told
            self._over.wait(AGAIN_S)
            self._rung.put(None)


class OfficialSource:
    """Polls, ever more seldom: the real service has nothing to wait on."""

    may_refresh = False

    def __init__(self, calls: Calls, instance_id: str, interval_s: float | None = None) -> None:
        self._calls = calls
        self._instance_id = instance_id
        self._interval_s = interval_s
        self._delay_s = POLL_FIRST_S
        self._again_at = time.monotonic() + self._next_s()
        self._without_progress: set[str] = set()
        self._over = threading.Event()

    def look(self, task_id: str) -> Sighting:
        record = self._calls.show_task(self._instance_id, task_id)
        seen = seen_officially(record, self._instance_id)
        kind = seen.name or seen.id
        if seen.is_final or kind in self._without_progress:
            return seen
        told = self._calls.progress(self._instance_id, task_id)
        if told is None:
            self._without_progress.add(kind)
            return seen
        return with_progress(seen, told)

    def in_flight(self) -> list[Sighting]:
        records, _ = self._calls.list_tasks(self._instance_id, 100, {})
        seen = [seen_officially(record, self._instance_id) for record in reversed(records)]
        return [sighting for sighting in seen if not sighting.is_final]

    def news(self, within_s: float) -> set[str] | None:
        left_s = self._again_at - time.monotonic()
        if within_s < left_s:
            self._over.wait(within_s)
            return set()
        self._over.wait(max(0.0, left_s))
        self._delay_s = min(self._delay_s * POLL_GROWTH, POLL_MOST_S)
        self._again_at = time.monotonic() + self._next_s()
        return None

    def _next_s(self) -> float:
        return self._interval_s or self._delay_s * random.uniform(0.8, 1.2)  # noqa: S311  jitter

    def close(self) -> None:
        self._over.set()


def seen_natively(record: Record) -> Sighting:
    """Of a full record, or of a search's."""
    state = record["state"]
    is_final = state in FINAL_STATES
    progress = record.get("progress") or {}
    return Sighting(
        id=record["id"],
        name=record["name"],
        instance_id=record["instance_id"],
        word=state,
        state=state,
        step=_step(record.get("steps", ()), "state", "running"),
        percent=progress.get("percent"),
        remaining_s=None if is_final else progress.get("remaining_s"),
        why=_why(record),
        began_at=record["created_at"],
        ended_at=record["ended_at"],
        record=record,
    )


def seen_officially(record: Record, instance_id: str) -> Sighting:
    state = _STATES.get(record["status"], "in flight")
    is_final = state in FINAL_STATES
    return Sighting(
        id=record["id"],
        name=record.get("name") or "",
        instance_id=instance_id,
        word=record["status"],
        state=state,
        why=None if state == "succeeded" or not is_final else tell("reason unknown"),
        began_at=record.get("created_at"),
        ended_at=record.get("updated_at") if is_final else None,
        record=record,
    )


def with_progress(seen: Sighting, told: Record) -> Sighting:
    return msgspec.structs.replace(
        seen,
        step=_step(steps_of(told), "status", "IN_PROGRESS"),
        percent=told.get("progress_percentage"),
        remaining_s=told.get("remain_time"),
    )


def _step(steps: Iterable[Record], key: str, running: str) -> str | None:
    return next((str(step.get("name")) for step in steps if step.get(key) == running), None)


def _why(record: Record) -> str | None:
    """Why it ended as it did; while it waits, why it does."""
    if record["error_code"] or record["error_msg"]:
        return " ".join(filter(None, (record["error_code"], record["error_msg"])))
    if record["state"] == "cancelled":
        return record["reason"] or tell("no reason")
    waits: Any = record.get("waits")
    return None if not waits else str(waits["why"])
