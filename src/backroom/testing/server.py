"""A whole server on a free port in a thread of this process, with an event loop of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backroom.domain.errors import InvalidInput
from backroom.domain.filter import Page
from backroom.domain.ids import ProjectId
from backroom.domain.instance import InstanceFilter
from backroom.domain.seed import Seed
from backroom.domain.transition import (
    IMMEDIATE,
    SIMULATED,
    Transition,
    TransitionPlan,
)
from backroom.environment import environment
from backroom.server import running
from backroom.settings import TLS_FOLDER, EmulatorSettings, Settings
from backroom.testing.tasks import TaskView, timeline_of, view_of
from backroom.wire.emulator import decode_advance_s, decode_plan, decode_speed, encode_plan
from backroom.wire.faults import FaultBody, RateLimitBody, decode_fault, decode_rate
from backroom.wire.seed import decode_seed

if TYPE_CHECKING:
    from backroom.bootstrap import Backroom
    from backroom.emulator.controls import Emulator

T = TypeVar("T")

READY_WITHIN_S = 30.0
ENDS_WITHIN_S = 30.0


class StillBusy(AssertionError):
    """Tasks are left that can't go on by themselves."""


@dataclass(frozen=True)
class _Live:
    backroom: "Backroom"
    emulator: "Emulator"
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    endpoint: str
    variables: Mapping[str, str]


class InProcessServer:
    """Open, with one project, one admin's key and nothing else in it; all of it in memory.

    Every task ends at once until `transitions` are told otherwise.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self._tls = tls
        self._folder: TemporaryDirectory[str] | None = None
        self._thread: threading.Thread | None = None
        self._live: _Live | None = None

    def start(self) -> "InProcessServer":
        self._folder = TemporaryDirectory(prefix="backroom-")
        settings = Settings(
            data=Path(self._folder.name),
            database="sqlite://",
            port=0,
            is_plain_http=not self._tls,
            is_empty=True,
            emulator=EmulatorSettings(is_open=True, transitions=TransitionPlan(default=IMMEDIATE)),
        )
        ready: Future[_Live] = Future()
        self._thread = threading.Thread(
            target=_run, args=(settings, ready), name="backroom", daemon=True
        )
        self._thread.start()
        self._live = ready.result(READY_WITHIN_S)
        return self

    def stop(self) -> None:
        """Safe to repeat."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(RuntimeError):  # its loop has ended by itself
                live.loop.call_soon_threadsafe(live.stop.set)
        if self._thread is not None:
            self._thread.join(ENDS_WITHIN_S)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def endpoint(self) -> str:
        return self._on.endpoint

    @property
    def region(self) -> str:
        return self._on.backroom.settings.region

    @property
    def project_id(self) -> str:
        return self._on.variables["BACKROOM_PROJECT_ID"]

    @property
    def ak(self) -> str:
        return self._on.variables["CLOUD_SDK_AK"]

    @property
    def sk(self) -> str:
        return self._on.variables["CLOUD_SDK_SK"]

    @property
    def ca_path(self) -> Path | None:
        """What signed the server's certificate; None without TLS."""
        return self._on.backroom.settings.data / TLS_FOLDER / "ca.pem" if self._tls else None

    @property
    def env(self) -> dict[str, str]:
        """The whole environment for a program that is to find this server."""
        return os.environ | self._on.variables

    @property
    def clock(self) -> "Clock":
        return Clock(self)

    @property
    def transitions(self) -> "TransitionRules":
        return TransitionRules(self)

    @property
    def faults(self) -> "FaultRules":
        return FaultRules(self)

    def rate_limit(self, per_s: float | None, burst: int | None = None) -> None:
        """Of each user; real seconds. None: no limit."""
        checked = decode_rate(RateLimitBody(per_s=per_s, burst=burst))
        self._do(_on_loop(lambda: self._on.backroom.limit.change(*checked)))

    def unread_fields(self) -> dict[str, dict[str, int]]:
        """What clients sent and nothing read, by operation, with how often."""
        return self._on.emulator.unread.found

    def seed(self, seed: str | bytes | Path | Mapping[str, Any]) -> dict[str, str]:
        """Replace everything by the first project, its key, and this: a file, a text, or a dict.

        Returns the ids of the first project's instances by name. `reset` leads back to here.
        """
        decoded = _decoded(seed)
        self._do(self._on.emulator.seed(decoded))
        return self.instance_ids()

    def reset(self, *, to_empty: bool = False) -> None:
        """As at the start, or after the last seed: records, time, transitions, no faults."""
        self._do(self._on.emulator.reset(to_empty=to_empty))

    def instance_ids(self) -> dict[str, str]:
        """Of the first project, by name."""
        wanted = InstanceFilter(project_id=ProjectId(self.project_id))
        found, _ = self._do(self._on.backroom.instances.find(wanted, Page(0, 10_000)))
        return {instance.name: instance.id for instance in reversed(found)}

    def tasks(self) -> list[TaskView]:
        """All but those of a seed, oldest first, once everything due is done."""
        return self._do(self._views())

    async def _views(self) -> list[TaskView]:
        await self._on.emulator.settle()
        tasks = self._on.backroom.tasks
        views = []
        for task_id in await self._on.emulator.made_task_ids():
            task, record = await tasks.get(task_id), await tasks.record(task_id)
            if task is not None and record is not None:
                views.append(view_of(task, record, await tasks.history(task_id)))
        return views

    def timeline(self) -> str:
        """What happened to these tasks, for people."""
        return timeline_of(self.tasks())

    def wait_idle(self) -> None:
        """Let time jump until every task has ended that is not for later.

        Raises StillBusy for those that wait to be read, and for what is behind them.
        """
        left = self._do(self._on.emulator.run_until_idle())
        if left:
            names = ", ".join(f"{task.name} {task.id}" for task in left)
            raise StillBusy(f"these wait to be read, or for one that does: {names}")

    @property
    def _on(self) -> "_Live":
        if self._live is None:
            raise RuntimeError("the server is not running: start() it")
        return self._live

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._on.loop).result(READY_WITHIN_S)


class Clock:
    """The server's virtual time; signatures and tokens go by the real one."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server
        self._clock = server._on.emulator.clock  # noqa: SLF001  one thing in two classes

    @property
    def now(self) -> datetime:
        return self._clock.now()

    @property
    def speed(self) -> float:
        return self._clock.speed

    @property
    def is_frozen(self) -> bool:
        return self._clock.is_frozen

    def freeze(self) -> None:
        self._do(self._clock.freeze)

    def resume(self, speed: float = 1.0) -> None:
        """1 to 10,000 times as fast as real time."""
        decode_speed(speed)
        self._do(lambda: self._clock.resume(speed))

    def advance(self, seconds: float) -> None:
        """Returns when everything that was due by then is done."""
        seconds = decode_advance_s(seconds, self.now)
        self._server._do(self._server._on.emulator.advance(seconds))  # noqa: SLF001

    def _do(self, change: Any) -> None:
        async def on_its_loop() -> None:
            change()

        self._server._do(on_its_loop())  # noqa: SLF001


class FaultRules:
    """What calls and tasks meet. The fields are those of docs/wire/emulator.md."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server

    def of_calls(self, operation: str, **fields: Any) -> str:
        """`status` with `error_code`, `delay_s` or `drop`; `first`, `last`. Returns the rule's id.

        Raises InvalidInput.
        """
        return self._add({"operation": operation, **fields})

    def of_tasks(self, task: str, step: int | str, **fields: Any) -> str:
        """The task fails at this step, by its name or counted from 1. Returns the rule's id.

        Raises InvalidInput.
        """
        return self._add({"task": task, "step": step, **fields})

    def injected(self, rule_id: str) -> int:
        """How many calls or tasks have met the rule."""
        faults = self._server._on.emulator.faults  # noqa: SLF001
        return next(rule.injected for rule in faults.rules if rule.id == rule_id)

    def clear(self) -> None:
        self._server._do(_on_loop(self._server._on.emulator.faults.clear))  # noqa: SLF001

    def _add(self, fields: Mapping[str, Any]) -> str:
        live = self._server._on  # noqa: SLF001
        try:
            body = msgspec.convert(fields, FaultBody)
        except msgspec.ValidationError as error:
            raise InvalidInput("fault", str(error)) from None
        operations = {route.operation for route in live.backroom.table.routes}
        fault = decode_fault(body, operations)
        add = live.emulator.faults.add
        rule = self._server._do(_on_loop(lambda: add(fault, body.first, body.last)))  # noqa: SLF001
        return rule.id


async def _on_loop(change: Callable[[], T]) -> T:
    return change()


class TransitionRules:
    """When tasks end. Without names: those of all operations that are not named elsewhere."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server

    def immediate(self, *operations: str) -> None:
        self._set(operations, IMMEDIATE)

    def after_s(self, seconds: float, *operations: str) -> None:
        """Virtual seconds after the task began."""
        self._set(operations, Transition(after_s=seconds))

    def after_reads(self, count: int, *operations: str) -> None:
        """The task is under way in so many reads; the next one shows its end."""
        self._set(operations, Transition(after_reads=count))

    def simulated(self, *operations: str) -> None:
        """As long as the simulated brokers take."""
        self._set(operations, SIMULATED)

    def _set(self, operations: Sequence[str], transition: Transition) -> None:
        emulator = self._server._on.emulator  # noqa: SLF001
        plan = emulator.transitions.plan
        if operations:
            named = {**plan.operations, **dict.fromkeys(operations, transition)}
            plan = msgspec.structs.replace(plan, operations=named)
        else:
            plan = msgspec.structs.replace(plan, default=transition)
        checked = decode_plan(encode_plan(plan))
        self._server._do(emulator.plan(checked))  # noqa: SLF001


def _decoded(seed: str | bytes | Path | Mapping[str, Any]) -> Seed:
    if isinstance(seed, Path):
        return decode_seed(seed.read_bytes())
    if isinstance(seed, Mapping):
        return decode_seed(msgspec.json.encode(seed))
    return decode_seed(seed.encode() if isinstance(seed, str) else seed)


def _run(settings: Settings, ready: "Future[_Live]") -> None:
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(settings, ready))
    except BaseException as error:  # noqa: BLE001  raised again where it was asked for
        if not ready.done():
            ready.set_exception(error)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(settings: Settings, ready: "Future[_Live]") -> None:
    stop = asyncio.Event()
    async with running(settings, stop) as (backroom, endpoint):
        emulator = backroom.emulator
        assert emulator is not None  # noqa: S101  for the type: the settings ask for one
        variables = await environment(backroom)
        loop = asyncio.get_running_loop()
        ready.set_result(_Live(backroom, emulator, loop, stop, endpoint, variables))
        await stop.wait()
