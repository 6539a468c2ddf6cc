"""The console of an emulator: its faults and its time are for programs, not for people."""

from datetime import timedelta

import pytest
from tests.support.person import Person
from tests.support.world import make_world

from backroom.console.sessions import LIFETIME
from backroom.settings import EmulatorSettings

EMULATOR = "/backroom/v1/emulator"


@pytest.fixture
def emulated(tmp_path):
    world = make_world(tmp_path, emulator=EmulatorSettings(is_frozen=True))
    yield world
    world.close()


def test_an_injected_fault_is_not_for_people(emulated):
    fault = {"operation": "*", "status": 500, "error_code": "DMS.00500000"}
    added = emulated.admin.post(f"{EMULATOR}/faults", fault)
    assert added.status == 201, added.body
    person = Person(emulated).sign_in()
    bind = f"/console/instances/{emulated.instance.id}/bind"
    answer = person.send(person.get(bind).form(bind))
    assert answer.status == 303, answer.text
    assert person.follow(answer).status == 200


def test_a_session_doesnt_end_with_virtual_time(emulated):
    person = Person(emulated).sign_in()
    much = (LIFETIME + timedelta(days=1)).total_seconds()
    assert emulated.admin.post(f"{EMULATOR}/clock", {"advance_s": much}).status == 200
    assert person.get("/console/tasks").status == 200


def test_after_a_reset_nobody_is_signed_in(emulated):
    person = Person(emulated).sign_in()
    assert person.get("/console/overview").status == 200
    assert emulated.admin.post(f"{EMULATOR}/reset", {}).status in (200, 204)
    assert person.get("/console/tasks").status == 303
