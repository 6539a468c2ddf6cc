"""The judge of crash tests is itself judged: it must see what is planted."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.builders import W2, make_scheduled
from tests.support.histories import RULES, read_past, violations

from backroom.domain import lifecycle
from backroom.domain.stamps import stamp
from backroom.domain.task import Outcome, State
from backroom.engine.rescuer import LEASE_S
from backroom.operations.extend_instance import EXTEND_INSTANCE, ExtendInstance
from backroom.operations.public_ip import (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    BindPublicIp,
    UnbindPublicIp,
)
from backroom.ports import PublicAddress

BIND = BindPublicIp(addresses=(PublicAddress("a", "100.64.0.1"),), bandwidth_mbit_per_s=5)

EXTEND = ExtendInstance(
    kind="storage", storage_gb=600, broker_count=3, product_id="c6.2u4g.cluster"
)


async def lived(world):
    """Three tasks in one lane and some in others, with waits, a cancel and a lost worker."""
    for number in (1, 2, 3):
        await world.add_instance(number)
    first = await world.submit(BIND_PUBLIC_IP, BIND)
    second = await world.submit(UNBIND_PUBLIC_IP, UnbindPublicIp())
    third = await world.submit(BIND_PUBLIC_IP, BIND)
    other = await world.submit(BIND_PUBLIC_IP, BIND, number=2)
    attempt = await world.claim()
    world.clock.move(LEASE_S)
    await world.stores.tasks.write(lifecycle.rescue(attempt._task, world.clock.now(), W2))
    unwanted = await world.submit(BIND_PUBLIC_IP, BIND, number=2)
    now = world.clock.now()
    await world.stores.tasks.write(lifecycle.cancel(unwanted, now, "tester"))
    later = make_scheduled(2, now + timedelta(seconds=60), now, internal=other.internal)
    await world.stores.tasks.write(lifecycle.submit(later))
    extended = await world.submit(EXTEND_INSTANCE, EXTEND, number=3)
    for task in (first, second, third, other, later, extended):
        await world.run_to_end(task.id)
    (submitted,) = world.database.connection.execute("SELECT id FROM tasks WHERE ended_at IS NULL")
    await world.run_to_end(submitted[0])
    seen = read_past(world.database.connection.execute)
    return replace(
        seen,
        tasks=[replace(task, request_id=f"r{at}") for at, task in enumerate(seen.tasks)],
    )


ACKNOWLEDGED = ["r0", "r1", "r3"]


async def test_nothing_is_said_against_a_clean_past(world):
    past = await lived(world)
    assert {event.verb for event in past.events} >= {
        "rescue", "record", "progress", "complete", "cancel",
    }  # fmt: skip
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


def changed(past, task, verb, **given):
    """The first such event of a task, told otherwise."""
    at = at_of(past, task, verb)
    events = [*past.events[:at], replace(past.events[at], **given), *past.events[at + 1 :]]
    return replace(past, events=events)


def moved(past, task, verb, **by):
    at = past.events[at_of(past, task, verb)].moment + timedelta(**by)
    return changed(past, task, verb, at=stamp(at))


def record_by_the_worker_that_was_lost(past):
    lost = past.events[at_of(past, 0, "claim")]
    again = next(e for e in past.events if e.verb == "claim" and e.attempt == 1 and e is not lost)
    events = [replace(e, actor="w9") if e is again else e for e in past.events]
    return replace(past, events=events)


def rescue_from_somebody_else(past):
    return changed(past, 0, "rescue", detail="lost by w3")


def rescue_from_one_that_lives(past):
    return moved(past, 0, "rescue", seconds=-5)


def begin_before_its_time(past):
    at = next(at for at, task in enumerate(past.tasks) if task.execute_at is not None)
    return moved(past, at, "claim", minutes=-1)


def fall_back(past):
    at = next(at for at, task in enumerate(past.tasks) if task.name == "extendInstance")
    first = past.events[at_of(past, at, "progress")]
    later = [e for e in past.events if e.verb == "progress" and e is not first]
    events = [replace(e, detail="1 %") if e is later[-1] else e for e in past.events]
    return replace(past, events=events)


def say_progress_of_a_finished_step(past):
    at = at_of(past, 0, "record")
    late = replace(past.events[at], verb="progress", detail="99 %")
    return replace(past, events=[*past.events[: at + 1], late, *past.events[at + 1 :]])


def leave_an_event_out(past):
    at = at_of(past, 3, "claim")
    return replace(past, events=past.events[:at] + past.events[at + 1 :])


def claim_without_an_epoch(past):
    return replace(past, tasks=[replace(past.tasks[0], epoch=1), *past.tasks[1:]])


def give_two_attempts_one_epoch(past):
    at = next(at for at, one in enumerate(past.attempts) if one.epoch == 2)
    attempts = [replace(one, epoch=1) if n == at else one for n, one in enumerate(past.attempts)]
    return replace(past, attempts=attempts)


def first_attempt(past, **given):
    return replace(past, attempts=[replace(past.attempts[0], **given), *past.attempts[1:]])


def tell_another_end_of_an_attempt(past):
    return first_attempt(past, outcome="cancelled")


def tell_another_worker_of_an_attempt(past):
    return first_attempt(past, worker_id="w9")


def end_an_attempt_before_it_began(past):
    return first_attempt(past, ended_at="2020-01-01T00:00:00.000Z")


def forget_an_output(past):
    return replace(past, steps=past.steps[1:])


def tell_another_actor(past):
    return changed(past, 0, "submit", actor="somebody")


def forge_a_hash(past):
    return changed(past, 0, "submit", hash=bytes(32))


def cut_the_end_off(past):
    return replace(past, events=past.events[:-1])


PLANTED = [
    (lose_a_task, "acknowledged"),
    (fail_a_task, "ended as failed"),
    (leave_a_task_waiting, "ended as waiting"),
    (record_a_step_twice, "which was finished"),
    (say_progress_of_a_finished_step, "which was finished"),
    (skip_a_step, "finished"),
    (forget_an_output, "kept are"),
    (claim_twice, "claim from waiting, but it was running"),
    (begin_before_the_one_ahead_has_ended, "while"),
    (begin_before_the_one_ahead_has_ended, "began before"),
    (overtake, "began before"),
    (begin_before_its_time, "its time is"),
    (record_by_the_worker_that_was_lost, "has the lease"),
    (rescue_from_somebody_else, "had the lease"),
    (rescue_from_one_that_lives, "which wrote"),
    (fall_back, "% to 1 %"),
    (leave_an_event_out, "version"),
    (claim_without_an_epoch, "epoch 1"),
    (give_two_attempts_one_epoch, "attempts [1, 1"),
    (forget_an_attempt, "claims, attempts"),
    (leave_an_attempt_open, "never ended"),
    (tell_another_end_of_an_attempt, "the event is"),
    (tell_another_worker_of_an_attempt, "claimed by"),
    (end_an_attempt_before_it_began, "ended before it began"),
    (go_on_after_the_end, "but it was succeeded"),
    (leave_an_event_out, "the chain is broken"),
    (tell_another_actor, "the chain is broken"),
    (forge_a_hash, "the chain is broken"),
    (cut_the_end_off, "the chain's head is not"),
]


@pytest.mark.parametrize(("plant", "said"), PLANTED)
async def test_violation_is_seen_when_planted(world, plant, said):
    planted = plant(await lived(world))
    assert any(said in one for one in violations(planted, ACKNOWLEDGED))


async def test_lost_worker_is_part_of_the_past(world):
    past = await lived(world)
    assert [one.outcome for one in past.attempts].count(Outcome.LOST) == 1


async def test_each_rule_sees_something_of_what_is_planted(world):
    past = await lived(world)
    pasts = [plant(past) for plant, _ in PLANTED]
    blind = [rule.__name__ for rule in RULES if not any(list(rule(one)) for one in pasts)]
    assert blind == []
