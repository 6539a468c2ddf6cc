"""What a step is given: the world behind a fence, and what earlier steps returned."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from backroom.domain.task import StepRecord, StepState, Task
from backroom.engine.surroundings import Surroundings
from backroom.operations.fence import Fence
from backroom.operations.operation import Operation, StepContext


def context_of(
    around: Surroundings,
    catalogue: Mapping[str, Operation[Any]],
    task: Task,
    params: msgspec.Struct,
    outputs: dict[str, Any],
) -> StepContext[Any]:
    fence = Fence(asyncio.get_running_loop())
    return StepContext(
        task=task,
        params=params,
        outputs=outputs,
        platform=fence.around(around.platform),
        kafka=fence.around(around.kafka),
        instances=fence.around(around.instances),
        tasks=fence.around(around.tasks),
        clock=around.clock,
        vault=around.vault,
        catalogue=catalogue,
        fence=fence,
    )


def outputs_of(steps: Iterable[StepRecord]) -> dict[str, Any]:
    """By name, of those that are done."""
    return {step.name: decoded(step.output) for step in steps if step.state is StepState.SUCCEEDED}


def decoded(output: bytes | None) -> Any:
    return None if output is None else msgspec.json.decode(output)
