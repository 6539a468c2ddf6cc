"""What every attempt of a worker shares."""

import asyncio
from dataclasses import dataclass, field

from backroom.engine.threads import Threads
from backroom.ports import Clock, InstanceStore, KafkaAdmin, Platform, TaskStore, Vault


@dataclass(frozen=True, slots=True)
class Surroundings:
    tasks: TaskStore
    instances: InstanceStore
    platform: Platform
    clock: Clock
    vault: Vault
    stopping: asyncio.Event
    kafka: KafkaAdmin
    threads: Threads = field(default_factory=Threads)
