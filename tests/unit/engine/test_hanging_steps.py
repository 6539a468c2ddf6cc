"""Steps that never return, on the loop and in threads: cut off in time, and then without effect."""

import asyncio
import threading

import pytest
from msgspec.structs import replace
from tests.support.builders import NOW, W1, W2
from tests.support.engine_world import Steps, catalogue_with, make_operation

from backroom.domain import lifecycle
from backroom.domain.errors import StepAbandoned, StepNotReady, StepRejected
from backroom.domain.instance import changed
from backroom.domain.task import Outcome, State
from backroom.engine import attempt as attempt_module
from backroom.engine import call as call_module
from backroom.engine.threads import Threads
from backroom.engine.wakeup import Wakeup
from backroom.engine.worker import Worker
from backroom.operations.operation import STEP_TIMEOUT_S, Step

SHORT_S = 0.02


class Stuck:
    """A blocking step that returns only when it is let go, and then tries to do something."""

    def __init__(self, world):
        self.begun, self.let_go, self.ended = (threading.Event() for _ in range(3))
        self.runs = 0
        self.refused = None
        self._instances = world.instances

    def __call__(self, context):
        self.runs += 1
        self.begun.set()
        assert self.let_go.wait(30)
        try:
            shown = context.wait_for(
                context.instances.get(context.task.project_id, context.task.instance_id)
            )
            context.wait_for(context.instances.save(changed(shown, description="too late")))
        except StepAbandoned as refused:
            self.refused = refused
        self.ended.set()
        return "late"


async def in_thread(event):
    assert await asyncio.to_thread(event.wait, 30)


async def comes(is_there):
    """Threads end when they like: there is no event of ours to wait for."""
    for _ in range(5_000):
        if is_there():
            return
        await asyncio.sleep(0.001)
    pytest.fail("waited in vain")


async def hang(_context):
    await asyncio.Event().wait()


@pytest.fixture
def eager(monkeypatch):
    """Looks often, and has little patience."""
    monkeypatch.setattr(call_module, "LOOK_S", 0.005)
    monkeypatch.setattr(call_module, "UNWANTED_S", SHORT_S)
    monkeypatch.setattr(call_module, "CUT_OFF_S", SHORT_S)


async def run(world, worker_id=W1):
    await (await world.claim(worker_id)).run()


# time limits


def test_every_step_has_a_time_limit():
    assert Step("any", hang).timeout_s == STEP_TIMEOUT_S == 60


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_step_that_never_returns_is_retried_and_then_fails(world, kind):
    let_go = threading.Event()
    step = hang if kind == "async" else lambda _context: let_go.wait(30)
    operation = make_operation(step, timeout_s=SHORT_S, max_attempts=2)
    task = await world.submit(operation)
    behind = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
        waiting = await world.get(task.id)
        assert (waiting.state, waiting.attempt) == (State.WAITING, 1)
        world.clock.move(2)
        await run(world)
    failed = await world.get(task.id)
    assert (failed.state, failed.error_code) == (State.FAILED, "DMS.00500000")
    assert failed.error_msg == "step_0 did not end within 0.02 s"
    attempts = (await world.history(task.id)).attempts
    assert [one.outcome for one in attempts] == [Outcome.FAULTED] * 2
    assert "wait" in attempts[0].trace  # where it hung
    assert [one.id for one in await world.stores.tasks.claim(W2, 9, world.clock.now())] == [
        behind.id
    ]
    let_go.set()


@pytest.mark.rule(12)
async def test_limit_is_the_steps_own(world):
    fast, slow = Step("fast", hang, timeout_s=SHORT_S), Step("slow", hang, timeout_s=600)
    operation = replace(make_operation(), steps=(fast, slow), max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert "fast did not end within 0.02 s" in (await world.get(task.id)).error_msg


async def test_clock_that_jumps_cuts_no_step_short(world):
    async def jump(_context):
        world.clock.move(3_600)
        await asyncio.sleep(0)
        return "done"

    operation = make_operation(jump, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_async_step_that_takes_no_cancellation_is_left_alone(world, eager, caplog):
    let_go, refused = asyncio.Event(), []

    async def stubborn(context):
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        try:
            await context.instances.remove(context.task.instance_id)
        except StepAbandoned as error:
            refused.append(error)
        return "late"

    await world.add_instance()
    operation = make_operation(stubborn, timeout_s=SHORT_S, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    failed, history = await world.get(task.id), await world.history(task.id)
    assert failed.state is State.FAILED
    assert "call cut off in vain" in caplog.text
    left = [one for one in asyncio.all_tasks() if "stubborn" in repr(one)]
    assert left == []  # the loop doesn't wait for it when it ends
    let_go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(refused) == 1
    assert await world.shown(task.instance_id) is not None
    assert (await world.get(task.id), await world.history(task.id)) == (failed, history)


async def test_cleaning_up_of_a_step_that_is_cut_off_still_reaches_the_world(world):
    async def tidy(context):
        try:
            await asyncio.Event().wait()
        finally:
            await context.instances.remove(context.task.instance_id)

    await world.add_instance()
    operation = make_operation(tidy, timeout_s=SHORT_S, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert await world.shown(task.instance_id) is None


async def test_thread_that_was_given_up_never_writes_afterwards(world):
    await world.add_instance()
    stuck = Stuck(world)
    operation = make_operation(stuck, timeout_s=SHORT_S, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    kept = (
        await world.get(task.id),
        await world.history(task.id),
        await world.shown(task.instance_id),
    )
    assert kept[0].state is State.FAILED
    assert world.around.threads.stuck == 1
    stuck.let_go.set()
    await in_thread(stuck.ended)
    await comes(lambda: not world.around.threads.stuck)
    assert isinstance(stuck.refused, StepAbandoned)
    assert kept == (
        await world.get(task.id), await world.history(task.id), await world.shown(task.instance_id),
    )  # fmt: skip


async def test_what_a_thread_waits_for_is_cancelled_when_it_is_given_up(world):
    waits, ended = threading.Event(), []

    async def never():
        waits.set()
        await asyncio.Event().wait()

    def step(context):
        try:
            context.wait_for(never())
        except StepAbandoned as refused:
            ended.append(refused)

    operation = make_operation(step, timeout_s=SHORT_S, max_attempts=1)
    await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    await comes(lambda: not (not ended or world.around.threads.stuck))
    assert waits.is_set()


# blocking steps


@pytest.mark.rule(10)
async def test_blocking_step_runs_beside_the_loop(world):
    on_loop, seen = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def step(context):
        seen.append(threading.current_thread() is threading.main_thread())
        asyncio.run_coroutine_threadsafe(_set(on_loop), loop).result(30)  # held, it never would
        context.check()
        return {"brokers": len(context.wait_for(context.platform.observe(ID)).brokers)}

    ID = (await world.add_instance()).id  # noqa: N806
    operation = make_operation(step, lambda context: context.outputs["step_0"]["brokers"] + 1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert seen == [False]
    assert (await world.get(task.id)).state is State.SUCCEEDED
    outputs = [step.output for step in (await world.history(task.id)).steps]
    assert outputs == [b'{"brokers":3}', b"4"]


async def _set(event):
    event.set()


@pytest.mark.parametrize(
    ("end", "state", "message"),
    [
        (StepNotReady(60), State.WAITING, None),
        (StepRejected("DMS.00400026", "no room"), State.FAILED, "no room"),
        (OSError("broken"), State.FAILED, "OSError: broken"),
        (StopIteration(), State.FAILED, "RuntimeError: coroutine raised StopIteration"),
        (SystemExit(3), State.FAILED, "StepExited: SystemExit: 3"),
    ],
    ids=repr,
)
async def test_blocking_step_may_end_as_any_other(world, end, state, message):
    def step(_context):
        raise end

    operation = make_operation(step, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    ended = await world.get(task.id)
    assert (ended.state, ended.error_msg) == (state, message)


async def test_async_step_that_wants_to_end_the_process_is_a_fault(world):
    async def step(_context):
        raise SystemExit(3)

    operation = make_operation(step, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert (await world.get(task.id)).error_msg == "StepExited: SystemExit: 3"


async def test_plain_function_that_returns_a_coroutine_is_told_so(world):
    operation = make_operation(lambda _context: asyncio.sleep(0), max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert "must be an `async def`" in (await world.get(task.id)).error_msg


async def test_async_step_is_told_to_await(world):
    async def step(context):
        context.wait_for(context.platform.observe(context.task.instance_id))

    operation = make_operation(step, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert "an `async def` awaits" in (await world.get(task.id)).error_msg


async def test_undo_may_block(world):
    undone = []

    def undo(context):
        undone.append(context.wait_for(context.tasks.get(context.task.id)).state)

    operation = make_operation(hang, undo=undo, timeout_s=SHORT_S, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert undone == [State.RUNNING]
    assert (await world.get(task.id)).state is State.FAILED


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_task_ends_although_its_undo_never_returns(world, monkeypatch, kind):
    monkeypatch.setattr(attempt_module, "UNDO_TIMEOUT_S", SHORT_S)
    let_go = threading.Event()
    undo = hang if kind == "async" else lambda _context: let_go.wait(30)
    operation = Steps(StepRejected("c", "r")).operation(undo=undo)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert (await world.get(task.id)).state is State.FAILED
    let_go.set()


# cancel, loss of the lease, stop of the process


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_cancel_of_a_task_whose_step_hangs_cuts_it_off(world, eager, kind):
    let_go, undone = threading.Event(), []

    async def undo(context):
        undone.append(context.task.id)

    step = hang if kind == "async" else lambda _context: let_go.wait(30)
    operation = make_operation(step, undo=undo)
    task = await world.submit(operation)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await asyncio.sleep(0)
        await world.stores.tasks.write(
            lifecycle.ask_cancel(await world.get(task.id), NOW, "tester")
        )
        await running
    assert undone == [task.id]
    assert (await world.get(task.id)).state is State.CANCELLED
    assert await world.verbs(task.id) == ["submit", "claim", "ask_cancel", "stop"]
    let_go.set()


@pytest.mark.parametrize("end", [RuntimeError("broken"), StepNotReady(60)], ids=repr)
async def test_task_that_was_asked_to_cancel_waits_for_nothing_more(world, end):
    async def step(context):
        asked = lifecycle.ask_cancel(await world.get(context.task.id), NOW, "tester")
        await world.stores.tasks.write(asked)
        raise end

    operation = make_operation(step)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await world.attempt()
        assert (await world.get(task.id)).due_at == NOW
        await world.attempt()
    assert (await world.get(task.id)).state is State.CANCELLED


async def test_step_whose_lease_was_lost_is_cut_off_and_nothing_written(world, eager):
    cut_off = []

    async def step(_context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append(None)
            raise

    operation = make_operation(step)
    task = await world.submit(operation)
    with catalogue_with(operation):
        running = asyncio.ensure_future((await world.claim()).run())
        await asyncio.sleep(0)
        await world.stores.tasks.write(lifecycle.rescue(await world.get(task.id), NOW, W2))
        await world.stores.tasks.claim(W2, 1, NOW)
        kept = await world.get(task.id), await world.history(task.id)
        await running
    assert cut_off == [None]
    assert kept == (await world.get(task.id), await world.history(task.id))


async def test_undo_stops_when_the_lease_is_lost(world, eager):
    async def undo(context):
        try:
            rescued = lifecycle.rescue(await world.get(context.task.id), NOW, W2)
            await world.stores.tasks.write(rescued)
        finally:  # a slow machine may look, and cut it off, already here
            kept.append((await world.get(context.task.id), await world.history(context.task.id)))
        await asyncio.Event().wait()

    kept = []
    operation = Steps(StepRejected("c", "r")).operation(undo=undo)
    task = await world.submit(operation)
    with catalogue_with(operation):
        await run(world)
    assert kept == [(await world.get(task.id), await world.history(task.id))]


async def test_hanging_step_goes_on_while_the_store_is_away(world, eager):
    let_go = asyncio.Event()

    async def step(_context):
        await let_go.wait()
        return "done"

    operation = make_operation(step, max_attempts=1)
    task = await world.submit(operation)
    with catalogue_with(operation):
        attempt = await world.claim()
        world.tasks.away = {"get": 3}
        running = asyncio.ensure_future(attempt.run())
        await comes(lambda: not world.tasks.away["get"])
        let_go.set()
        await running
    assert (await world.get(task.id)).state is State.SUCCEEDED


async def test_drain_leaves_a_stuck_thread_behind_and_gives_its_lane_back(world):
    await world.add_instance()
    stuck = Stuck(world)
    operation = make_operation(stuck)
    task = await world.submit(operation)
    with catalogue_with(operation):
        worker = Worker(W1, world.around, Wakeup())
        await worker.round()
        await in_thread(stuck.begun)
        world.around.stopping.set()
        await worker.drain(0)
        assert (await world.get(task.id)).state is State.WAITING
        stuck.let_go.set()
        await in_thread(stuck.ended)
        assert stuck.refused is not None
        world.around.stopping.clear()
        assert (await world.get(task.id)).state is State.WAITING
        await run(world, W2)
    assert stuck.runs == 2
    assert (await world.get(task.id)).state is State.SUCCEEDED


# the bound


@pytest.mark.rule(10)
async def test_threads_are_bounded_and_those_that_are_stuck_make_room(world):
    threads = Threads(most=1)
    world.around = replace(world.around, threads=threads)
    let_go = [threading.Event() for _ in range(3)]
    begun = [threading.Event() for _ in range(3)]

    def step(context):
        at = int(context.task.name[-1])
        begun[at].set()
        assert let_go[at].wait(30)

    operations = [
        make_operation(step, name=f"op{at}", timeout_s=SHORT_S if at == 0 else 60, max_attempts=1)
        for at in range(3)
    ]
    tasks = [await world.submit(one, number=at) for at, one in enumerate(operations, 1)]
    with catalogue_with(*operations):
        await run(world)
        assert (await world.get(tasks[0].id)).state is State.FAILED
        second = asyncio.ensure_future((await world.claim()).run())
        await in_thread(begun[1])
        third = asyncio.ensure_future((await world.claim()).run())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not begun[2].is_set()  # one at work, one stuck: no room
        let_go[1].set()
        await second
        await in_thread(begun[2])
        let_go[2].set()
        await third
    assert threads.stuck == 1
    let_go[0].set()
    await comes(lambda: not threads.stuck)


async def test_time_limit_begins_when_the_step_has_its_thread(world):
    world.around = replace(world.around, threads=Threads(most=1))
    let_go = threading.Event()
    holds = make_operation(lambda _context: let_go.wait(30), name="holds", max_attempts=1)
    waits = make_operation(lambda _context: "done", name="waits", timeout_s=SHORT_S, max_attempts=1)
    tasks = await world.submit(holds, number=1), await world.submit(waits, number=2)
    with catalogue_with(holds, waits):
        running = [asyncio.ensure_future((await world.claim()).run()) for _ in range(2)]
        await asyncio.sleep(3 * SHORT_S)  # longer than the second may take, once it has begun
        let_go.set()
        await asyncio.gather(*running)
    assert {(await world.get(task.id)).state for task in tasks} == {State.SUCCEEDED}


async def test_nothing_more_runs_when_too_many_threads_are_stuck(world):
    threads = Threads(most=1)
    world.around = replace(world.around, threads=threads)
    let_go = threading.Event()
    operation = make_operation(lambda _context: let_go.wait(30), timeout_s=SHORT_S, max_attempts=1)
    for number in (1, 2, 3):
        await world.submit(operation, number=number)
    with catalogue_with(operation):
        await run(world)
        await run(world)
        waiting = asyncio.ensure_future((await world.claim()).run())
        await asyncio.sleep(5 * SHORT_S)
        assert not waiting.done()
        let_go.set()
        await waiting
