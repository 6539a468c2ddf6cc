"""`backroom serve` on a clock that jumps when it is told to. Started as a module:

    python -m tests.support.jumping_server DATA [serve's arguments]

The time of day is the machine's plus the seconds in DATA/offset. As soon as it answers, each
instance gets a task that is planned for half an hour later, if there is none.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.hanging_server import serve_with

from backroom import bootstrap
from backroom.clock import SystemClock
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.service import Order

OFFSET = "offset"
PLANNED_S = 1_800


class JumpingClock(SystemClock):
    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        jumped_s = float(self._file.read_text("utf-8")) if self._file.exists() else 0.0
        return super().now() + timedelta(seconds=jumped_s)

    async def wait(self, event, until):
        jumped = self.now() - super().now()
        return await super().wait(event, None if until is None else until - jumped)


def jump(data: Path, seconds: float) -> None:
    """Replaced as a whole, so that nobody reads half of it."""
    made = data / "offset.new"
    made.write_text(str(seconds), "utf-8")
    made.replace(data / OFFSET)


def main() -> None:
    data, *more = sys.argv[1:]
    bootstrap.SystemClock = lambda: JumpingClock(Path(data) / OFFSET)

    def order(now):
        planned_at = now + timedelta(seconds=PLANNED_S)
        return Order(
            operation=RESTART_INSTANCE, params=RestartInstance(), public={}, execute_at=planned_at
        )

    serve_with(data, more, order)


if __name__ == "__main__":
    main()
