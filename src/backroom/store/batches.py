"""Many that ask at once are answered together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batches(Generic[Asked, Answer]):
    """Those that ask while a batch is under way share the next one, in the order they came.

    `run` gives an answer or an error for each; what it raises is everybody's. Who stops waiting
    before their batch begins is left out of it.
    """

    def __init__(
        self,
        run: Callable[[list[Asked]], Awaitable[Sequence[Answer | BaseException]]],
        most: int,
    ) -> None:
        self._run = run
        self._most = most
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._working: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, answer))
        if self._working is None:
            self._working = loop.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next())
        finally:
            self._working = None

    def _next(self) -> list[tuple[Asked, asyncio.Future[Answer]]]:
        batch: list[tuple[Asked, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._most:
            asked, answer = self._waiting.popleft()
            if not answer.done():
                batch.append((asked, answer))
        return batch

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        answers: Sequence[Answer | BaseException]
        try:
            answers = await self._run([asked for asked, _ in batch])
        except BaseException as problem:  # noqa: BLE001  raised again where it was asked for
            answers = [problem] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
