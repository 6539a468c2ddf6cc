"""Faults that a test asks for: of calls, and of tasks at one of their steps."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from backroom.domain.errors import InvalidInput, StepRejected
from backroom.domain.fault import ANY, CallFault, Rule, StepFault
from backroom.domain.ids import TaskId
from backroom.operations.operation import Step, StepContext

RULES_MOST = 1_000


class Faults:
    """The rules in force, oldest first. Every rule counts; the oldest that takes a call has it."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._made = 0
        self._judged: dict[tuple[str, TaskId], bool] = {}

    @property
    def rules(self) -> list[Rule]:
        return list(self._rules.values())

    def add(self, fault: CallFault | StepFault, first: int = 1, last: int | None = None) -> Rule:
        """Raises InvalidInput where there are too many: every call looks at each."""
        if len(self._rules) >= RULES_MOST:
            raise InvalidInput("fault", f"is one too many: there are {RULES_MOST}, delete some")
        self._made += 1
        rule = Rule(f"fault-{self._made}", fault, first, last)
        self._rules[rule.id] = rule
        return rule

    def remove(self, rule_id: str) -> bool:
        return self._rules.pop(rule_id, None) is not None

    def clear(self) -> None:
        self._rules.clear()
        self._judged.clear()

    def restart(self) -> None:
        """As at the start: the first rule gets the first id again."""
        self.clear()
        self._made = 0

    def of_call(self, operation: str) -> tuple[str, CallFault] | None:
        """The id and the fault of the rule that this call falls to; counts the call."""
        found = None
        for rule in self._rules.values():
            fault = rule.fault
            if isinstance(fault, CallFault) and fault.operation in {operation, ANY}:
                takes = rule.takes_next()
                if takes and found is None:
                    found = rule.id, fault
        return found

    def wrap_step(self, step: Step[Any]) -> Step[Any]:
        wrapped = self._awaiting if iscoroutinefunction(step.run) else self._blocking
        return msgspec.structs.replace(step, run=wrapped(step))

    def _awaiting(self, step: Step[Any]) -> Callable[[StepContext[Any]], Any]:
        async def run(context: StepContext[Any]) -> Any:
            self._fail(step.name, context)
            return await step.run(context)

        return run

    def _blocking(self, step: Step[Any]) -> Callable[[StepContext[Any]], Any]:
        def run(context: StepContext[Any]) -> Any:
            self._fail(step.name, context)
            return step.run(context)

        return run

    def _fail(self, step: str, context: StepContext[Any]) -> None:
        task = context.task
        for rule in self.rules:
            fault = rule.fault
            if isinstance(fault, StepFault) and (fault.task, fault.step) == (task.name, step):
                judged = rule.id, task.id
                if judged not in self._judged:  # a step is called often, and counts once a task
                    self._judged[judged] = rule.takes_next()
                if self._judged[judged]:
                    raise StepRejected(fault.error_code, fault.error_msg)
