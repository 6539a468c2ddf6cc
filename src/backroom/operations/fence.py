"""Stands between a step and the world: closed once the engine has given the step up."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar, cast

from backroom.domain.errors import StepAbandoned

T = TypeVar("T")


class Fence:
    """Made on the event loop's thread; `close` is called there, all else on any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._is_closed = False
        self._waited_for: set[Future[Any]] = set()

    def close(self) -> None:
        """What threads wait for is cancelled; what is asked for from now on is refused."""
        self._is_closed = True
        for future in tuple(self._waited_for):
            future.cancel()

    def check(self) -> None:
        """Raises StepAbandoned once it is closed."""
        if self._is_closed:
            raise StepAbandoned

    def around(self, port: T) -> T:
        """The same port, whose methods raise StepAbandoned once the fence is closed."""
        return cast("T", _Fenced(port, self))

    def wait_for(self, asked: Coroutine[Any, Any, T]) -> T:
        """Run this on the event loop, and wait in a thread until it has ended."""
        if self._loop is None or threading.get_ident() == self._loop_thread:
            asked.close()
            raise RuntimeError("only a step in a thread waits so; an `async def` awaits")
        if self._is_closed:
            asked.close()
        self.check()
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        self._waited_for.add(future)
        if self._is_closed:  # just now
            future.cancel()
        try:
            return future.result()
        except CancelledError:
            raise StepAbandoned from None
        finally:
            self._waited_for.discard(future)


class _Fenced:
    def __init__(self, port: Any, fence: Fence) -> None:
        self._port = port
        self._fence = fence

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def fenced(*arguments: Any, **named: Any) -> Any:
            self._fence.check()
            return found(*arguments, **named)

        return fenced
