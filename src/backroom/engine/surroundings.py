"""What every attempt of a worker shares."""

import asyncio

import msgspec

from backroom.domain.ids import TaskId
from backroom.engine.threads import Threads
from backroom.operations.operation import StepWrapper, as_it_is
from backroom.ports import Clock, InstanceStore, KafkaAdmin, Platform, TaskStore, Tracer, Vault


class Leftovers:
    """Tasks that may have left something on the brokers: what the sweeper looks at.

    `is_complete`: no other task has. `noted` is set whenever there is something new to look at.
    """

    def __init__(self) -> None:
        self.task_ids: set[TaskId] = set()
        self.is_complete = False
        self.noted = asyncio.Event()

    def note(self, task_id: TaskId) -> None:
        self.task_ids.add(task_id)
        self.noted.set()

    def look_everywhere(self) -> None:
        """A worker died, and with it what it had noted."""
        self.is_complete = False
        self.noted.set()


class Surroundings(msgspec.Struct, frozen=True):
    tasks: TaskStore
    instances: InstanceStore
    platform: Platform
    clock: Clock
    vault: Vault
    stopping: asyncio.Event
    kafka: KafkaAdmin
    leftovers: Leftovers = msgspec.field(default_factory=Leftovers)
    threads: Threads = msgspec.field(default_factory=Threads)
    tracer: Tracer | None = None
    wrap_step: StepWrapper = as_it_is
