import asyncio

import pytest

from backroom.store.batches import Batches


class Run:
    """Answers each number with its double; `fail` breaks a whole batch, -1 only itself."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail = False

    async def __call__(self, asked):
        self.batches.append(asked)
        await self.gate.wait()
        if self.fail:
            raise ValueError("broken")
        return [KeyError(one) if one < 0 else one * 2 for one in asked]


@pytest.fixture
def run():
    return Run()


async def test_those_of_one_turn_are_answered_together_each_with_its_own(run):
    batches = Batches(run, 10)
    assert await asyncio.gather(*map(batches.ask, range(4))) == [0, 2, 4, 6]
    assert run.batches == [[0, 1, 2, 3]]


async def test_those_that_come_meanwhile_share_the_next_up_to_the_most(run):
    batches = Batches(run, 3)
    run.gate.clear()
    first = asyncio.ensure_future(batches.ask(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.ensure_future(batches.ask(n)) for n in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    run.gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10]
    assert run.batches == [[1], [2, 3, 4], [5]]


async def test_an_error_of_one_is_not_the_others(run):
    batches = Batches(run, 10)
    answers = await asyncio.gather(*map(batches.ask, (1, -1, 2)), return_exceptions=True)
    assert [type(one) for one in answers] == [int, KeyError, int]


async def test_an_error_of_all_is_everybodys_and_the_next_batch_works(run):
    batches = Batches(run, 10)
    run.fail = True
    answers = await asyncio.gather(*map(batches.ask, (1, 2)), return_exceptions=True)
    assert [type(one) for one in answers] == [ValueError, ValueError]
    run.fail = False
    assert await batches.ask(4) == 8


async def test_who_stops_waiting_is_left_out_of_a_batch_that_has_not_begun(run):
    batches = Batches(run, 10)
    run.gate.clear()
    first = asyncio.ensure_future(batches.ask(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone, kept = (asyncio.ensure_future(batches.ask(n)) for n in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    run.gate.set()
    assert await asyncio.gather(first, kept) == [2, 6]
    assert run.batches == [[1], [3]]
