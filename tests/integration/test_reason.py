"""X-Backroom-Reason: why a change was asked for, kept with its task."""

from urllib.parse import quote

import pytest
from tests.support.bodies import CREATE_BODY

HEADER = "X-Backroom-Reason"


def reason_of_newest(world):
    path = f"/backroom/v1/{world.project_id}/tasks?limit=1"
    return world.admin.get(path).json["tasks"][0]["reason"]


def calls(world):
    """Each call of v2 that makes a task of an instance."""
    kafka = f"/v2/{world.project_id}/kafka/instances/{world.instance.id}"
    return {
        "bind": ("post", world.public_access_path, {"public_boundwidth": 5}),
        "create": ("post", world.create_path, CREATE_BODY),
        "extend": ("post", f"{kafka}/extend", {"oper_type": "storage", "new_storage_space": 600}),
        "restart": (
            "post",
            f"/v2/{world.project_id}/instances/action",
            {"action": "restart", "instances": [world.instance.id]},
        ),
    }


@pytest.mark.parametrize("kind", ["bind", "create", "extend", "restart"])
def test_it_is_kept_with_the_task(world, kind):
    _, target, body = calls(world)[kind]
    answer = world.admin.post(target, body, headers=[(HEADER, quote("磁盘 is full: 90%"))])

    assert answer.status < 300
    assert reason_of_newest(world) == "磁盘 is full: 90%"


def test_without_it_there_is_none(world):
    world.bind()

    assert reason_of_newest(world) is None


@pytest.mark.parametrize("value", ["%FF", "%00", "x" * 1001])
def test_a_bad_one_is_refused_and_nothing_is_made(world, value):
    body = {"public_boundwidth": 5}
    answer = world.admin.post(world.public_access_path, body, headers=[(HEADER, value)])

    assert answer.error == (400, "DMS.00400062")
    assert "eason" in answer.message
    assert world.dump()["tasks"] == []
