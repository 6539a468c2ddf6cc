"""When a task of an emulator ends: what was asked for, by operation."""

from collections.abc import Mapping

import msgspec

from backroom.domain.task import Kind, Task


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """Virtual seconds since the task began, or reads of it; neither: as the brokers take.

    Of n reads the task is still under way in all; the next one shows its end.
    """

    after_s: float | None = None
    after_reads: int | None = None

    @property
    def is_simulated(self) -> bool:
        return self.after_s is None and self.after_reads is None


SIMULATED = Transition()
IMMEDIATE = Transition(after_reads=0)


class TransitionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """By the operation's name; `default` is for all others that change one instance."""

    default: Transition = SIMULATED
    operations: Mapping[str, Transition] = {}

    def of(self, task: Task) -> Transition:
        named = self.operations.get(task.name)
        if named is not None:
            return named
        return SIMULATED if task.kind is Kind.BULK else self.default
