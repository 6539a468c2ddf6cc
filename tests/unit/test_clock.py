"""Virtual time: it stands, flies, is moved, and wakes by events."""

import asyncio
from datetime import timedelta
from time import monotonic

import pytest

from backroom.clock import VirtualClock


def later(clock, **by):
    return clock.now() + timedelta(**by)


@pytest.fixture
def frozen():
    return VirtualClock(is_frozen=True)


async def test_frozen_time_stands(frozen):
    before = frozen.now()
    await asyncio.sleep(0.005)

    assert frozen.now() == before


async def test_now_is_in_whole_milliseconds(frozen):
    frozen.move_to(frozen.now() + timedelta(microseconds=1_700))

    assert frozen.now().microsecond % 1000 == 0


async def test_time_flies_at_its_speed():
    clock = VirtualClock(speed=10_000)
    began, before_s = clock.now(), monotonic()
    await clock.wait(asyncio.Event(), later(clock, hours=1))

    passed_s = monotonic() - before_s
    assert passed_s < 5
    assert timedelta(hours=1) <= clock.now() - began


async def test_who_waits_goes_on_when_time_is_moved_to_his_moment(frozen):
    waiting = asyncio.create_task(frozen.wait(asyncio.Event(), later(frozen, days=3)))
    await frozen.next_wait()
    frozen.move_to(later(frozen, days=2))
    await asyncio.sleep(0)
    assert not waiting.done()

    frozen.move_to(later(frozen, days=1))

    assert await waiting is False


async def test_who_waits_goes_on_at_the_event_although_time_stands(frozen):
    event = asyncio.Event()
    waiting = asyncio.create_task(frozen.wait(event, later(frozen, days=3)))
    await frozen.next_wait()
    event.set()

    assert await waiting is True
    assert frozen.next_timer is None
    assert not frozen.waiting


async def test_a_moment_that_has_come_is_not_waited_for(frozen):
    assert await frozen.wait(asyncio.Event(), frozen.now()) is False


async def test_a_wait_ends_at_a_moment_that_now_can_show(frozen):
    """Else a loop that waits until then would turn for ever while time stands."""
    until = frozen.now() + timedelta(microseconds=300)
    waiting = asyncio.create_task(frozen.wait(asyncio.Event(), until))
    await frozen.next_wait()
    frozen.move_to(frozen.next_timer)
    await waiting

    assert frozen.now() >= until


async def test_time_never_goes_back(frozen):
    before = frozen.now()
    frozen.move_to(before - timedelta(hours=1))

    assert frozen.now() == before


async def test_who_waits_goes_on_when_time_runs_again(frozen):
    waiting = asyncio.create_task(frozen.wait(asyncio.Event(), later(frozen, minutes=10)))
    await frozen.next_wait()
    frozen.resume(10_000)

    assert await asyncio.wait_for(waiting, 5) is False


async def test_a_nearer_moment_is_met_although_a_later_one_was_waited_for_first():
    clock = VirtualClock()
    far = asyncio.create_task(clock.wait(asyncio.Event(), later(clock, hours=1)))
    await clock.next_wait()

    assert (
        await asyncio.wait_for(clock.wait(asyncio.Event(), later(clock, seconds=0.01)), 5) is False
    )
    far.cancel()
