"""Each operation from submit to end, plain, with every step run twice, and cut off anywhere."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from msgspec.structs import replace
from tests.support.builders import W1, W2, instance_id, make_instance, make_task
from tests.support.engine_world import catalogue_with, doubled

from backroom.domain import lifecycle
from backroom.domain.errors import (
    InstanceNotReady,
    StaleTask,
    StepNotReady,
    StepRejected,
)
from backroom.domain.instance import InstanceStatus, PublicAccess, changed
from backroom.domain.task import State
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.create_instance import CREATE_INSTANCE, CreateInstance
from backroom.operations.delete_instance import DELETABLE, DELETE_INSTANCE, DeleteInstance
from backroom.operations.extend_instance import EXTEND_INSTANCE, ExtendInstance
from backroom.operations.public_ip import (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    UNDO_WITHIN_S,
    BindPublicIp,
    UnbindPublicIp,
)
from backroom.operations.restart_instance import RESTART_INSTANCE, RestartInstance
from backroom.operations.submission import internal_params, typed_params
from backroom.ports import PublicAddress

ID = instance_id()
A, B = PublicAddress("a", "100.64.0.1"), PublicAddress("b", "100.64.0.2")
BOUND = PublicAccess(
    address_ids=("a", "b"), addresses=("100.64.0.1", "100.64.0.2"), bandwidth_mbit_per_s=7
)
BIND = BindPublicIp(addresses=(A, B), bandwidth_mbit_per_s=7)
CREATE = CreateInstance(
    broker_count=3, storage_gb=300, engine_version="2.7", access_user="root", password="Hush_123"
)
LARGER_DISKS = ExtendInstance(
    kind="storage", storage_gb=600, broker_count=3, product_id="c6.2u4g.cluster"
)
MORE_BROKERS = ExtendInstance(
    kind="horizontal", storage_gb=500, broker_count=5, product_id="c6.2u4g.cluster",
    new_addresses=(PublicAddress("c", "100.64.0.3"), PublicAddress("d", "100.64.0.4")),
)  # fmt: skip
LARGER_MACHINES = ExtendInstance(
    kind="vertical", storage_gb=300, broker_count=3, product_id="c6.4u8g.cluster"
)


async def plain(_world):
    """Nothing to prepare."""


async def running(world):
    await world.add_instance()


async def bound(world):
    instance = await world.add_instance()
    await world.platform.attach_public(ID, (A, B))
    world.clock.move(1)
    await world.instances.save(changed(instance, public_access=BOUND))


async def creating(world):
    await world.instances.save(make_instance(status=InstanceStatus.CREATING))


async def deleting(world):
    instance = await world.add_instance()
    await world.instances.save(changed(instance, status=InstanceStatus.DELETING))


async def restarting(world):
    instance = await world.add_instance()
    await world.instances.save(changed(instance, status=InstanceStatus.RESTARTING))


async def extending(world):
    await bound(world)
    instance = await world.shown(ID)
    await world.instances.save(changed(instance, status=InstanceStatus.EXTENDING))


async def is_bound(world):
    shown = await world.shown(ID)
    assert shown.public_access == BOUND
    assert shown.status is InstanceStatus.RUNNING
    assert (await world.platform.observe(ID)).public == (A, B)


async def is_unbound(world):
    assert (await world.shown(ID)).public_access is None
    assert (await world.platform.observe(ID)).public == ()


async def is_created(world):
    shown, cluster = await world.shown(ID), await world.platform.observe(ID)
    assert shown.status is InstanceStatus.RUNNING
    assert cluster.running == (0, 1, 2)
    assert shown.brokers == cluster.brokers


async def is_restarted(world):
    shown, cluster = await world.shown(ID), await world.platform.observe(ID)
    assert shown.status is InstanceStatus.RUNNING
    assert cluster.running == (0, 1, 2)
    assert [machine.incarnation.partition("@")[0] for machine in cluster.machines] == ["2"] * 3


async def has_larger_disks(world):
    shown, cluster = await world.shown(ID), await world.platform.observe(ID)
    assert (shown.status, shown.storage_gb) == (InstanceStatus.RUNNING, 600)
    assert (shown.broker_count, shown.extend_count, cluster.storage_gb) == (3, 1, 600)


async def has_more_brokers(world):
    shown, cluster = await world.shown(ID), await world.platform.observe(ID)
    assert (shown.status, shown.broker_count) == (InstanceStatus.RUNNING, 5)
    assert (shown.storage_gb, shown.extend_count, cluster.storage_gb) == (500, 0, 500)
    assert cluster.running == (0, 1, 2, 3, 4)
    assert shown.brokers == cluster.brokers
    assert shown.public_access.address_ids == ("a", "b", "c", "d")
    assert [address.id for address in cluster.public] == ["a", "b", "c", "d"]


async def has_larger_machines(world):
    shown, cluster = await world.shown(ID), await world.platform.observe(ID)
    assert (shown.status, shown.product_id) == (InstanceStatus.RUNNING, "c6.4u8g.cluster")
    assert (shown.broker_count, shown.storage_gb, shown.extend_count) == (3, 300, 0)
    assert {machine.flavor for machine in cluster.machines} == {"c6.4u8g.cluster"}


async def is_gone(world):
    assert await world.shown(ID) is None
    assert await world.platform.observe(ID) is None


CASES = {
    "bind": (BIND_PUBLIC_IP, BIND, running, is_bound),
    "bind again": (BIND_PUBLIC_IP, BIND, bound, is_bound),
    "unbind": (UNBIND_PUBLIC_IP, UnbindPublicIp(), bound, is_unbound),
    "unbind again": (UNBIND_PUBLIC_IP, UnbindPublicIp(), running, is_unbound),
    "create": (CREATE_INSTANCE, CREATE, creating, is_created),
    "delete": (DELETE_INSTANCE, DeleteInstance(), deleting, is_gone),
    "restart": (RESTART_INSTANCE, RestartInstance(), restarting, is_restarted),
    "larger disks": (EXTEND_INSTANCE, LARGER_DISKS, extending, has_larger_disks),
    "more brokers": (EXTEND_INSTANCE, MORE_BROKERS, extending, has_more_brokers),
    "larger machines": (EXTEND_INSTANCE, LARGER_MACHINES, extending, has_larger_machines),
}
cases = pytest.mark.parametrize("case", CASES)


@cases
async def test_operation_does_what_it_says(world, case):
    operation, params, begin, check = CASES[case]
    await begin(world)
    task = await world.submit(operation, params)
    assert (await world.run_to_end(task.id)).state is State.SUCCEEDED
    await check(world)
    assert [step.name for step in (await world.history(task.id)).steps] == [
        step.name for step in operation.steps
    ]


@cases
async def test_operation_does_the_same_when_each_step_runs_twice(world, case):
    operation, params, begin, check = CASES[case]
    await begin(world)
    task = await world.submit(operation, params)
    before = await world.shown(ID)
    with catalogue_with(doubled(operation)):
        ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)
    await check(world)
    shown = await world.shown(ID)
    assert shown is None or shown.version - before.version == (0 if "again" in case else 1)


@cases
async def test_operation_does_the_same_when_its_worker_dies_after_any_step(world, case):
    """Each go of each step is done, lost before it is recorded, and done again by another."""
    operation, params, begin, check = CASES[case]
    await begin(world)
    task = await world.submit(operation, params)
    ended, worker = await world.get(task.id), 0
    while not ended.state.is_final:
        due_at = await world.stores.tasks.next_due()
        world.clock.move(max(0.0, (due_at - world.clock.now()).total_seconds()))
        await _die_after_the_next_step(world, operation, worker)
        await world.attempt((W1, W2)[worker % 2])
        ended, worker = await world.get(task.id), worker + 1
    assert ended.state is State.SUCCEEDED
    await check(world)
    assert "rescue" in await world.verbs(task.id)


async def _die_after_the_next_step(world, operation, worker):
    (task,) = await world.stores.tasks.claim((W1, W2)[worker % 2], 1, world.clock.now())
    history = await world.history(task.id)
    done = {step.name: msgspec.json.decode(step.output) for step in history.steps if step.output}
    step = next(step for step in operation.steps if step.name not in done)
    with suppress(StepNotReady):
        await step.run(world.context(operation, task, done))
    await world.stores.tasks.write(lifecycle.rescue(task, world.clock.now(), W2))


@cases
async def test_operation_ends_when_the_instance_vanishes_under_it(world, case):
    operation, params, begin, _ = CASES[case]
    await begin(world)
    task = await world.submit(operation, params)
    await world.instances.remove(ID)
    ended = await world.run_to_end(task.id)
    if operation is DELETE_INSTANCE:
        assert ended.state is State.SUCCEEDED
    else:
        assert (ended.state, ended.error_code) == (State.FAILED, "DMS.00404022")


@pytest.mark.parametrize("case", ["bind", "unbind"])
async def test_public_access_fails_when_there_are_no_brokers(world, case):
    operation, params, _, _ = CASES[case]
    await world.instances.save(make_instance())
    task = await world.submit(operation, params)
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt) == (State.FAILED, 1)
    assert "no brokers" in ended.error_msg
    assert (await world.shown(ID)).public_access is None


async def test_address_is_withdrawn_before_it_leads_nowhere(world):
    await bound(world)
    await world.submit(UNBIND_PUBLIC_IP, UnbindPublicIp())
    await world.begin()
    assert (await world.shown(ID)).public_access is None
    assert (await world.platform.observe(ID)).public == (A, B)


async def test_address_is_shown_only_once_it_leads_somewhere(world):
    await running(world)
    await world.submit(BIND_PUBLIC_IP, BIND)
    await world.begin()
    assert (await world.shown(ID)).public_access is None


async def test_new_address_is_shown_only_once_it_has_replaced_the_old_one(world):
    await bound(world)
    params = BindPublicIp(addresses=(B,), bandwidth_mbit_per_s=9)
    task = await world.submit(BIND_PUBLIC_IP, params)
    await world.begin()
    assert (await world.shown(ID)).public_access == BOUND
    await world.run_to_end(task.id)
    assert (await world.shown(ID)).public_access == PublicAccess(
        address_ids=("b",), addresses=("100.64.0.2",), bandwidth_mbit_per_s=9
    )
    assert (await world.platform.observe(ID)).public == (B,)


async def rebound(world):
    await bound(world)
    shown = await world.shown(ID)
    one = PublicAccess(address_ids=("a",), addresses=("100.64.0.1",), bandwidth_mbit_per_s=1)
    await world.instances.save(changed(shown, public_access=one))
    await world.platform.attach_public(ID, (A,))
    world.clock.move(1)


STOPPED = {
    "bind": (BIND_PUBLIC_IP, BIND, running),
    "bind others": (BIND_PUBLIC_IP, BIND, rebound),
    "unbind": (UNBIND_PUBLIC_IP, UnbindPublicIp(), bound),
}


async def _is_seen_as_shown(world):
    access = (await world.shown(ID)).public_access
    shown = (
        () if access is None else tuple(map(PublicAddress, access.address_ids, access.addresses))
    )
    assert (await world.platform.observe(ID)).public == shown


def _stopping(world, operation, at, *, is_done, is_cancelled):
    """The same, but stopped at this step: before it does anything, or once it is done."""
    step = operation.steps[at]

    async def stop(context):
        if is_done:
            await step.run(context)
        if is_cancelled:
            task = await world.get(context.task.id)
            asked = lifecycle.ask_cancel(task, world.clock.now(), "tester")
            await world.stores.tasks.write(asked)
            raise RuntimeError("cut off")
        raise StepRejected("DMS.00400026", "cut off")

    steps = list(operation.steps)
    steps[at] = replace(step, run=stop)
    return replace(operation, steps=tuple(steps))


@pytest.mark.parametrize("is_cancelled", [True, False])
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("case", STOPPED)
async def test_public_access_is_as_shown_wherever_its_task_is_stopped(
    world, case, at, is_done, is_cancelled
):
    operation, params, begin = STOPPED[case]
    await begin(world)
    task = await world.submit(operation, params)
    stopping = _stopping(world, operation, at, is_done=is_done, is_cancelled=is_cancelled)
    with catalogue_with(stopping):
        ended = await world.run_to_end(task.id)
    assert ended.state is (State.CANCELLED if is_cancelled else State.FAILED)
    await _is_seen_as_shown(world)
    before = await world.shown(ID)
    await operation.undo(world.context(operation, task))
    assert await world.shown(ID) == before
    await _is_seen_as_shown(world)


@pytest.mark.parametrize("case", STOPPED)
async def test_public_access_is_as_shown_when_it_is_cancelled_while_brokers_change(world, case):
    operation, params, begin = STOPPED[case]
    await begin(world)
    task = await world.submit(operation, params)
    await world.begin()
    under_way = await world.get(task.id)
    assert under_way.state is State.RUNNING
    await world.stores.tasks.write(lifecycle.ask_cancel(under_way, world.clock.now(), "tester"))
    await world.finish()
    assert (await world.get(task.id)).state is State.CANCELLED
    await _is_seen_as_shown(world)
    world.clock.move(60)
    await _is_seen_as_shown(world)


async def test_undo_of_public_access_has_nothing_to_do_where_there_are_no_brokers(world):
    task = await world.submit(BIND_PUBLIC_IP, BIND)
    await BIND_PUBLIC_IP.undo(world.context(BIND_PUBLIC_IP, task))
    await world.instances.save(make_instance())
    await BIND_PUBLIC_IP.undo(world.context(BIND_PUBLIC_IP, task))
    assert await world.platform.observe(ID) is None


async def test_undo_of_public_access_gives_up_where_brokers_never_follow(world, monkeypatch):
    async def ignored(*_):
        """Accepted, and nothing comes of it."""

    await bound(world)
    shown = await world.shown(ID)
    await world.instances.save(changed(shown, public_access=None))
    task = await world.submit(UNBIND_PUBLIC_IP, UnbindPublicIp())
    monkeypatch.setattr(type(world.platform), "detach_public", ignored)
    begun = world.clock.now()
    undo = asyncio.create_task(UNBIND_PUBLIC_IP.undo(world.context(UNBIND_PUBLIC_IP, task)))
    await world.clock.pass_until(undo.done)
    with pytest.raises(TimeoutError):
        await undo
    assert (world.clock.now() - begun).total_seconds() == UNDO_WITHIN_S


async def test_creation_tells_how_many_brokers_run(world):
    await creating(world)
    task = await world.submit(CREATE_INSTANCE, CREATE)
    await world.attempt()
    told = [
        event.detail for event in (await world.history(task.id)).events if event.verb == "progress"
    ]
    assert told == ["33 %", "66 %"]
    assert "snooze" not in await world.verbs(task.id)
    (create, publish) = (await world.history(task.id)).steps
    assert (create.percent, publish.percent) == (100, 100)
    addresses = [f"{one.host}:{one.port}" for one in (await world.shown(ID)).brokers]
    assert msgspec.json.decode(create.output) == addresses


async def test_two_operations_on_one_instance_keep_each_others_changes(world):
    await running(world)
    first = await world.submit(BIND_PUBLIC_IP, BIND)
    await world.begin()
    await world.instances.save(changed(await world.shown(ID), description="renamed"))
    assert (await world.run_to_end(first.id)).state is State.SUCCEEDED
    shown = await world.shown(ID)
    assert (shown.description, shown.public_access) == ("renamed", BOUND)


async def test_step_looks_again_when_the_instance_is_changed_under_it(world, monkeypatch):
    await running(world)
    task = await world.submit(BIND_PUBLIC_IP, BIND)
    await world.begin()
    world.clock.move(1)
    real, raised = world.instances.save, []

    async def save(instance):
        if not raised:
            raised.append(instance)
            raise StaleTask(instance.id, instance.version - 1)
        await real(instance)

    monkeypatch.setattr(world.instances, "save", save)
    ended = await world.run_to_end(task.id)
    assert (ended.state, ended.attempt, len(raised)) == (State.SUCCEEDED, 1, 1)
    await is_bound(world)


@pytest.mark.parametrize(
    ("operation", "params", "begin", "status"),
    [
        (CREATE_INSTANCE, CREATE, creating, InstanceStatus.CREATE_FAILED),
        (DELETE_INSTANCE, DeleteInstance(), deleting, InstanceStatus.ERROR),
    ],
)
async def test_instance_shows_that_its_operation_failed(
    world, monkeypatch, operation, params, begin, status
):
    async def rejected(*_):
        raise StepRejected("DMS.00400026", "no room")

    await begin(world)
    monkeypatch.setattr(type(world.platform), "create_cluster", rejected)
    monkeypatch.setattr(type(world.platform), "delete_cluster", rejected)
    task = await world.submit(operation, params)
    assert (await world.run_to_end(task.id)).state is State.FAILED
    shown = await world.shown(ID)
    assert shown.status is status
    context = world.context(operation, task)
    await operation.undo(context)
    assert await world.shown(ID) == shown
    await world.instances.remove(ID)
    await operation.undo(context)
    assert await world.shown(ID) is None


async def test_creation_that_is_stopped_shows_that_it_failed(world):
    await creating(world)
    task = await world.submit(CREATE_INSTANCE, CREATE)
    await world.begin()
    under_way = await world.get(task.id)
    assert under_way.state is State.RUNNING
    await world.stores.tasks.write(lifecycle.ask_cancel(under_way, world.clock.now(), "tester"))
    await world.finish()
    assert (await world.get(task.id)).state is State.CANCELLED
    assert (await world.shown(ID)).status is InstanceStatus.CREATE_FAILED


async def test_publishing_waits_while_the_cluster_is_not_seen(world):
    await creating(world)
    task = await world.submit(CREATE_INSTANCE, CREATE)
    context = world.context(CREATE_INSTANCE, task)
    with pytest.raises(StepNotReady):
        await CREATE_INSTANCE.steps[1].run(context)


# what is refused before anything is written


@pytest.mark.parametrize("operation", [BIND_PUBLIC_IP, UNBIND_PUBLIC_IP])
@pytest.mark.parametrize("status", InstanceStatus)
def test_public_access_needs_a_running_instance(operation, status):
    instance = make_instance(status=status)
    if status is InstanceStatus.RUNNING:
        assert operation.prepare(instance, None) is instance
    else:
        with pytest.raises(InstanceNotReady):
            operation.prepare(instance, None)


@pytest.mark.parametrize("status", InstanceStatus)
def test_delete_needs_an_instance_that_nothing_else_is_making(status):
    instance = make_instance(status=status)
    if status in DELETABLE:
        prepared = DELETE_INSTANCE.prepare(instance, DeleteInstance())
        assert prepared == changed(instance, status=InstanceStatus.DELETING)
    else:
        with pytest.raises(InstanceNotReady):
            DELETE_INSTANCE.prepare(instance, DeleteInstance())


@pytest.mark.parametrize("status", InstanceStatus)
def test_create_is_tried_again_where_it_failed_only(status):
    instance = make_instance(status=status)
    if status is InstanceStatus.CREATE_FAILED:
        prepared = CREATE_INSTANCE.prepare(instance, CREATE)
        assert prepared == changed(instance, status=InstanceStatus.CREATING)
    else:
        with pytest.raises(InstanceNotReady):
            CREATE_INSTANCE.prepare(instance, CREATE)


# params at rest, the catalogue


def test_params_come_back_as_they_were_kept(world):
    for operation, params, _, _ in CASES.values():
        task = make_task(internal=internal_params(operation, params, world.vault))
        assert typed_params(operation, task, world.vault) == params


def test_secrets_are_sealed_and_kept_out_of_what_is_printed(world):
    assert b"Hush_123" not in internal_params(CREATE_INSTANCE, CREATE, world.vault)
    assert "Hush_123" not in repr(CREATE)
    assert "Hush_123" not in f"{CREATE}"


@pytest.mark.parametrize("operation", CATALOGUE.values(), ids=lambda one: one.name)
def test_catalogue_is_in_order(operation):
    assert CATALOGUE[operation.name] is operation
    names = [step.name for step in operation.steps]
    assert names
    assert len(set(names)) == len(names)
    assert all(step.weight > 0 and step.timeout_s > 0 for step in operation.steps)
    assert operation.max_attempts >= 1
    secret = {"password", "secret", "token"} & set(operation.params.__struct_fields__)
    assert not secret or operation.has_secrets


async def test_undo_keeps_what_somebody_else_changed_meanwhile(world, monkeypatch):
    async def rejected(*_):
        raise StepRejected("DMS.00400026", "no room")

    async def get(project_id, wanted):
        monkeypatch.undo()
        seen = await world.instances.get(project_id, wanted)
        await world.instances.save(changed(seen, description="meanwhile"))
        return seen

    await creating(world)
    task = await world.submit(CREATE_INSTANCE, CREATE)
    monkeypatch.setattr(type(world.platform), "create_cluster", rejected)
    monkeypatch.setattr(world.instances, "get", get)
    await world.attempt()
    assert (await world.get(task.id)).state is State.FAILED
    shown = await world.shown(ID)
    assert (shown.status, shown.description) == (InstanceStatus.CREATE_FAILED, "meanwhile")
