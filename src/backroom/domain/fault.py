"""Faults of an emulator: of calls, and of tasks at one of their steps."""

import msgspec

ANY = "*"


class CallFault(msgspec.Struct, frozen=True, kw_only=True):
    """Instead of, or before, the answer to a call. `status` None and no `drops`: only a delay."""

    operation: str
    status: int | None = None
    error_code: str = ""
    error_msg: str = ""
    retry_after_s: int | None = None
    delay_s: float = 0.0
    drops: bool = False


class StepFault(msgspec.Struct, frozen=True, kw_only=True):
    """A task fails at this step, in the ordinary way: with its undo, and to be retried."""

    task: str
    step: str
    error_code: str
    error_msg: str


class Rule(msgspec.Struct):
    """Of what fits, the `first` to the `last` since the rule was made; no `last`: all from there.

    `seen` counts what fitted, `injected` what was made to fail.
    """

    id: str
    fault: CallFault | StepFault
    first: int
    last: int | None
    seen: int = 0
    injected: int = 0

    def takes_next(self) -> bool:
        self.seen += 1
        is_in = self.first <= self.seen and (self.last is None or self.seen <= self.last)
        self.injected += is_in
        return is_in
