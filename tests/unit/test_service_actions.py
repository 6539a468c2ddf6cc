"""Cancel, retry, bulk actions, and where a waiting task is."""

import asyncio
import json

import msgspec
import pytest
from tests.support.builders import (
    NOW,
    OPERATOR,
    OTHER_PROJECT,
    PROJECT,
    USER,
    VIEWER,
    W1,
    after,
    instance_id,
    make_instance,
    make_task,
)
from tests.support.engine_world import NoParams, Steps, catalogue_with

from backroom.domain import lifecycle
from backroom.domain.account import Identity, Role
from backroom.domain.errors import (
    ClientTokenReused,
    InstanceNotReady,
    InvalidInput,
    QuotaReached,
    ReadOnlyRole,
    StepNotReady,
    StepRejected,
    TaskEnded,
    TaskNotFound,
    TaskNotRetryable,
)
from backroom.domain.filter import TaskSearch
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import Kind, QueueLimits, State
from backroom.engine.attempt import Attempt
from backroom.operations import bulk as bulk_module
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.create_instance import CREATE_INSTANCE, CreateInstance
from backroom.operations.delete_instance import DELETE_INSTANCE, DeleteInstance
from backroom.operations.extend_instance import EXTEND_INSTANCE, ExtendInstance
from backroom.operations.operation import Operation, Step
from backroom.operations.public_ip import UNBIND_PUBLIC_IP, UnbindPublicIp
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.service import (
    Bulk,
    ClientToken,
    Order,
    Retry,
    TaskService,
    actions,
    bulk_tasks,
    looking,
)

ID = instance_id()
STRANGER = Identity(OTHER_PROJECT, USER, "stranger", Role.ADMIN)
NOBODY = Identity(None, USER, "domain", Role.ADMIN)
UNBIND = Order(operation=UNBIND_PUBLIC_IP, params=UnbindPublicIp(), public={})
DELETE = Order(operation=DELETE_INSTANCE, params=DeleteInstance(), public={})
RESTART = Order(operation=RESTART_INSTANCE, params=RestartInstance(), public={})
EXTEND = Order(
    operation=EXTEND_INSTANCE, public={},
    params=ExtendInstance(
        kind="storage", storage_gb=600, broker_count=3, product_id="c6.2u4g.cluster"
    ),
)  # fmt: skip
CREATE = Order(
    operation=CREATE_INSTANCE, public={},
    params=CreateInstance(broker_count=3, storage_gb=300, engine_version="2.7", password="Hush_1"),
)  # fmt: skip
NEVER = StepRejected("DMS.00400026", "never")


@pytest.fixture
def service(world):
    return TaskService(world.tasks, world.finder, world.instances, world.vault, world.clock)


@pytest.fixture
def knows(monkeypatch):
    """The service and the engine know an operation too."""
    with_engine = []

    def add(operation):
        known = {**CATALOGUE, operation.name: operation}
        for module in (actions, looking):
            monkeypatch.setattr(module, "CATALOGUE", known)
        context = catalogue_with(operation)
        context.__enter__()
        with_engine.append(context)

    yield add
    for context in with_engine:
        context.__exit__(None, None, None)


def steps_of(then, knows, **given):
    steps = Steps(*then)
    operation = steps.operation(**given)
    knows(operation)
    return steps, operation


async def submitted(world, service, order=UNBIND, identity=OPERATOR):
    return (await service.submit(identity, ID, order)).task_id


# read only


READ_ONLY = {"name": "lookAround", "is_read_only": True}


def ordered(operation, **given):
    return Order(operation=operation, params=NoParams(), public={}, **given)


async def test_task_that_only_reads_runs_beside_the_one_that_holds_the_instance(
    world, service, knows
):
    await world.add_instance()
    steps, operation = steps_of(("seen",), knows, **READ_ONLY)
    holds, behind = [await submitted(world, service) for _ in range(2)]
    attempt = await world.claim()
    assert attempt._task.id == holds
    looks = await submitted(world, service, ordered(operation))
    task = await world.get(looks)
    assert (task.lane, task.instance_id) == (looks, ID)
    (claimed,) = await world.stores.tasks.claim(W1, 9, NOW)
    assert claimed.id == looks
    await Attempt(claimed, world.around).run()
    assert steps.runs == ["step_0"]
    assert (await world.get(looks)).state is State.SUCCEEDED
    assert (await world.get(holds)).state is State.RUNNING
    assert (await world.get(behind)).state is State.WAITING


async def test_tasks_that_only_read_run_beside_each_other_and_hold_nobody_up(world, service, knows):
    await world.add_instance()
    _, operation = steps_of(("seen",), knows, **READ_ONLY)
    looks = [await submitted(world, service, ordered(operation)) for _ in range(2)]
    changes = await submitted(world, service)
    claimed = await world.stores.tasks.claim(W1, 9, NOW)
    assert {task.id for task in claimed} == {*looks, changes}


@pytest.mark.parametrize("by_bulk", [False, True])
async def test_task_that_only_reads_is_retried_beside_the_one_that_holds_the_instance(
    world, service, knows, by_bulk
):
    await world.add_instance()
    _, operation = steps_of(([NEVER, "seen"],), knows, **READ_ONLY)
    old = await submitted(world, service, ordered(operation))
    await run(world, await world.claim())
    assert (await world.get(old)).state is State.FAILED
    holds = await submitted(world, service)
    attempt = await world.claim()
    assert attempt._task.id == holds
    if by_bulk:
        made = await service.submit_bulk(OPERATOR, RETRY_ALL)
        await claim_and_run(world, made.task_id)
    else:
        await service.retry(OPERATOR, old, Retry())
    (claimed,) = await world.stores.tasks.claim(W1, 9, NOW)
    assert (claimed.parent_id, claimed.lane) == (old, claimed.id)
    await Attempt(claimed, world.around).run()
    assert (await world.get(claimed.id)).state is State.SUCCEEDED
    assert (await world.get(holds)).state is State.RUNNING


async def test_task_that_only_reads_and_was_planned_runs_beside_the_one_that_holds_the_instance(
    world, service, knows
):
    await world.add_instance()
    _, operation = steps_of(("seen",), knows, **READ_ONLY)
    planned = await submitted(world, service, ordered(operation, execute_at=after(60)))
    holds = await submitted(world, service)
    attempt = await world.claim()
    assert attempt._task.id == holds
    world.clock.move(60)
    (scheduled,) = await world.stores.tasks.claim(W1, 9, after(60))
    assert scheduled.id == planned
    await Attempt(scheduled, world.around).run()
    (claimed,) = await world.stores.tasks.claim(W1, 9, after(60))
    assert (claimed.parent_id, claimed.lane) == (planned, claimed.id)
    assert (claimed.kind, claimed.name) == (Kind.BACKGROUND, "lookAround")
    assert (await world.get(holds)).state is State.RUNNING


# cancel


async def test_task_that_has_not_begun_is_cancelled_at_once(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    cancelled = await service.cancel(OPERATOR, task_id, "not today")
    assert cancelled == await world.get(task_id)
    assert (cancelled.state, cancelled.ended_at, cancelled.error_msg) == (
        State.CANCELLED, NOW, "not today",
    )  # fmt: skip
    event = (await world.history(task_id)).events[-1]
    assert (event.verb, event.actor, event.detail) == ("cancel", "tester", "not today")
    assert await world.stores.tasks.claim(W1, 9, NOW) == []


async def test_task_behind_another_is_cancelled_and_the_next_takes_its_place(world, service):
    await world.add_instance()
    first, second, third = [await submitted(world, service) for _ in range(3)]
    attempt = await world.claim()
    assert attempt._task.id == first
    await service.cancel(OPERATOR, second, None)
    await run(world, attempt)
    (claimed,) = await world.stores.tasks.claim(W1, 9, after(9))
    assert claimed.id == third


async def test_running_task_is_asked_to_stop_and_keeps_its_lane_until_it_has(world, service, knows):
    steps, operation = steps_of((StepNotReady(0.2), "done"), knows)
    await world.add_instance()
    task = await world.submit(operation)
    behind = await submitted(world, service)
    await world.begin()
    asked = await service.cancel(OPERATOR, task.id, "enough")
    assert (asked.state, asked.cancel_asked_at) == (State.RUNNING, NOW)
    assert await world.stores.tasks.claim(W1, 9, NOW) == []
    await world.finish()
    assert (await world.get(task.id)).state is State.CANCELLED
    assert "step_1" not in steps.runs
    (claimed,) = await world.stores.tasks.claim(W1, 9, world.clock.now())
    assert claimed.id == behind


async def test_task_that_waits_for_the_world_is_stopped_at_once(world, service, knows):
    undone = []

    async def undo(context):
        undone.append(context.task.id)

    _, operation = steps_of((StepNotReady(600),), knows, undo=undo)
    await world.add_instance()
    task = await world.submit(operation)
    await world.attempt()
    asked = await service.cancel(OPERATOR, task.id, None)
    assert (asked.state, asked.due_at) == (State.WAITING, None)
    await world.attempt()
    assert (await world.get(task.id)).state is State.CANCELLED
    assert undone == [task.id]


async def test_asking_again_changes_nothing(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    await world.claim()
    first = await service.cancel(OPERATOR, task_id, "one")
    assert await service.cancel(OPERATOR, task_id, "two") == first
    assert (await world.verbs(task_id)).count("ask_cancel") == 1


async def test_task_that_has_ended_is_not_cancelled(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    ended = await world.run_to_end(task_id)
    with pytest.raises(TaskEnded) as raised:
        await service.cancel(OPERATOR, task_id, None)
    assert (raised.value.task_id, raised.value.state) == (task_id, State.SUCCEEDED)
    assert await world.get(task_id) == ended


async def test_cancel_is_decided_again_when_a_worker_was_first(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)

    async def claimed():
        await world.claim()

    world.tasks.before_write = claimed
    assert (await service.cancel(OPERATOR, task_id, None)).state is State.RUNNING
    assert await world.verbs(task_id) == ["submit", "claim", "ask_cancel"]


async def test_scheduled_task_is_cancelled_before_its_time(world, service):
    await world.add_instance()
    later = msgspec.structs.replace(RESTART, execute_at=after(60))
    task_id = await submitted(world, service, later)
    assert (await service.cancel(OPERATOR, task_id, None)).state is State.CANCELLED
    assert (await world.shown(ID)).status is InstanceStatus.RUNNING


@pytest.mark.parametrize("order", [DELETE, RESTART, EXTEND], ids=lambda one: one.operation.name)
async def test_instance_is_shown_as_before_when_its_task_is_cancelled_before_it_began(
    world, service, order
):
    instance = await world.add_instance()
    first = await submitted(world, service)
    task_id = await submitted(world, service, order)
    assert (await world.shown(ID)).status is not InstanceStatus.RUNNING
    await service.cancel(OPERATOR, first, None)
    assert (await world.shown(ID)).status is not InstanceStatus.RUNNING
    await service.cancel(OPERATOR, task_id, None)
    shown = await world.shown(ID)
    assert shown == msgspec.structs.replace(instance, version=shown.version)
    await submitted(world, service, order)


async def test_status_that_another_task_gave_since_is_left_alone(world, service):
    await world.add_instance()
    task_id = await submitted(world, service, RESTART)
    shown = await world.shown(ID)
    await world.instances.save(changed(shown, status=InstanceStatus.ERROR))
    await service.cancel(OPERATOR, task_id, None)
    assert (await world.shown(ID)).status is InstanceStatus.ERROR


async def test_creation_that_is_cancelled_before_it_began_has_failed(world, service):
    instance = make_instance(status=InstanceStatus.CREATING)
    submission = await service.submit_new(OPERATOR, instance, CREATE)
    await service.cancel(OPERATOR, submission.task_id, None)
    assert (await world.shown(ID)).status is InstanceStatus.CREATE_FAILED


async def refused(call, *errors):
    with pytest.raises(errors) as raised:
        await call
    return raised.value


async def test_cancel_and_retry_are_refused_to_a_viewer_and_to_strangers(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    cancelled = await submitted(world, service)
    await service.cancel(OPERATOR, cancelled, None)
    before = await world.get(task_id)
    for who, error in ((VIEWER, ReadOnlyRole), (STRANGER, TaskNotFound), (NOBODY, TaskNotFound)):
        await refused(service.cancel(who, task_id, None), error)
        await refused(service.retry(who, cancelled, Retry()), error)
    await refused(service.cancel(OPERATOR, "0" * 32, None), TaskNotFound)
    await refused(service.retry(OPERATOR, "0" * 32, Retry()), TaskNotFound)
    assert await world.get(task_id) == before


# retry


async def test_retry_is_a_new_task_that_does_the_same_and_names_the_old_one(world, service, knows):
    steps, operation = steps_of(([NEVER, "done"], "end"), knows)
    await world.add_instance()
    old = await world.submit(operation)
    failed = await world.run_to_end(old.id)
    world.clock.move(60)
    retry = Retry(reason="mended", request_id="r2")
    made = await service.retry(OPERATOR, old.id, retry)
    task = await world.get(made.task_id)
    assert task.id != old.id
    assert (task.parent_id, task.reason, task.request_id) == (old.id, "mended", "r2")
    assert (task.name, task.params, task.internal, task.lane) == (
        old.name, old.params, old.internal, old.lane,
    )  # fmt: skip
    assert (task.created_at, task.state, task.version) == (world.clock.now(), State.WAITING, 1)
    assert json.loads(task.before)["id"] == ID
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    assert steps.runs == ["step_0", "step_0", "step_1"]
    assert await world.get(old.id) == failed


@pytest.mark.parametrize(("from_step", "again"), [(True, [2]), (False, [0, 1, 2])])
async def test_retry_from_a_step_runs_only_what_is_left(world, service, knows, from_step, again):
    steps, operation = steps_of(("a", {"b": 1}, [NEVER, "c"]), knows)
    await world.add_instance()
    old = await world.submit(operation)
    assert (await world.run_to_end(old.id)).state is State.FAILED
    assert steps.runs == ["step_0", "step_1", "step_2"]
    steps.runs.clear()
    made = await service.retry(OPERATOR, old.id, Retry(from_step=from_step))
    assert (await world.run_to_end(made.task_id)).state is State.SUCCEEDED
    assert steps.runs == [f"step_{at}" for at in again]
    assert [step.output for step in (await world.history(made.task_id)).steps] == [
        b'"a"', b'{"b":1}', b'"c"',
    ]  # fmt: skip


async def test_retry_from_a_step_does_again_what_the_undo_took_back(world, service, knows):
    steps = Steps("a", "b", [NEVER, "c"])
    operation = steps.operation()
    first, second, third = operation.steps
    operation = Operation(
        name=operation.name, params=NoParams, prepare=operation.prepare,
        steps=(first, Step(second.name, second.run, is_undone=True), third),
    )  # fmt: skip
    knows(operation)
    await world.add_instance()
    old = await world.submit(operation)
    await world.run_to_end(old.id)
    steps.runs.clear()
    made = await service.retry(OPERATOR, old.id, Retry(from_step=True))
    await world.run_to_end(made.task_id)
    assert steps.runs == ["step_1", "step_2"]


async def test_retry_of_a_cancelled_task_is_accepted(world, service):
    await world.add_instance()
    old = await submitted(world, service)
    await service.cancel(OPERATOR, old, None)
    made = await service.retry(OPERATOR, old, Retry())
    assert (await world.run_to_end(made.task_id)).state is State.SUCCEEDED


async def test_retry_of_a_schedule_is_done_at_once(world, service):
    await world.add_instance()
    old = await submitted(world, service, msgspec.structs.replace(UNBIND, execute_at=after(60)))
    await service.cancel(OPERATOR, old, None)
    made = await service.retry(OPERATOR, old, Retry())
    task = await world.get(made.task_id)
    assert (task.kind, task.execute_at, task.lane) == (Kind.BACKGROUND, None, ID)


async def in_flight(world, service):
    return await submitted(world, service)


async def succeeded(world, service):
    task_id = await submitted(world, service)
    await world.run_to_end(task_id)
    return task_id


async def of_no_release(world, _service):
    task = make_task(name="neverHeardOf")
    await world.stores.tasks.write(lifecycle.submit(task), lifecycle.cancel(task, NOW, "tester"))
    return task.id


async def without_instance(world, service):
    task_id = await submitted(world, service)
    await service.cancel(OPERATOR, task_id, None)
    await world.instances.remove(ID)
    return task_id


async def with_other_params(world, _service):
    task = make_task(name=EXTEND_INSTANCE.name, internal=b'{"kind": 7}')
    await world.stores.tasks.write(lifecycle.submit(task), lifecycle.cancel(task, NOW, "tester"))
    return task.id


@pytest.mark.parametrize(
    "make", [in_flight, succeeded, of_no_release, without_instance, with_other_params]
)
async def test_what_can_not_be_done_again_is_refused(world, service, make):
    await world.add_instance()
    task_id = await make(world, service)
    kept = world.database.kept_bytes()
    assert (await refused(service.retry(OPERATOR, task_id, Retry()), TaskNotRetryable)).why
    assert world.database.kept_bytes() == kept


async def test_retry_meets_the_instance_as_it_is_now(world, service):
    instance = await world.add_instance()
    old = await submitted(world, service, RESTART)
    await service.cancel(OPERATOR, old, None)
    shown = await world.shown(ID)
    await world.instances.save(changed(shown, status=InstanceStatus.DELETING))
    await refused(service.retry(OPERATOR, old, Retry()), InstanceNotReady)
    shown = await world.shown(ID)
    await world.instances.save(changed(shown, status=instance.status))
    await service.retry(OPERATOR, old, Retry())
    assert (await world.shown(ID)).status is InstanceStatus.RESTARTING


async def test_failed_creation_is_tried_again_with_its_sealed_password(world, service):
    instance = make_instance(status=InstanceStatus.CREATING)
    first = await service.submit_new(OPERATOR, instance, CREATE)
    await service.cancel(OPERATOR, first.task_id, None)
    made = await service.retry(OPERATOR, first.task_id, Retry())
    assert (await world.shown(ID)).status is InstanceStatus.CREATING
    assert (await world.run_to_end(made.task_id)).state is State.SUCCEEDED
    assert (await world.shown(ID)).status is InstanceStatus.RUNNING
    await refused(service.retry(OPERATOR, first.task_id, Retry()), InstanceNotReady)
    assert b"Hush_1" not in world.database.kept_bytes()


async def test_retry_is_limited_like_any_submit(world):
    limits = QueueLimits(instance=1, project=9)
    service = TaskService(
        world.tasks, world.finder, world.instances, world.vault, world.clock, limits
    )
    await world.add_instance()
    old = await submitted(world, service)
    await service.cancel(OPERATOR, old, None)
    await submitted(world, service)
    await refused(service.retry(OPERATOR, old, Retry()), QuotaReached)


# client tokens


async def test_twin_that_came_first_is_the_answer_when_it_stands_in_the_way(world, service):
    """The twin was accepted after this one had looked: the instance is being deleted by itself."""
    await world.add_instance()
    order = msgspec.structs.replace(DELETE, client_token=ClientToken("t", b"d"))
    first = await service.submit(OPERATOR, ID, order)
    looks = []

    async def blind_once(*given):
        looks.append(given)
        return None if len(looks) == 1 else await real(*given)

    real, world.finder.receipt = world.finder.receipt, blind_once
    assert await service.submit(OPERATOR, ID, order) == first
    assert len(looks) == 2


async def test_token_is_bound_to_its_request(world, service):
    await world.add_instance()
    token = ClientToken("t", b"one")
    order = msgspec.structs.replace(UNBIND, client_token=token)
    await service.submit(OPERATOR, ID, order)
    other = msgspec.structs.replace(order, client_token=ClientToken("t", b"two"))
    await refused(service.submit(OPERATOR, ID, other), ClientTokenReused)


# where a task waits


async def test_waiting_task_knows_what_is_before_it(world, service):
    await world.add_instance()
    ids = [await submitted(world, service) for _ in range(3)]
    first = (await service.full(PROJECT, ids[0])).waits
    assert (first.place.holder, first.place.ahead, first.expected_at) == (None, (), NOW)
    await world.claim()
    assert (await service.full(PROJECT, ids[0])).waits is None
    last = (await service.full(PROJECT, ids[2])).waits
    assert (last.place.holder.id, last.place.ahead) == (ids[0], (UNBIND_PUBLIC_IP.name,))
    assert last.expected_at is None  # none of them has ever ended: nobody knows


async def test_expected_start_follows_from_what_was_learnt(world, service, knows):
    async def taking(seconds):
        world.clock.move(seconds)

    _, operation = steps_of((lambda _: taking(4), lambda _: taking(6)), knows)
    await world.add_instance()
    learnt = await world.submit(operation)
    await world.run_to_end(learnt.id)
    ids = [(await world.submit(operation)).id for _ in range(3)]
    begun_at = world.clock.now()
    waits = (await service.full(PROJECT, ids[2])).waits
    assert (waits.expected_at - begun_at).total_seconds() == 20
    await world.claim()
    world.clock.move(3)
    waits = (await service.full(PROJECT, ids[2])).waits
    assert 10 < (waits.expected_at - world.clock.now()).total_seconds() <= 20


async def test_what_was_learnt_is_asked_for_again_after_a_while_only(world, service):
    await world.add_instance()
    record = await world.tasks.record(await submitted(world, service))
    asked = []

    async def durations(name):
        asked.append(name)
        return {"a": 30.0, "b": 12.0}

    world.finder.durations = durations
    for _ in range(10):
        assert await service.remaining_s(record) == 42 - len(asked[1:]) * 10
    assert len(asked) == 1
    world.clock.move(10)
    assert await service.remaining_s(record) == 32
    assert len(asked) == 2


async def test_full_record_is_missing_for_strangers(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    for project_id in (OTHER_PROJECT, ""):
        await refused(service.full(project_id, task_id), TaskNotFound)
        await refused(service.state_of(project_id, task_id), TaskNotFound)
    assert await service.state_of(PROJECT, task_id) is State.WAITING


# bulk


def bulk(*states, retry=False, **more):
    wanted = TaskSearch(
        project_id=PROJECT, states=frozenset(states), kinds=frozenset({Kind.BACKGROUND})
    )
    return Bulk(wanted=wanted, public={"state": "x"}, retry=retry, **more)


CANCEL_ALL = bulk(State.WAITING, State.RUNNING, reason="stop it all")
RETRY_ALL = bulk(State.FAILED, State.CANCELLED, retry=True, reason="again")


async def output_of(world, task_id):
    step = (await world.history(task_id)).steps[-1]
    return json.loads(step.output)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(bulk_module, "CHUNK", 2)


async def test_bulk_task_is_one_of_the_project_with_the_ids_as_they_are_now(world, service):
    await world.add_instance()
    found = [await submitted(world, service) for _ in range(3)]
    made = await service.submit_bulk(OPERATOR, CANCEL_ALL)
    await submitted(world, service)
    task = await world.get(made.task_id)
    assert (task.kind, task.name, task.instance_id) == (Kind.BULK, "bulkCancel", PROJECT)
    assert (task.lane, task.reason, task.state) == (task.id, "stop it all", State.WAITING)
    assert json.loads(task.params) == {"filter": {"state": "x"}, "task_count": 3}
    assert json.loads(task.internal)["task_ids"] == found[::-1]


async def test_bulk_cancel_cancels_what_it_found_and_counts_the_rest(world, service, small_chunks):
    await world.add_instance()
    ids = [await submitted(world, service) for _ in range(7)]
    running = await world.claim()
    assert running._task.id == ids[0]
    made = await service.submit_bulk(OPERATOR, CANCEL_ALL)
    later = await submitted(world, service)
    await service.cancel(OPERATOR, ids[6], "my own")
    await world.stores.tasks.write(
        lifecycle.delete(await world.get(ids[6]), world.clock.now(), "tester")
    )
    await service.cancel(OPERATOR, ids[5], "my own")
    ended = await world.run_to_end(made.task_id)
    assert ended.state is State.SUCCEEDED
    states = [(await world.get(task_id)).state for task_id in ids[1:6]]
    assert set(states) == {State.CANCELLED}
    assert (await world.get(ids[0])).cancel_asked_at is not None
    assert (await world.get(later)).state is State.WAITING
    told = await output_of(world, made.task_id)
    assert (told["done"], told["skipped"]) == (5, 2)
    assert told["reasons"] == [
        {"task_id": ids[6], "why": "its record is gone"},
        {"task_id": ids[5], "why": "it was cancelled"},
    ]
    event = (await world.history(ids[1])).events[-1]
    assert (event.actor, event.detail) == ("tester", f"bulkCancel {made.task_id}: stop it all")
    percents = [
        e.detail for e in (await world.history(made.task_id)).events if e.verb == "progress"
    ]
    assert percents == ["28 %", "57 %", "85 %"]


async def test_bulk_retry_makes_one_task_of_each_and_says_why_not(world, service, small_chunks):
    await world.add_instance()
    for number in (2, 3):
        await world.add_instance(number)
    ids = []
    for number in (1, 1, 1, 2, 3):
        task_id = (await service.submit(OPERATOR, instance_id(number), UNBIND)).task_id
        await service.cancel(OPERATOR, task_id, None)
        ids.append(task_id)
    made = await service.submit_bulk(OPERATOR, RETRY_ALL)
    await world.instances.remove(instance_id(3))
    assert (await world.run_to_end(made.task_id)).state is State.SUCCEEDED
    told = await output_of(world, made.task_id)
    assert (told["done"], told["skipped"]) == (4, 1)
    assert told["reasons"] == [{"task_id": ids[4], "why": "its instance does not exist any more"}]
    children = await tasks_of(world, RETRY_ALL.wanted)
    assert {task.parent_id for task in children} == set(ids[:4])
    assert all(task.reason == "again" for task in children)


async def tasks_of(world, wanted):
    open_ones = msgspec.structs.replace(
        wanted, states=frozenset({State.WAITING, State.RUNNING, State.SUCCEEDED})
    )
    return (await world.finder.search(open_ones, None, 99)).tasks


@pytest.mark.parametrize("action", [CANCEL_ALL, RETRY_ALL], ids=["cancel", "retry"])
@pytest.mark.parametrize("dies_after", range(1, 8))
async def test_bulk_task_does_the_same_when_its_worker_dies_anywhere(
    world, service, small_chunks, action, dies_after
):
    await world.add_instance()
    ids = [await submitted(world, service) for _ in range(5)]
    if action.retry:
        for task_id in ids:
            await service.cancel(OPERATOR, task_id, None)
    made = await service.submit_bulk(OPERATOR, action)
    attempt = await claim_of(world, made.task_id)
    await run_until_death(world, attempt, dies_after)
    lost = await world.get(made.task_id)
    if not lost.state.is_final:
        await world.tasks.write(lifecycle.rescue(lost, world.clock.now(), W1))
        await run(world, await claim_of(world, made.task_id))
    told = await output_of(world, made.task_id)
    assert (told["done"], told["skipped"]) == (5, 0)
    if action.retry:
        children = await tasks_of(world, action.wanted)
        assert sorted(task.parent_id for task in children) == sorted(ids)


async def run_until_death(world, attempt, writes):
    """The worker is gone for good in the middle of a write after so many."""
    left, is_dead = [writes], asyncio.Event()

    async def write(*changes):
        if left[0] == 0:
            is_dead.set()
            await asyncio.Event().wait()
        left[0] -= 1
        await world.stores.tasks.write(*changes)

    class Dying:
        def __getattr__(self, name):
            return write if name == "write" else getattr(world.stores.tasks, name)

    world.tasks._real = Dying()
    running = asyncio.ensure_future(attempt.run())
    await world.clock.pass_until(lambda: is_dead.is_set() or running.done())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    world.tasks._real = world.stores.tasks


async def run(world, attempt):
    running = asyncio.ensure_future(attempt.run())
    await world.clock.pass_until(running.done)


async def claim_of(world, task_id):
    claimed = await world.stores.tasks.claim(W1, 9, world.clock.now())
    (task,) = (one for one in claimed if one.id == task_id)
    return Attempt(task, world.around)


async def test_bulk_task_that_is_cancelled_stops_between_chunks(world, service, small_chunks):
    await world.add_instance()
    ids = [await submitted(world, service) for _ in range(5)]
    made = await service.submit_bulk(OPERATOR, CANCEL_ALL)
    attempt = await claim_of(world, made.task_id)
    await service.cancel(OPERATOR, made.task_id, None)
    await run(world, attempt)
    assert (await world.get(made.task_id)).state is State.CANCELLED
    assert State.WAITING in [(await world.get(task_id)).state for task_id in ids]
    again = await service.retry(OPERATOR, made.task_id, Retry())
    assert (await world.run_to_end(again.task_id)).state is State.SUCCEEDED
    assert (await output_of(world, again.task_id))["done"] >= 3


async def test_more_than_may_be_done_at_once_is_refused_before_anything_is_written(
    world, service, monkeypatch
):
    monkeypatch.setattr(bulk_tasks, "BULK_MOST", 3)
    monkeypatch.setattr(bulk_tasks, "SEARCHED", 2)
    await world.add_instance()
    for _ in range(3):
        await submitted(world, service)
    await service.submit_bulk(OPERATOR, CANCEL_ALL)
    await submitted(world, service)
    kept = world.database.kept_bytes()
    raised = await refused(service.submit_bulk(OPERATOR, CANCEL_ALL), InvalidInput)
    assert (raised.parameter, raised.why) == ("filter", "must match at most 3 tasks")
    assert world.database.kept_bytes() == kept


async def test_more_than_were_counted_are_refused_before_anything_is_written(
    world, service, monkeypatch
):
    monkeypatch.setattr(bulk_tasks, "SEARCHED", 1)
    await world.add_instance()
    counted = [await submitted(world, service) for _ in range(2)]
    of_two = msgspec.structs.replace(CANCEL_ALL, most=2)
    late = await submitted(world, service)
    kept = world.database.kept_bytes()
    raised = await refused(service.submit_bulk(OPERATOR, of_two), InvalidInput)
    assert (raised.parameter, raised.why) == ("most", "is 2, and more tasks match")
    assert world.database.kept_bytes() == kept
    await service.cancel(OPERATOR, late, None)
    made = await service.submit_bulk(OPERATOR, of_two)
    await claim_and_run(world, made.task_id)
    assert (await output_of(world, made.task_id))["done"] == len(counted)


async def test_bulk_is_refused_to_a_viewer_and_finds_nothing_elsewhere(world, service):
    await world.add_instance()
    task_id = await submitted(world, service)
    await refused(service.submit_bulk(VIEWER, CANCEL_ALL), ReadOnlyRole)
    elsewhere = msgspec.structs.replace(
        CANCEL_ALL, wanted=msgspec.structs.replace(CANCEL_ALL.wanted, project_id=OTHER_PROJECT)
    )
    made = await service.submit_bulk(STRANGER, elsewhere)
    await claim_and_run(world, made.task_id)
    assert (await output_of(world, made.task_id))["done"] == 0
    assert (await world.get(task_id)).cancel_asked_at is None


async def claim_and_run(world, task_id):
    await run(world, await claim_of(world, task_id))


async def test_bulk_retry_keeps_the_limits_of_its_submit(world, small_chunks):
    limits = QueueLimits(instance=2, project=99)
    service = TaskService(
        world.tasks, world.finder, world.instances, world.vault, world.clock, limits
    )
    await world.add_instance()
    for _ in range(4):
        await service.cancel(OPERATOR, await submitted(world, service), None)
    made = await service.submit_bulk(OPERATOR, RETRY_ALL)
    await claim_and_run(world, made.task_id)
    told = await output_of(world, made.task_id)
    assert (told["done"], told["skipped"]) == (2, 2)
