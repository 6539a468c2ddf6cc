import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from tests.support.builders import NOW, W1, W2, after, make_scheduled, make_task
from tests.support.clocks import settled
from tests.support.engine_world import Steps, catalogue_with, make_operation

from backroom.domain import lifecycle
from backroom.domain.errors import StepNotReady, StoreUnavailable
from backroom.domain.task import Outcome, State
from backroom.engine import attempt as attempt_module
from backroom.engine.wakeup import Wakeup
from backroom.engine.worker import (
    CLAIMED_AT_ONCE,
    POLL_S,
    SLOTS_PER_SPARE,
    STORE_RETRY_S,
    Worker,
    rescue,
)


class Gate:
    """Steps that run until they are let go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside: list[str] = []

    def operation(self, **given):
        async def wait(context):
            self.inside.append(context.task.id)
            await self.open.wait()

        return make_operation(wait, **given)


@pytest.fixture
def wakeup(world):
    wakeup = Wakeup()
    world.stores.tasks._on_ready = wakeup.set
    world.stores.tasks._on_new = wakeup.came
    return wakeup


class Running:
    """A worker's loop, ended in order."""

    def __init__(self, world, worker):
        self._world, self._worker = world, worker

    async def __aenter__(self):
        self._loop = asyncio.ensure_future(self._worker.run())
        await settled()
        return self._worker

    async def __aexit__(self, *_):
        self._world.around.stopping.set()
        self._worker._wakeup.set()
        await asyncio.wait_for(self._loop, 10)
        await self._worker.drain(10)


async def test_worker_respects_its_slots_and_takes_the_next_when_one_is_free(world, wakeup):
    gates = [Gate() for _ in range(3)]
    operations = [gate.operation(name=f"gate{at}") for at, gate in enumerate(gates)]
    tasks = [await world.submit(one, number=at) for at, one in enumerate(operations, 1)]
    with catalogue_with(*operations):
        async with Running(world, Worker(W1, world.around, wakeup, slots=2)) as worker:
            assert [len(gate.inside) for gate in gates] == [1, 1, 0]
            assert not await worker.round()
            gates[0].open.set()
            await settled()
            assert [len(gate.inside) for gate in gates] == [1, 1, 1]
            gates[1].open.set()
            gates[2].open.set()
            await settled()
    assert {(await world.get(task.id)).state for task in tasks} == {State.SUCCEEDED}


async def test_full_worker_has_a_spare_slot_for_an_instance_that_had_nothing_to_do(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    for number in range(1, SLOTS_PER_SPARE + 3):
        await world.submit(operation, number=number)
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=SLOTS_PER_SPARE)):
            assert len(gate.inside) == SLOTS_PER_SPARE + 1
            gate.open.set()
            await settled()
            assert len(gate.inside) == SLOTS_PER_SPARE + 2


async def test_spare_slot_is_not_for_the_next_of_a_long_queue(world, wakeup):
    gates = [Gate(), Gate()]
    first, others = gates[0].operation(name="first"), gates[1].operation(name="others")
    for operation in (first, others):
        await world.submit(operation, number=1)
    for number in range(2, SLOTS_PER_SPARE + 2):
        await world.submit(others, number=number)
    with catalogue_with(first, others):
        async with Running(world, Worker(W1, world.around, wakeup, slots=SLOTS_PER_SPARE)):
            assert len(gates[0].inside + gates[1].inside) == SLOTS_PER_SPARE + 1
            gates[0].open.set()
            await settled()
            assert len(gates[1].inside) == SLOTS_PER_SPARE
            gates[1].open.set()
            await settled()
            assert len(gates[1].inside) == SLOTS_PER_SPARE + 1


@pytest.mark.rule(8)
async def test_submitted_task_starts_without_any_time_passing(world, wakeup):
    steps = Steps(None)
    operation = steps.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            assert world.clock.next_timer == after(POLL_S)
            task = await world.submit(operation)
            await settled()
            assert (await world.get(task.id)).state is State.SUCCEEDED
    assert world.clock.now() == NOW


@pytest.mark.rule(9)
async def test_worker_wakes_exactly_when_the_next_task_is_due(world, wakeup):
    await world.add_instance()
    operation = Steps(None).operation()
    early = make_scheduled(1, after(2), name=operation.name, internal=b"{}")
    await world.stores.tasks.write(lifecycle.submit(early))
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            assert world.clock.next_timer == after(2)
            world.clock.move(1.999)
            await settled()
            assert (await world.get(early.id)).state is State.WAITING
            world.clock.move(0.001)
            await settled()
            assert (await world.get(early.id)).state is State.SUCCEEDED


@pytest.mark.rule(8)
async def test_worker_looks_again_when_a_wake_up_was_lost(world, wakeup):
    operation = Steps(None).operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            world.stores.tasks._on_ready = world.stores.tasks._on_new = lambda: None
            task = await world.submit(operation)
            await settled()
            assert (await world.get(task.id)).state is State.WAITING
            world.clock.move(POLL_S)
            await settled()
            assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_snoozed_task_goes_on_by_itself(world, wakeup):
    steps = Steps([StepNotReady(0.25), StepNotReady(0.25), None], None)
    operation = steps.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            task = await world.submit(operation)
            await world.clock.pass_until(lambda: len(steps.runs) == 4)
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert world.clock.now() == after(0.5)


async def test_many_lanes_run_side_by_side_and_each_in_order(world, wakeup):
    order = []

    async def run(context):
        order.append((context.task.lane, context.task.id))
        if order.count(order[-1]) < 3:
            raise StepNotReady(0.1)

    operation = make_operation(run)
    submitted = {}
    for number in range(1, 6):
        for _ in range(4):
            task = await world.submit(operation, number=number)
            submitted.setdefault(task.lane, []).append(task.id)
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            await world.clock.pass_until(lambda: len(order) == 5 * 4 * 3)
    for lane, expected in submitted.items():
        assert [one for at, one in order if at == lane] == [t for t in expected for _ in range(3)]


@pytest.mark.rule(6)
async def test_recover_takes_back_what_a_former_life_left_running(world, wakeup):
    steps = Steps("one", [StepNotReady(1), "two"])
    operation = steps.operation()
    task = await world.submit(operation)
    other = await world.submit(operation, number=2)
    with catalogue_with(operation):
        await world.attempt(W1)  # one step recorded, one begun
        world.clock.move(1)
        taken = {one.id for one in await world.stores.tasks.claim(W1, 1, world.clock.now())}
        theirs = await world.stores.tasks.claim(W2, 1, world.clock.now())
        async with Running(world, Worker(W1, world.around, wakeup)):
            assert taken | {one.id for one in theirs} == {task.id, other.id}
            (mine,) = taken
            assert (await world.get(mine)).state is not State.RUNNING
            assert (await world.get(theirs[0].id)).worker_id == W2
    assert "rescue" in await world.verbs(mine)
    assert "rescue" not in await world.verbs(theirs[0].id)


@pytest.mark.rule(2)
async def test_many_tasks_are_claimed_in_bounded_groups_and_all_rescued(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    count = 2 * CLAIMED_AT_ONCE + 1
    for number in range(1, count + 1):
        await world.submit(operation, number=number)
    limits = []
    claim = world.stores.tasks.claim

    async def noted(worker_id, limit, now, spare):
        limits.append(limit + spare)
        return await claim(worker_id, limit, now, spare)

    lost = await claim(W1, count, world.clock.now())
    assert len(lost) == count
    world.stores.tasks.claim = noted
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=1_000)):
            for _ in range(9):
                await settled()
            assert sorted(gate.inside) == sorted(task.id for task in lost)
            gate.open.set()
    assert max(limits) == CLAIMED_AT_ONCE
    assert len(limits) >= 3


async def test_tasks_that_moved_on_are_not_counted_as_rescued(world):
    operation = Steps(None).operation()
    for number in (1, 2, 3):
        await world.submit(operation, number=number)
    held = await world.stores.tasks.claim(W2, 3, world.clock.now())
    await world.stores.tasks.write(lifecycle.complete(held[1], world.clock.now(), ()))
    assert await rescue(world.around, held, W1) == 2


async def test_rescue_says_that_the_store_is_away_after_all_were_tried(world):
    operation = Steps(None).operation()
    for number in (1, 2, 3):
        await world.submit(operation, number=number)
    held = await world.stores.tasks.claim(W2, 3, world.clock.now())
    world.tasks.away = {"write": 1}
    with pytest.raises(StoreUnavailable):
        await rescue(world.around, held, W1)
    assert await world.stores.tasks.held(W2) == held[:1]


async def test_finished_steps_are_not_run_again_when_the_worker_comes_back(world, wakeup):
    gate = Gate()
    runs = []

    async def first(_context):
        runs.append("first")

    async def second(_context):
        runs.append("second")
        await gate.open.wait()

    operation = make_operation(first, second)
    task = await world.submit(operation)
    with catalogue_with(operation):
        life = Worker(W1, world.around, wakeup)
        await life.round()
        await settled()
        for running in life._running:  # kill -9: nothing is written any more
            running.cancel()
        await settled()
        assert (await world.get(task.id)).state is State.RUNNING
        gate.open.set()
        async with Running(world, Worker(W1, world.around, Wakeup())):
            await settled()
    assert runs == ["first", "second", "second"]
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_worker_starts_when_the_store_is_back(world, wakeup):
    operation = Steps(None).operation()
    task = await world.submit(operation)
    world.tasks.away = {"held": 2, "claim": 1, "next_due": 1}
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            await world.clock.pass_until(lambda: not any(world.tasks.away.values()))
            await settled()
            assert world.clock.now() <= after(4 * STORE_RETRY_S)
            assert (await world.get(task.id)).state is State.SUCCEEDED


@pytest.mark.parametrize("is_in_turn", [True, False])
async def test_claim_whose_answer_was_lost_is_taken_back_and_what_runs_is_left_alone(
    world, wakeup, is_in_turn
):
    if is_in_turn:
        world.stores.tasks._on_new = wakeup.set  # the loop's own claim
    gate = Gate()
    long, short = gate.operation(name="long"), Steps(None).operation(name="short")
    running = await world.submit(long, number=1)
    with catalogue_with(long, short):
        async with Running(world, Worker(W1, world.around, wakeup)):
            assert gate.inside == [running.id]
            world.tasks.written_but_lost = 1
            lost = await world.submit(short, number=2)
            await settled()
            if is_in_turn:
                assert (await world.get(lost.id)).state is State.RUNNING
                world.clock.move(STORE_RETRY_S)
                await settled()
            assert world.tasks.written_but_lost == 0
            assert (await world.get(lost.id)).epoch == 2
            assert (await world.get(lost.id)).state is State.SUCCEEDED
            assert (await world.get(running.id)).epoch == 1
            gate.open.set()
            await settled()
    assert gate.inside == [running.id]
    assert (await world.get(running.id)).state is State.SUCCEEDED


@pytest.mark.rule(10)
async def test_drain_waits_for_the_steps_under_way(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    task = await world.submit(operation)
    worker = Worker(W1, world.around, wakeup)
    await worker.drain(0)
    with catalogue_with(operation):
        await worker.round()
        await settled()
        draining = asyncio.ensure_future(worker.drain(10))
        await settled()
        assert not draining.done()
        gate.open.set()
        await draining
    assert (await world.get(task.id)).state is State.SUCCEEDED


@pytest.mark.rule(10)
async def test_drain_cuts_off_what_takes_too_long_and_gives_its_lane_back(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    task = await world.submit(operation)
    with catalogue_with(operation):
        worker = Worker(W1, world.around, wakeup)
        await worker.round()
        await settled()
        world.around.stopping.set()
        await worker.drain(0)
        given_back = await world.get(task.id)
        assert given_back.state is State.WAITING
        (attempt,) = (await world.history(task.id)).attempts
        assert attempt.outcome is Outcome.LOST
        assert [one.id for one in await world.stores.tasks.claim(W2, 1, NOW)] == [task.id]


async def test_drain_leaves_leases_to_run_out_when_the_store_is_away(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    task = await world.submit(operation)
    with catalogue_with(operation):
        worker = Worker(W1, world.around, wakeup)
        await worker.round()
        await settled()
        world.tasks.away = {"held": 1}
        await worker.drain(0)
    assert (await world.get(task.id)).state is State.RUNNING


async def test_stopped_worker_claims_nothing_more(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    first = await world.submit(operation)
    second = await world.submit(operation)
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            gate.open.set()
            world.around.stopping.set()
    assert (await world.get(first.id)).state is State.SUCCEEDED
    assert (await world.get(second.id)).state is State.WAITING


async def test_broken_attempt_is_logged_and_the_worker_goes_on(world, wakeup, caplog, monkeypatch):
    operation = Steps(None).operation()
    first = await world.submit(operation)
    behind = await world.submit(operation, number=2)
    real = attempt_module.typed_params

    def typed_params(operation, task, vault):
        if task.id == first.id:
            raise ZeroDivisionError("a bug of ours")
        return real(operation, task, vault)

    monkeypatch.setattr(attempt_module, "typed_params", typed_params)
    with catalogue_with(operation), caplog.at_level(logging.ERROR):
        async with Running(world, Worker(W1, world.around, wakeup)):
            await settled()
    assert [record.message for record in caplog.records] == ["attempt broke"]
    assert (await world.get(behind.id)).state is State.SUCCEEDED


async def test_round_raises_when_the_store_is_away(world, wakeup):
    world.tasks.away = {"claim": 1}
    await world.stores.tasks.write(lifecycle.submit(make_task()))
    with pytest.raises(StoreUnavailable):
        await Worker(W1, world.around, wakeup).round()


class Slow:
    """Claims that are answered when they are let go, in the order they were made."""

    def __init__(self, world):
        self.asked = []
        self._answers = []
        self._claim = world.stores.tasks.claim
        world.stores.tasks.claim = self.claim

    async def claim(self, worker_id, limit, now, spare=0):
        self.asked.append((limit, spare))
        claimed = await self._claim(worker_id, limit, now, spare)
        if limit + spare == 0:
            return claimed
        answer = asyncio.Event()
        self._answers.append(answer)
        await answer.wait()
        return claimed

    async def let_go(self):
        self._answers.pop(0).set()
        await settled()

    def let_all_go(self):
        for answer in self._answers:
            answer.set()


async def test_who_comes_anew_is_claimed_beside_a_claim_that_is_under_way(world, wakeup):
    steps = Steps(None)
    operation = steps.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)) as worker:
            slow = Slow(world)
            wakeup.set()  # a claim that finds nothing
            await settled()
            task = await world.submit(operation)
            await settled()
            assert len(slow.asked) == 2
            assert not worker.is_idle({worker._loop.get_name()})
            slow._answers.pop().set()  # the newcomer's, ahead of the one before it
            await settled()
            assert (await world.get(task.id)).state is State.SUCCEEDED
            slow.let_all_go()


async def test_claims_under_way_share_the_slots(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=SLOTS_PER_SPARE)):
            slow = Slow(world)
            wakeup.set()
            await settled()
            for number in range(SLOTS_PER_SPARE):
                await world.submit(operation, number=number)
            await settled()
            assert slow.asked[0] == (SLOTS_PER_SPARE, 1)
            assert set(slow.asked[1:]) == {(0, 0)}
            gate.open.set()
            slow.let_all_go()
            world.around.stopping.set()
            wakeup.set()
            await settled()
            slow.let_all_go()


async def test_loop_waits_for_a_newcomers_claim_that_has_all_places(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=2)):
            slow = Slow(world)
            first = await world.submit(operation, number=1)
            world.stores.tasks._on_new = lambda: None  # of this one it hears nothing
            second = await world.submit(operation, number=2)
            wakeup.set()
            await settled()
            assert slow.asked == [(2, 0), (0, 0)]  # it doesn't ask again and again
            slow.let_all_go()
            await settled()
            slow.let_all_go()
            await settled()
            assert gate.inside == [first.id, second.id]
            gate.open.set()
            slow.let_all_go()


@asynccontextmanager
async def full_worker(world, wakeup, gate, slots):
    """Each slot has a task; the operation to submit more of."""
    operation = gate.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=slots)):
            for number in range(slots):
                await world.submit(operation, number=number)
            await settled()
            assert len(gate.inside) == slots
            yield operation


async def test_all_spare_slots_are_for_those_that_come_together(world, wakeup):
    world.stores.tasks._on_new = wakeup.set  # the loop's own claims
    gate, slots = Gate(), 4 * SLOTS_PER_SPARE
    async with full_worker(world, wakeup, gate, slots) as operation:
        await asyncio.gather(
            *(world.submit(operation, number=slots + number) for number in range(6))
        )
        await settled()
        assert len(gate.inside) == slots + 4
        gate.open.set()


async def test_second_newcomer_of_a_full_worker_has_a_spare_slot_too(world, wakeup):
    gate, slots = Gate(), 4 * SLOTS_PER_SPARE
    async with full_worker(world, wakeup, gate, slots) as operation:
        slow = Slow(world)
        first = await world.submit(operation, number=slots)
        await settled()
        second = await world.submit(operation, number=slots + 1)  # while that is claimed
        await settled()
        slow.let_all_go()
        await settled()
        slow.let_all_go()
        await settled()
        assert gate.inside[slots:] == [first.id, second.id]
        gate.open.set()
        slow.let_all_go()


async def test_what_gets_ready_beside_a_newcomer_is_seen_in_time(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            later = make_scheduled(1, after(3_600), name=operation.name)
            await world.stores.tasks.write(lifecycle.submit(later))
            await settled()
            sooner = lifecycle.reschedule(later, NOW, after(0.3), "tester")
            await asyncio.gather(
                world.stores.tasks.write(sooner), world.submit(operation, number=2)
            )
            await settled()
            world.clock.move(0.3)
            await settled()
            assert (await world.get(later.id)).state.is_final
            gate.open.set()


async def test_store_that_fails_as_it_is_asked_costs_no_slots(world, wakeup):
    operation = Steps(None).operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup, slots=1)):
            claim, failures = world.tasks.claim, 5

            def away(*given):
                nonlocal failures
                if failures:
                    failures -= 1
                    raise StoreUnavailable("away")
                return claim(*given)

            world.tasks.claim = away
            task = await world.submit(operation)
            for _ in range(9):
                await settled()
                world.clock.move(STORE_RETRY_S)
            await settled()
            assert failures == 0
            assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_bug_in_a_newcomers_claim_is_logged_and_the_worker_goes_on(world, wakeup, caplog):
    operation = Steps(None).operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)):
            claim = world.tasks.claim

            async def broken(*_given):
                world.tasks.claim = claim
                raise ArithmeticError("out of numbers")

            world.tasks.claim = broken
            task = await world.submit(operation)
            await settled()
            assert (await world.get(task.id)).state is State.SUCCEEDED
    assert "out of numbers" in caplog.text


async def test_stopping_worker_starts_what_a_newcomers_claim_brought_and_then_ends(world, wakeup):
    steps = Steps(None)
    operation = steps.operation()
    with catalogue_with(operation):
        worker = Worker(W1, world.around, wakeup)
        loop = asyncio.ensure_future(worker.run())
        await settled()
        slow = Slow(world)
        task = await world.submit(operation)
        world.around.stopping.set()
        wakeup.set()
        await settled()
        assert not loop.done()
        await slow.let_go()
        await asyncio.wait_for(loop, 10)
        await worker.drain(10)
    found = await world.get(task.id)
    assert (found.state, found.worker_id) == (State.WAITING, None)  # given back, not left claimed


async def test_recovery_waits_for_a_newcomers_claim(world, wakeup):
    gate = Gate()
    operation = gate.operation()
    with catalogue_with(operation):
        async with Running(world, Worker(W1, world.around, wakeup)) as worker:
            slow = Slow(world)
            task = await world.submit(operation)
            await settled()
            worker._is_recovered = False  # as when the store was away meanwhile
            wakeup.set()
            await settled()
            await slow.let_go()
            slow.let_all_go()
            await settled()
            assert gate.inside == [task.id]
            assert (await world.get(task.id)).epoch == 1
            gate.open.set()
            slow.let_all_go()
