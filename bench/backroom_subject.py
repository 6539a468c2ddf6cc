"""Backroom itself: a server in this process, or the API here and a worker in another."""

import asyncio
import logging
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import uvloop

from backroom.bootstrap import Backroom
from backroom.domain import lifecycle
from backroom.domain.account import Identity, Role
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, new_instance_id
from backroom.domain.instance import Instance, InstanceFilter
from backroom.domain.task import Kind, QueueLimits, State, Task
from backroom.engine import attempt, scheduler
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.submission import internal_params
from backroom.server import running
from backroom.service import Order
from backroom.settings import KEY_FILE, Settings
from bench.marks import Marks, Pen
from bench.subjects import SLOTS, own_process_reads_marks, process

LIMITS = QueueLimits(instance=1_000_000, project=1_000_000)
FILLED_TOGETHER = 200  # tasks in one transaction


class Numbered(msgspec.Struct, frozen=True):
    number: int


def operations(pen: Pen) -> Mapping[str, Operation[Numbered]]:
    """`benchSteps` has three empty steps; `benchHold` one that never returns."""

    async def first(context: StepContext[Numbered]) -> None:
        pen.mark(context.params.number, 1)

    async def second(_context: StepContext[Numbered]) -> None:
        return

    async def third(context: StepContext[Numbered]) -> None:
        pen.mark(context.params.number, 3)

    async def hold(context: StepContext[Numbered]) -> None:
        pen.mark(context.params.number, context.task.epoch)
        await asyncio.Event().wait()

    def operation(name: str, *steps: Step[Numbered]) -> Operation[Numbered]:
        return Operation(name, Numbered, steps, prepare=lambda instance, _params: instance)

    made = (
        operation("benchSteps", Step("first", first), Step("second", second), Step("third", third)),
        operation("benchHold", Step("hold", hold, timeout_s=3_600.0)),
    )
    return {one.name: one for one in made}


def teach(known: Mapping[str, Operation[Numbered]]) -> None:
    """The engine of this process runs these operations, too."""
    catalogue: Any = MappingProxyType(dict(CATALOGUE) | dict(known))
    for module in (attempt, scheduler):
        module.CATALOGUE = catalogue


class BackroomSubject:
    """`database` None is SQLite in `data`, with everything in this process."""

    def __init__(self, name: str, data: Path, marks: Marks, database: str | None = None) -> None:
        self.name = name
        self.marks = marks
        self._data = data
        self._database = database
        self._operations = operations(marks.pen())
        self._backroom: Backroom | None = None
        self._identity: Identity | None = None
        self._model: Instance | None = None
        self.instances: list[InstanceId] = []
        self.slots = SLOTS

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        teach(self._operations)
        if self._database is None:
            async with self._opened("all"):
                yield
            return
        async with self._opened("api"), self.worker():
            yield

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """Tasks can be submitted, and nobody runs them."""
        async with self._opened("api"):
            yield

    @asynccontextmanager
    async def worker(self, name: str = "worker") -> AsyncIterator[int]:
        """Another process; its pid."""
        data = self._data if self._database is None else self._data / name
        if self._database is not None:
            copy_key(self._data, data)
        given = (str(data), self._database or "", str(self.slots))
        async with process("bench.backroom_subject", *given, marks=self.marks) as pid:
            yield pid

    @asynccontextmanager
    async def _opened(self, role: str) -> AsyncIterator[None]:
        settings = Settings(
            data=self._data,
            database=self._database,
            port=0,
            is_plain_http=True,
            role=role,
            slots=self.slots,
            limits=LIMITS,
        )
        async with running(settings, asyncio.Event()) as (backroom, _):
            self._backroom = backroom
            await self._look()
            yield
        self._backroom = None

    async def _look(self) -> None:
        if self._model is not None:
            return
        (project,) = await self.backroom.account_store.projects()
        wanted = InstanceFilter(project_id=project.id)
        (self._model,), _ = await self.backroom.instances.find(wanted, Page())
        self._identity = Identity(project.id, self._model.user_id, "bench", Role.ADMIN)

    @property
    def backroom(self) -> Backroom:
        assert self._backroom is not None, "not opened"
        return self._backroom

    async def have_instances(self, count: int) -> None:
        """So many in all, beside the one of the first start."""
        assert self._model is not None
        while len(self.instances) < count:
            made = [
                msgspec.structs.replace(self._model, id=new_instance_id(), version=1)
                for _ in range(min(100, count - len(self.instances)))
            ]
            await asyncio.gather(*(self.backroom.instances.save(one) for one in made))
            self.instances += [one.id for one in made]

    async def submit(self, number: int, execute_at: datetime | None = None) -> None:
        await self.submit_on(self.instances[number % len(self.instances)], number, execute_at)

    async def submit_on(
        self, instance_id: InstanceId, number: int, execute_at: datetime | None = None
    ) -> None:
        assert self._identity is not None
        order = Order(
            operation=self._operations["benchSteps"],
            params=Numbered(number),
            public={"number": number},
            execute_at=execute_at,
        )
        await self.backroom.service.submit(self._identity, instance_id, order)

    async def submit_all(self, numbers: Sequence[int]) -> None:
        """As many callers at once as a busy API has."""
        left = iter(numbers)

        async def caller() -> None:
            for number in left:
                await self.submit(number)

        await asyncio.gather(*(caller() for _ in range(SLOTS)))

    async def fill(self, numbers: Sequence[int], name: str = "benchSteps", lanes: int = 0) -> None:
        """The same tasks, written in large transactions, over the first `lanes` instances."""
        lanes = lanes or len(self.instances)
        for at in range(0, len(numbers), FILLED_TOGETHER):
            group = numbers[at : at + FILLED_TOGETHER]
            await self.backroom.tasks.write(
                *(lifecycle.submit(self._task(number, name, lanes)) for number in group)
            )

    def _task(self, number: int, name: str, lanes: int) -> Task:
        assert self._identity is not None
        assert self._identity.project_id is not None
        now = self.backroom.clock.now()
        instance_id = self.instances[number % lanes]
        params = Numbered(number)
        operation = self._operations[name]
        return Task(
            id=f"{number:032x}",
            project_id=self._identity.project_id,
            instance_id=instance_id,
            kind=Kind.BACKGROUND,
            name=name,
            user_id=self._identity.user_id,
            user_name=self._identity.user_name,
            params=msgspec.json.encode(params).decode(),
            internal=internal_params(operation, params, self.backroom.around.vault),
            state=State.WAITING,
            created_at=now,
            updated_at=now,
            lane=instance_id,
        )


def copy_key(data: Path, to: Path) -> None:
    """Every process of a deployment has the same."""
    to.mkdir(parents=True, exist_ok=True)
    shutil.copy(data / KEY_FILE, to)


async def _work(data: str, database: str, slots: str) -> None:
    """A worker without HTTP; on SQLite the whole server, which nobody asks anything."""
    stop = asyncio.Event()
    teach(operations(Pen(own_process_reads_marks())))
    settings = Settings(
        data=Path(data),
        database=database or None,
        role="worker",
        slots=int(slots),
        limits=LIMITS,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(settings, stop):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvloop.run(_work(*sys.argv[2:]))
