"""Looking is never logged as doing: no GET of the route table leaves an event, or anything."""

import re
from typing import NamedTuple

import pytest
from tests.support.streams import Stream, submit, verbs
from tests.support.tables import bare_routes
from tests.support.world import STARTED_AT, World, ask

from backroom.api.emulator import EMULATOR
from backroom.domain.account import Role
from backroom.domain.filter import EventFilter
from backroom.domain.ids import new_task_id

LOOKS = [
    route
    for route in bare_routes()
    if route.method == "GET" and not route.template.startswith(EMULATOR)
]
STREAMS = [route for route in LOOKS if route.streams]
LARGER_DISKS = {"oper_type": "storage", "new_storage_space": 600}
PROOFS = {"used_signatures"}  # that a request was sent, so that nobody can send it again


class Ids(NamedTuple):
    ended: str
    extending: str
    missing: str


@pytest.fixture(scope="module")
def lived_in(quiet_world):
    """Tasks of several states, one planned, and a topic; then nobody does anything any more."""
    world = quiet_world
    topic = {"id": "orders", "partition": 3, "replication": 3}
    assert world.admin.post(f"{world.instance_path}/topics", topic).status == 200
    ended = world.bind()
    world.run_until_idle()
    world.submit(execute_at=STARTED_AT.replace(year=2030))
    world.bind()
    extend = f"/v2/{world.project_id}/kafka/instances/{world.instance.id}/extend"
    extending = world.admin.post(extend, LARGER_DISKS).json["job_id"]
    world.begin()
    told = {event.event.to_state for event in events(world)}
    assert told >= {"waiting", "running", "succeeded"}
    return world, Ids(ended, extending, new_task_id())


def all_events(world):
    return world.backroom.journal.events(EventFilter(project_id=world.project_id), 1_000)


def events(world):
    return world.do(all_events(world))


def stored(world):
    return {name: rows for name, rows in world.dump().items() if name not in PROOFS}


def target_of(route, world, task_id):
    known = {
        "project_id": world.project_id,
        "instance_id": world.instance.id,
        "task_id": task_id,
        "topic": "orders",
    }
    return re.sub(r"\{(\w+)\}", lambda found: known[found[1]], route.template)


def looked(world: World, caller, target):
    if target == "/metrics":  # is no JSON, as the answers to callers are
        asked = ask(world.backroom.application, "GET", b"/metrics", b"", [], [b""])
        return world.do(asked)
    return caller.get(target)


@pytest.mark.parametrize("route", LOOKS, ids=lambda route: route.operation)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
def test_a_look_leaves_nothing(lived_in, route, role):
    world, ids = lived_in
    of_progress = route.operation == "ShowBackgroundTaskProgress"
    target = target_of(route, world, ids.extending if of_progress else ids.ended)
    caller = world.caller(role)
    before, kept = events(world), stored(world)
    answer = looked(world, caller, target)
    assert answer.status == 200, answer.body
    assert events(world) == before
    assert stored(world) == kept


@pytest.mark.parametrize("route", LOOKS, ids=lambda route: route.operation)
def test_a_look_that_is_refused_leaves_nothing(lived_in, route):
    world, ids = lived_in
    if route.identity == "none":
        looks = [(world.nobody, f"{route.template}/nothing")]
    else:
        target = target_of(route, world, ids.missing)
        stranger = world.caller(Role.ADMIN, world.other_project())
        looks = [(world.nobody, target), (stranger, target), (world.admin, target)]
    before, kept = events(world), stored(world)
    for caller, target in looks:
        looked(world, caller, target)
    assert events(world) == before
    assert stored(world) == kept


@pytest.mark.parametrize("route", STREAMS, ids=lambda route: route.operation)
def test_a_stream_leaves_nothing(watched_world, route):
    world = watched_world

    async def watch():
        task_id = await submit(world)
        before = await all_events(world)
        stream = Stream(world.admin, target_of(route, world, task_id))
        assert verbs(await stream.events()) == [one.event.verb for one in before]
        await stream.leave()
        assert await all_events(world) == before

    world.do(watch())
