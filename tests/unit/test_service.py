import asyncio
from datetime import timedelta

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
    W2,
    after,
    instance_id,
    make_instance,
    make_task,
)
from tests.support.engine_world import NoParams, make_operation
from tests.support.queues import queued

from backroom.domain import lifecycle
from backroom.domain.account import Identity, Role
from backroom.domain.errors import (
    InstanceNotFound,
    InstanceNotReady,
    InvalidInput,
    ProgressNotAvailable,
    QuotaReached,
    ReadOnlyRole,
    ScheduleClosed,
    StaleTask,
    TaskInFlight,
    TaskNotFound,
)
from backroom.domain.filter import Page, TaskFilter
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.task import Kind, QueueLimits, State
from backroom.operations.create_instance import CREATE_INSTANCE, CreateInstance
from backroom.operations.delete_instance import DELETE_INSTANCE, DeleteInstance
from backroom.operations.operation import Operation
from backroom.operations.public_ip import UNBIND_PUBLIC_IP, UnbindPublicIp
from backroom.service import LIMITS, Move, Order, TaskService, looking, project_of

ID = instance_id()
STRANGER = Identity(OTHER_PROJECT, USER, "stranger", Role.ADMIN)
NOBODY = Identity(None, USER, "domain", Role.ADMIN)
UNBIND = Order(
    operation=UNBIND_PUBLIC_IP, params=UnbindPublicIp(), public={"enable_public_ip": False},
    request_id="r1", reason="tidy up",
)  # fmt: skip
DELETE = Order(operation=DELETE_INSTANCE, params=DeleteInstance(), public={})
LATER = msgspec.structs.replace(UNBIND, execute_at=after(60))


@pytest.fixture
def service(world):
    return TaskService(world.tasks, world.finder, world.instances, world.vault, world.clock)


async def ended(world, task, how=lifecycle.complete):
    (running,) = await world.stores.tasks.claim(W1, 1, world.clock.now())
    assert running.id == task.id
    await world.stores.tasks.write(how(running, world.clock.now(), ()))


def listed(kind=Kind.BACKGROUND, project_id=PROJECT, number=1):
    return TaskFilter(project_id=project_id, instance_id=instance_id(number), kind=kind)


# submit


async def test_submitted_task_is_kept_with_all_that_was_asked(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    assert await world.get(task.id) == task
    assert (task.kind, task.state, task.lane) == (Kind.BACKGROUND, State.WAITING, ID)
    assert (task.name, task.user_name, task.project_id) == (
        "unbindInstancePublicIp", "tester", PROJECT,
    )  # fmt: skip
    assert task.params == '{"enable_public_ip":false}'
    assert (task.request_id, task.reason, task.created_at) == ("r1", "tidy up", NOW)
    assert (task.execute_at, task.due_at) == (None, None)
    assert [event.actor for event in (await world.history(task.id)).events] == ["tester"]


@pytest.mark.rule(2)
async def test_read_only_operation_runs_beside_what_the_instance_is_doing(world, service):
    await world.add_instance()
    look = Order(operation=make_operation(is_read_only=True), params=NoParams(), public={})
    changing, behind = [(await service.submit(OPERATOR, ID, UNBIND)).task_id for _ in range(2)]
    beside = (await service.submit(OPERATOR, ID, look)).task_id
    claimed = await world.stores.tasks.claim(W1, 9, NOW)
    assert {task.id for task in claimed} == {changing, beside}
    assert await world.stores.tasks.claim(W2, 9, NOW) == []
    assert (await world.get(behind)).state is State.WAITING


async def test_submit_shows_the_instance_as_it_will_be(world, service):
    await world.add_instance()
    await service.submit(OPERATOR, ID, DELETE)
    assert (await world.shown(ID)).status is InstanceStatus.DELETING


async def test_submit_seals_params_with_secrets(world, service):
    await world.add_instance(status=InstanceStatus.CREATE_FAILED)
    order = Order(
        operation=CREATE_INSTANCE, public={},
        params=CreateInstance(
            broker_count=3, storage_gb=300, engine_version="2.7", password="Hush_123"
        ),
    )  # fmt: skip
    await service.submit(OPERATOR, ID, order)
    assert b"Hush_123" not in world.database.kept_bytes()


async def refused(service, error, who, number=1, order=UNBIND):
    with pytest.raises(error) as raised:
        await service.submit(who, instance_id(number), order)
    return raised.value


@pytest.mark.parametrize(
    ("error", "who", "number"),
    [
        (ReadOnlyRole, VIEWER, 1),
        (InstanceNotFound, OPERATOR, 2),
        (InstanceNotFound, STRANGER, 1),
        (InstanceNotFound, NOBODY, 1),
    ],
)
async def test_submit_is_refused_and_nothing_written(world, service, error, who, number):
    await world.add_instance()
    await refused(service, error, who, number)
    assert (await world.stores.tasks.find(listed(number=number), Page())).total == 0


async def test_submit_is_refused_when_the_operation_does_not_fit_now(world, service):
    await world.add_instance(status=InstanceStatus.DELETING)
    await refused(service, InstanceNotReady, OPERATOR)
    await refused(service, InstanceNotReady, OPERATOR, order=LATER)
    assert (await world.stores.tasks.find(listed(), Page())).total == 0


@pytest.mark.parametrize("limits", [QueueLimits(3, 9), QueueLimits(9, 3)])
async def test_submit_is_refused_until_one_ends_when_too_many_are_open(world, limits):
    service = TaskService(
        world.tasks, world.finder, world.instances, world.vault, world.clock, limits
    )
    await world.add_instance()
    made = [await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id) for _ in range(3)]
    full = await refused(service, QuotaReached, OPERATOR)
    assert full.limit == 3
    assert LIMITS.instance == 1_000
    await ended(world, made[0])
    await service.submit(OPERATOR, ID, UNBIND)


async def test_submit_decides_again_when_the_instance_changed_meanwhile(world, service):
    instance = await world.add_instance()

    async def change():
        await world.instances.save(changed(instance, description="meanwhile"))

    world.tasks.before_write = change
    task = await world.get((await service.submit(OPERATOR, ID, DELETE)).task_id)
    shown = await world.shown(ID)
    assert (shown.status, shown.description) == (InstanceStatus.DELETING, "meanwhile")
    found = await world.stores.tasks.find(listed(), Page())
    assert [one.id for one in found.tasks] == [task.id]


async def test_submit_is_refused_when_somebody_was_first(world, service):
    instance = await world.add_instance()

    async def change():
        await world.instances.save(changed(instance, status=InstanceStatus.DELETING))

    world.tasks.before_write = change
    await refused(service, InstanceNotReady, OPERATOR, order=DELETE)
    assert (await world.stores.tasks.find(listed(), Page())).total == 0


async def test_one_of_two_deletes_at_once_is_accepted(world, service):
    await world.add_instance()
    outcomes = await asyncio.gather(
        *(service.submit(OPERATOR, ID, DELETE) for _ in range(3)), return_exceptions=True
    )
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1
    assert sum(isinstance(one, InstanceNotReady) for one in outcomes) == 2
    assert await queued(world.stores.tasks, ID) == 1


async def test_new_instance_and_its_task_are_both_there_or_neither_is(world, service):
    instance = make_instance(status=InstanceStatus.CREATING)
    order = Order(operation=make_operation(), params=NoParams(), public={})
    with pytest.raises(ReadOnlyRole):
        await service.submit_new(VIEWER, instance, order)
    assert await world.shown(ID) is None
    submitted = await service.submit_new(OPERATOR, instance, order)
    assert await world.shown(ID) == instance
    assert (await world.get(submitted.task_id)).lane == ID
    with pytest.raises(StaleTask):
        await service.submit_new(OPERATOR, instance, order)
    assert await queued(world.stores.tasks, ID) == 1


async def test_scheduled_task_changes_nothing_before_its_time(world, service):
    await world.add_instance()
    order = msgspec.structs.replace(DELETE, execute_at=after(60))
    task = await world.get((await service.submit(OPERATOR, ID, order)).task_id)
    assert (task.kind, task.lane, task.due_at) == (Kind.SCHEDULED, task.id, after(60))
    assert (await world.shown(ID)).status is InstanceStatus.RUNNING
    assert await world.stores.tasks.claim(W1, 9, after(59)) == []


# show, list, progress


async def test_show_gives_the_record(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    assert await service.show(PROJECT, ID, task.id) == await world.tasks.record(task.id)


async def test_missing_anothers_and_scheduled_tasks_are_refused_alike(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    later = await service.submit(OPERATOR, ID, LATER)
    said = set()
    for project_id, number, task_id in (
        (PROJECT, 1, "0" * 32),
        (OTHER_PROJECT, 1, task.id),
        (PROJECT, 2, task.id),
        (PROJECT, 1, later.task_id),
    ):
        for call in (service.show, service.progress):
            with pytest.raises(TaskNotFound) as raised:
                await call(project_id, instance_id(number), task_id)
            said.add(str(raised.value).replace(task_id, "ID"))
    assert said == {"ID"}


async def test_list_gives_a_page_and_the_total(world, service):
    await world.add_instance()
    made = [await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id) for _ in range(3)]
    found = await service.list(listed(), Page(1, 1))
    assert ([one.id for one in found.tasks], found.total) == ([made[1].id], 3)
    assert (await service.list(listed(Kind.SCHEDULED), Page())).tasks == []


async def test_list_is_empty_for_an_instance_without_tasks(world, service):
    await world.add_instance()
    found = await service.list(listed(), Page())
    assert (found.tasks, found.total) == ([], 0)


@pytest.mark.parametrize(
    "wanted", [listed(number=2), listed(project_id=OTHER_PROJECT), listed(Kind.SCHEDULED, number=2)]
)
async def test_list_is_refused_when_there_is_neither_an_instance_nor_a_task(world, service, wanted):
    await world.add_instance()
    with pytest.raises(InstanceNotFound):
        await service.list(wanted, Page())


@pytest.mark.parametrize("order", [UNBIND, LATER])
@pytest.mark.parametrize("kind", Kind)
async def test_tasks_outlive_their_instance(world, service, order, kind):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, order)).task_id)
    await world.instances.remove(ID)
    found = await service.list(listed(kind), Page())
    assert [one.id for one in found.tasks] == ([task.id] if task.kind is kind else [])
    empty = msgspec.structs.replace(listed(kind), created_to=NOW - timedelta(days=1))
    assert (await service.list(empty, Page())).total == 0


async def test_progress_is_given_for_operations_that_have_one(world, service, monkeypatch):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    with pytest.raises(ProgressNotAvailable) as raised:
        await service.progress(PROJECT, ID, task.id)
    assert (raised.value.task_id, raised.value.name) == (task.id, UNBIND_PUBLIC_IP.name)
    long = Operation(
        name=UNBIND_PUBLIC_IP.name, params=UnbindPublicIp, steps=UNBIND_PUBLIC_IP.steps,
        prepare=UNBIND_PUBLIC_IP.prepare, has_progress=True,
    )  # fmt: skip
    monkeypatch.setattr(looking, "CATALOGUE", {long.name: long})
    progress = await service.progress(PROJECT, ID, task.id)
    assert progress.task == task
    assert [event.verb for event in progress.history.events] == ["submit"]


async def test_progress_is_not_available_for_an_operation_nobody_knows(world, service):
    await world.add_instance()
    task = make_task(name="neverHeardOf")
    await world.stores.tasks.write(lifecycle.submit(task))
    with pytest.raises(ProgressNotAvailable):
        await service.progress(PROJECT, ID, task.id)


# delete


async def test_ended_task_is_deleted(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    await ended(world, task)
    await service.delete(OPERATOR, ID, task.id, Kind.BACKGROUND)
    assert await world.tasks.record(task.id) is None
    with pytest.raises(TaskNotFound):
        await service.delete(OPERATOR, ID, task.id, Kind.BACKGROUND)


@pytest.mark.parametrize("is_running", [False, True])
async def test_task_in_flight_is_not_deleted(world, service, is_running):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    if is_running:
        await world.claim()
    with pytest.raises(TaskInFlight):
        await service.delete(OPERATOR, ID, task.id, Kind.BACKGROUND)
    assert await world.get(task.id) is not None


async def test_delete_is_refused_to_a_viewer_and_to_strangers(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    await ended(world, task)
    for who, error in ((VIEWER, ReadOnlyRole), (STRANGER, TaskNotFound), (NOBODY, TaskNotFound)):
        with pytest.raises(error):
            await service.delete(who, ID, task.id, Kind.BACKGROUND)
    with pytest.raises(TaskNotFound):
        await service.delete(OPERATOR, ID, task.id, Kind.SCHEDULED)
    assert await world.tasks.record(task.id) is not None


async def test_one_of_two_deletes_of_a_record_finds_it_gone(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, UNBIND)).task_id)
    await ended(world, task)

    async def first():
        await service.delete(OPERATOR, ID, task.id, Kind.BACKGROUND)

    world.tasks.before_write = first
    with pytest.raises(TaskNotFound):
        await service.delete(OPERATOR, ID, task.id, Kind.BACKGROUND)
    assert (await world.history(task.id)).events[-1].verb == "delete"


# schedules


async def test_schedule_is_moved_and_cancelled(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    await service.reschedule(OPERATOR, ID, task.id, Move(execute_at=after(5)))
    moved = await world.get(task.id)
    assert (moved.execute_at, moved.due_at) == (after(5), after(5))
    await service.cancel_schedule(OPERATOR, ID, task.id)
    cancelled = await world.get(task.id)
    assert (cancelled.state, cancelled.due_at) == (State.CANCELLED, None)
    assert await world.stores.tasks.claim(W1, 9, after(99)) == []


@pytest.mark.parametrize("seconds", [0, -1])
async def test_schedule_is_not_moved_into_the_past(world, service, seconds):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    with pytest.raises(InvalidInput, match="future"):
        await service.reschedule(OPERATOR, ID, task.id, Move(execute_at=after(seconds)))
    assert (await world.get(task.id)).execute_at == after(60)


async def test_a_move_sent_again_is_done_once(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    move = Move(execute_at=after(5), reason="later", seen_version=task.version)

    async def its_twin():
        await service.reschedule(OPERATOR, ID, task.id, move)

    world.tasks.before_write = its_twin
    await service.reschedule(OPERATOR, ID, task.id, move)
    await service.reschedule(OPERATOR, ID, task.id, move)
    assert await world.verbs(task.id) == ["submit", "reschedule"]
    assert (await world.get(task.id)).execute_at == after(5)


async def test_a_move_to_the_time_it_has_is_recorded_where_it_was_seen_so(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    move = Move(execute_at=task.execute_at, reason="as agreed", seen_version=task.version)
    await service.reschedule(OPERATOR, ID, task.id, move)
    assert (await world.history(task.id)).events[-1].detail.endswith("as agreed")


def schedule_calls(service, who, task_id):
    return (
        service.reschedule(who, ID, task_id, Move(execute_at=after(300))),
        service.cancel_schedule(who, ID, task_id),
    )


async def test_schedule_is_refused_to_a_viewer_and_to_strangers(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    now = await service.submit(OPERATOR, ID, UNBIND)
    for who, task_id, error in (
        (VIEWER, task.id, ReadOnlyRole),
        (STRANGER, task.id, TaskNotFound),
        (OPERATOR, now.task_id, TaskNotFound),
        (OPERATOR, "0" * 32, TaskNotFound),
    ):
        for call in schedule_calls(service, who, task_id):
            with pytest.raises(error):
                await call
    assert (await world.get(task.id)).version == 1


async def started(world, _service, _task):
    await world.claim()


async def done(world, _service, task):
    await ended(world, task)


async def cancelled(_world, service, task):
    await service.cancel_schedule(OPERATOR, ID, task.id)


async def rescued(world, _service, _task):
    attempt = await world.claim()
    await world.stores.tasks.write(lifecycle.rescue(attempt._task, world.clock.now(), W2))


@pytest.mark.parametrize("happens", [started, done, cancelled, rescued])
async def test_schedule_is_closed_once_it_started_or_ended(world, service, happens):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    world.clock.move(60)
    await happens(world, service, task)
    before = await world.get(task.id)
    for call in schedule_calls(service, OPERATOR, task.id):
        with pytest.raises(ScheduleClosed):
            await call
    assert await world.get(task.id) == before


@pytest.mark.rule(9)
async def test_schedule_change_is_decided_again_when_somebody_was_first(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)

    async def first():
        await service.reschedule(OPERATOR, ID, task.id, Move(execute_at=after(10)))

    world.tasks.before_write = first
    await service.reschedule(OPERATOR, ID, task.id, Move(execute_at=after(20)))
    assert (await world.get(task.id)).execute_at == after(20)
    assert await world.verbs(task.id) == ["submit", "reschedule", "reschedule"]
    world.tasks.before_write = first
    await service.cancel_schedule(OPERATOR, ID, task.id)
    assert (await world.get(task.id)).state is State.CANCELLED


@pytest.mark.rule(9)
async def test_cancel_comes_too_late_when_the_worker_was_first(world, service):
    await world.add_instance()
    task = await world.get((await service.submit(OPERATOR, ID, LATER)).task_id)
    world.clock.move(60)

    async def first():
        await world.claim()

    world.tasks.before_write = first
    with pytest.raises(ScheduleClosed):
        await service.cancel_schedule(OPERATOR, ID, task.id)
    assert (await world.get(task.id)).state is State.RUNNING


def test_project_of_an_identity_without_one_holds_nothing():
    assert project_of(OPERATOR) == PROJECT
    assert project_of(NOBODY) == ""
