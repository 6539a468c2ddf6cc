"""How a worker learns that there is something to take."""

import asyncio
from collections.abc import Callable


class Wakeup(asyncio.Event):
    """Set whenever a lane may have become ready or a slot is free.

    `came` is called when a task was handed in whose lane may have had nothing to do. A worker that
    is told so takes it at once; else this is set, and it comes to it in its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._welcome: Callable[[], bool] = lambda: False

    def tell(self, welcome: Callable[[], bool]) -> None:
        """`welcome` is called for each, and returns whether it takes care of it."""
        self._welcome = welcome

    def came(self) -> None:
        if not self._welcome():
            self.set()
