"""Tasks and their totals, a bounded amount of work at a time."""

import asyncio
from time import perf_counter
from typing import Final

import msgspec

from backroom.console.surroundings import Surroundings
from backroom.domain.filter import Position, TaskSearch
from backroom.domain.task import Task

PAGE: Final = 50  # tasks
PATIENCE_S: Final = 0.05  # until a page is shown with what was found so far


class Shown(msgspec.Struct, frozen=True):
    """`is_cut`: fewer than a page because it took long; there may be more at `position`."""

    tasks: list[Task]
    position: Position | None
    is_cut: bool


async def page_of(around: Surroundings, wanted: TaskSearch, after: Position | None) -> Shown:
    began = perf_counter()
    tasks: list[Task] = []
    while True:
        found = await around.service.search(wanted, after, PAGE - len(tasks))
        tasks += found.tasks
        after = found.position
        if after is None or len(tasks) == PAGE:
            return Shown(tasks, after, is_cut=False)
        if perf_counter() - began > PATIENCE_S:
            return Shown(tasks, after, is_cut=True)
        await asyncio.sleep(0)  # reads may never wait: others must have their turn


async def quick_total(around: Surroundings, wanted: TaskSearch) -> int | None:
    """The exact number, where one look tells it."""
    counted = await around.figures.count(wanted, None)
    return counted.count if counted.position is None else None


async def total(around: Surroundings, wanted: TaskSearch) -> int:
    """The exact number, however long it takes."""
    count = 0
    after: Position | None = None
    while True:
        counted = await around.figures.count(wanted, after)
        count += counted.count
        after = counted.position
        if after is None:
            return count
        await asyncio.sleep(0)  # as above
