"""What an operation is: typed params, steps, and how it looks while it is under way."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from backroom.domain.errors import StepRejected
from backroom.domain.instance import Broker, Instance, InstanceStatus, changed
from backroom.domain.task import Task
from backroom.operations.fence import Fence
from backroom.ports import Clock, InstanceStore, KafkaAdmin, Platform, TaskStore, Vault

P = TypeVar("P", bound=msgspec.Struct)
T = TypeVar("T")

STEP_TIMEOUT_S = 60.0


class StepContext(msgspec.Struct, Generic[P], frozen=True):
    """What a step may use. `outputs` holds what earlier steps returned, by step name.

    A blocking step, which can't await, asks the ports by `wait_for`, and calls `check` before each
    effect that goes by no port.
    """

    task: Task
    params: P
    outputs: Mapping[str, Any]
    platform: Platform
    kafka: KafkaAdmin
    instances: InstanceStore
    tasks: TaskStore
    clock: Clock
    vault: Vault
    catalogue: Mapping[str, "Operation[Any]"]
    fence: Fence = msgspec.field(default_factory=Fence)

    def wait_for(self, asked: Coroutine[Any, Any, T]) -> T:
        """Of a blocking step: run this on the event loop, and wait for it. Raises as `check`."""
        return self.fence.wait_for(asked)

    def check(self) -> None:
        """Raises StepAbandoned once the engine has given this call up."""
        self.fence.check()


class Step(msgspec.Struct, Generic[P], frozen=True):
    """One part of an operation, safe to repeat.

    `run` returns the output to keep (JSON types or None), or raises StepNotReady, StepRejected or
    anything else, which is a fault and makes it run again. Where it is no `async def`, it runs in a
    thread and may block.
    `weight` is its share of the whole task's time; a call of `run` that takes longer than
    `timeout_s` is cut off, which is a fault, too.
    `is_undone`: the operation's undo takes back what it did, so a later task does it again.
    """

    name: str
    run: Callable[[StepContext[P]], Any]
    weight: int = 1
    timeout_s: float = STEP_TIMEOUT_S
    is_undone: bool = False


StepWrapper = Callable[[Step[Any]], Step[Any]]


def as_it_is(step: Step[Any]) -> Step[Any]:
    """The plain StepWrapper; others give a step that does something around the same."""
    return step


class Operation(msgspec.Struct, Generic[P], frozen=True):
    """One kind of change.

    `name` is the wire's. `prepare` looks at the instance before anything is written: it refuses by
    raising, or returns the instance as it is to be shown from the submit on (the same object: no
    change). `undo` runs when the task failed or was stopped, before that is recorded. `sweep` looks
    later for what the undo had to leave, puts it right, and returns whether nothing was left.
    """

    name: str
    params: type[P]
    steps: tuple[Step[P], ...]
    prepare: Callable[[Instance, P], Instance]
    undo: Callable[[StepContext[P]], Any] | None = None
    sweep: Callable[[StepContext[P]], Any] | None = None
    shows_executing: bool = False  # [O] most clients know only CREATED as "under way"
    has_progress: bool = False  # [D] only capacity expansion has an official progress
    has_secrets: bool = False  # params are sealed at rest
    is_read_only: bool = False  # changes nothing, so it runs beside whatever the instance is doing
    max_attempts: int = 5


async def stored_instance(context: StepContext[Any]) -> Instance:
    """The instance as it is now. Raises StepRejected when it is gone: no step can go on then."""
    task = context.task
    instance = await context.instances.get(task.project_id, task.instance_id)
    if instance is None:
        raise StepRejected("DMS.00404022", f"instance {task.instance_id} does not exist any more")
    return instance


async def show_status(context: StepContext[Any], status: InstanceStatus) -> None:
    """What an undo leaves behind; nothing to do where the instance is gone or shows it already."""
    task = context.task
    instance = await context.instances.get(task.project_id, task.instance_id)
    if instance is not None and instance.status is not status:
        await context.instances.save(changed(instance, status=status))


async def show_running(context: StepContext[Any], brokers: tuple[Broker, ...]) -> None:
    """RUNNING with these brokers, from now on."""
    instance = await stored_instance(context)
    if instance.status is not InstanceStatus.RUNNING or instance.brokers != brokers:
        await context.instances.save(
            changed(instance, status=InstanceStatus.RUNNING, brokers=brokers)
        )
