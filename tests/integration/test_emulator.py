"""The controls of an emulator, in a real process and without one."""

import json

import pytest
from tests.support.world import make_world

from backroom.domain.account import Role
from backroom.settings import EmulatorSettings

CLOCK = "/backroom/v1/emulator/clock"
MISSING = "/backroom/v1/no-such-place/clock"


@pytest.fixture
def emulated(tmp_path):
    world = make_world(tmp_path, emulator=EmulatorSettings(is_frozen=True))
    yield world
    world.close()


def told(world, method, body):
    return world.admin.call(method, CLOCK, json.dumps(body).encode())


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_controls_look_like_missing_routes_without_an_emulator(quiet_world, method):
    here = quiet_world.admin.call(method, CLOCK)
    nowhere = quiet_world.admin.call(method, MISSING)

    assert (here.status, here.without_request_id) == (nowhere.status, nowhere.without_request_id)


def test_time_stands_where_it_was_told_to(emulated):
    shown = emulated.admin.get(CLOCK).json

    assert shown == {"now": shown["now"], "frozen": True, "speed": 1.0}
    assert emulated.admin.get(CLOCK).json == shown


@pytest.mark.rule(11)
def test_time_is_moved(emulated):
    before = emulated.admin.get(CLOCK).json["now"]
    moved = emulated.admin.post(CLOCK, {"advance_s": 86_400}).json

    assert moved["frozen"] is True
    assert moved["now"] > before


def test_speed_and_standing_are_changed_each_for_itself(emulated):
    assert told(emulated, "PUT", {"speed": 500}).json["frozen"] is True
    shown = told(emulated, "PUT", {"frozen": False}).json

    assert (shown["frozen"], shown["speed"]) == (False, 500)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PUT", {"speed": 0.5}),
        ("PUT", {"speed": 10_001}),
        ("PUT", {"speed": "fast"}),
        ("PUT", {"frozn": True}),
        ("POST", {"advance_s": -1}),
        ("POST", {"advance_s": 1e300}),
        ("POST", {}),
    ],
)
def test_wrong_controls_are_refused_and_change_nothing(emulated, method, body):
    before = emulated.admin.get(CLOCK).json

    assert told(emulated, method, body).status == 400
    assert emulated.admin.get(CLOCK).json == before


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_controls_are_an_admins(emulated, role):
    caller = emulated.caller(role)

    assert caller.post(CLOCK, {"advance_s": 1}).error == (403, "DMS.00403003")


def test_controls_are_anybodys_in_a_server_of_one_test(tmp_path):
    world = make_world(tmp_path, emulator=EmulatorSettings(is_open=True))

    assert world.nobody.get(CLOCK).status == 200
    assert world.nobody.get(world.tasks_path).status == 401
    world.close()


def test_signatures_are_still_accepted_when_time_was_moved_by_a_year(emulated):
    emulated.admin.post(CLOCK, {"advance_s": 366 * 86_400})

    assert emulated.admin.get(emulated.tasks_path).status == 200
