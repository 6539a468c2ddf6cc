"""The judge of crash tests is itself judged: it must see what is planted."""

from dataclasses import replace

import pytest
from tests.support.builders import W2
from tests.support.histories import read_past, violations

from backroom.domain import lifecycle
from backroom.domain.task import Outcome, State
from backroom.operations.public_ip import (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    BindPublicIp,
    UnbindPublicIp,
)
from backroom.ports import PublicAddress

BIND = BindPublicIp(addresses=(PublicAddress("a", "100.64.0.1"),), bandwidth_mbit_per_s=5)


async def lived(world):
    """Three tasks in one lane and one in another, with waits and a lost worker."""
    await world.add_instance(1)
    await world.add_instance(2)
    first = await world.submit(BIND_PUBLIC_IP, BIND)
    second = await world.submit(UNBIND_PUBLIC_IP, UnbindPublicIp())
    third = await world.submit(BIND_PUBLIC_IP, BIND)
    other = await world.submit(BIND_PUBLIC_IP, BIND, number=2)
    attempt = await world.claim()
    await world.stores.tasks.write(lifecycle.rescue(attempt._task, world.clock.now(), W2))
    for task in (first, second, third, other):
        await world.run_to_end(task.id)
    seen = read_past(world.database.connection.execute)
    return replace(
        seen,
        tasks=[replace(task, request_id=f"r{at}") for at, task in enumerate(seen.tasks)],
    )


ACKNOWLEDGED = ["r0", "r1", "r3"]


async def test_nothing_is_said_against_a_clean_past(world):
    past = await lived(world)
    assert {event.verb for event in past.events} >= {"rescue", "record", "complete"}
    assert violations(past, ACKNOWLEDGED) == []


def lose_a_task(past):
    return replace(past, tasks=[task for task in past.tasks if task.request_id != "r1"])


def fail_a_task(past):
    tasks = [replace(past.tasks[0], state=State.FAILED), *past.tasks[1:]]
    return replace(past, tasks=tasks)


def leave_a_task_waiting(past):
    last = past.tasks[-1]
    events = [one for one in past.events if one.task_id != last.id or one.verb == "submit"]
    attempts = [one for one in past.attempts if one.task_id != last.id]
    tasks = [*past.tasks[:-1], replace(last, state=State.WAITING)]
    return replace(past, tasks=tasks, events=events, attempts=attempts)


def at_of(past, task, verb):
    return next(
        at
        for at, event in enumerate(past.events)
        if event.task_id == past.tasks[task].id and event.verb == verb
    )


def record_a_step_twice(past):
    at = at_of(past, 0, "record")
    return replace(past, events=[*past.events[: at + 1], *past.events[at:]])


def skip_a_step(past):
    at = at_of(past, 0, "record")
    return replace(past, events=past.events[:at] + past.events[at + 1 :])


def claim_twice(past):
    at = at_of(past, 1, "claim")
    return replace(past, events=[*past.events[: at + 1], *past.events[at:]])


def begin_before_the_one_ahead_has_ended(past):
    events = list(past.events)
    moved = events.pop(at_of(past, 1, "claim"))
    events.insert(at_of(past, 0, "complete"), moved)
    return replace(past, events=events)


def overtake(past):
    """The second task's whole life is before the first one's, without any overlap."""
    first, second = past.tasks[0].id, past.tasks[1].id
    submits = [event for event in past.events if event.verb == "submit"]
    rest = [event for event in past.events if event.verb != "submit"]
    order = {second: 0, first: 1}
    rest.sort(key=lambda event: order.get(event.task_id, 2))
    return replace(past, events=submits + rest)


def forget_an_attempt(past):
    return replace(past, attempts=past.attempts[1:])


def leave_an_attempt_open(past):
    return replace(past, attempts=[replace(past.attempts[0], outcome=None), *past.attempts[1:]])


def go_on_after_the_end(past):
    at = at_of(past, 0, "complete")
    late = replace(past.events[at], verb="record", to_state=State.RUNNING)
    return replace(past, events=[*past.events, late])


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lose_a_task, "acknowledged"),
        (fail_a_task, "ended as failed"),
        (leave_a_task_waiting, "ended as waiting"),
        (record_a_step_twice, "finished"),
        (skip_a_step, "finished"),
        (claim_twice, "claim from waiting, but it was running"),
        (begin_before_the_one_ahead_has_ended, "while"),
        (begin_before_the_one_ahead_has_ended, "began before"),
        (overtake, "began before"),
        (forget_an_attempt, "claims, attempts"),
        (leave_an_attempt_open, "never ended"),
        (go_on_after_the_end, "but it was succeeded"),
    ],
)
async def test_violation_is_seen_when_planted(world, plant, said):
    planted = plant(await lived(world))
    assert any(said in one for one in violations(planted, ACKNOWLEDGED))


async def test_lost_worker_is_part_of_the_past(world):
    past = await lived(world)
    assert [one.outcome for one in past.attempts].count(Outcome.LOST) == 1
