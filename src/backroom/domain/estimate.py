"""How far a task is and how long it will still take. Pure.

Steps that ran before in tasks of the same name count by the seconds they took then; where nothing
was learnt, by the weights that the operation gives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from backroom.domain.task import State, StepRecord, StepState, Task

UNTOLD_MOST = 0.9  # of a step that tells no percent, however long it has been running
LATE_SHARE = 0.1  # of its usual time, that a step is thought to need when it is late


class Estimate(msgspec.Struct, frozen=True):
    """`percent` is 100 for a success only; `remaining_s` 0 when it ended or nothing is known."""

    percent: int
    remaining_s: int


class _Part(msgspec.Struct, frozen=True):
    """A step: how long it usually takes, and what is recorded of it."""

    usual_s: float
    record: StepRecord | None


def estimate(
    task: Task,
    weights: Mapping[str, int],
    steps: Sequence[StepRecord],
    durations: Mapping[str, float],
    now: datetime,
) -> Estimate:
    """`weights` by step name in the order of the steps, `durations` what was learnt of them."""
    if task.state is State.SUCCEEDED:
        return Estimate(100, 0)
    recorded = {step.name: step for step in steps}
    parts = _parts(weights, recorded, durations)
    if not parts:
        return _by_weights(task, weights, recorded, now)
    percent = _percent(sum(part.usual_s * _done(part, task, now) for part in parts), parts)
    if task.state.is_final:
        return Estimate(percent, 0)
    return Estimate(percent, max(1, round(sum(_remaining_s(part, now) for part in parts))))


def _parts(
    weights: Mapping[str, int],
    recorded: Mapping[str, StepRecord],
    durations: Mapping[str, float],
) -> list[_Part]:
    """A step not learnt of takes as long for its weight as the others; none if no time is known."""
    learnt = {name: max(0.0, durations[name]) for name in weights if name in durations}
    learnt_s = sum(learnt.values())
    if learnt_s <= 0:
        return []
    s_per_weight = learnt_s / sum(weights[name] for name in learnt)
    return [
        _Part(learnt.get(name, weight * s_per_weight), recorded.get(name))
        for name, weight in weights.items()
    ]


def _percent(done_s: float, parts: Sequence[_Part]) -> int:
    whole_s = sum(part.usual_s for part in parts)
    return min(99, int(100 * done_s / whole_s + 1e-9))


def _done(part: _Part, task: Task, now: datetime) -> float:
    """From 0 to 1. What a step tells of itself counts; one that tells nothing goes by the clock."""
    step = part.record
    if step is None:
        return 0.0
    if step.state is not StepState.RUNNING or step.percent > 0 or task.state.is_final:
        return step.percent / 100
    if part.usual_s <= 0:
        return 0.0
    return min(UNTOLD_MOST, _spent_s(step, now) / part.usual_s)


def _remaining_s(part: _Part, now: datetime) -> float:
    step = part.record
    if step is None:
        return part.usual_s
    if step.state is StepState.SUCCEEDED:
        return 0.0
    if 0 < step.percent < 100:  # noqa: PLR2004  whole
        return _spent_s(step, now) * (100 - step.percent) / step.percent
    return max(part.usual_s - _spent_s(step, now), part.usual_s * LATE_SHARE)


def _spent_s(step: StepRecord, now: datetime) -> float:
    return max(0.0, (now - step.started_at).total_seconds())


def _by_weights(
    task: Task, weights: Mapping[str, int], recorded: Mapping[str, StepRecord], now: datetime
) -> Estimate:
    """The time left as the time taken so far foretells it."""
    done = sum(_weighed(weights, recorded))
    percent = min(99, done // max(1, sum(weights.values())))
    if task.state.is_final or task.started_at is None or percent <= 0:
        return Estimate(percent, 0)
    spent_s = (now - task.started_at).total_seconds()
    return Estimate(percent, max(1, round(spent_s * (100 - percent) / percent)))


def _weighed(weights: Mapping[str, int], recorded: Mapping[str, StepRecord]) -> Iterator[int]:
    for name, weight in weights.items():
        if name in recorded:
            yield weight * recorded[name].percent
