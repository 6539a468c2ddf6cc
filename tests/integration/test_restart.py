"""BatchRestartOrDeleteInstances: rolling restarts and deletions, each instance for itself."""

import json

import pytest
from tests.support.bodies import CREATE_BODY as CREATE
from tests.support.world import changed

from backroom.domain.account import Role
from backroom.domain.instance import InstanceStatus
from backroom.wire.instance_actions import INSTANCES_MAX

GHOST = "4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"


def act(world, action, *ids, caller=None, **more):
    body = {"action": action, "instances": list(ids), **more}
    return (caller or world.admin).post(f"/v2/{world.project_id}/instances/action", body)


def create(world, name):
    created = world.admin.post(world.create_path, {**CREATE, "name": name})
    assert created.status == 200
    return created.json["instance_id"]


def status(world, instance_id):
    answer = world.admin.get(f"/v2/{world.project_id}/instances/{instance_id}")
    return answer.json["status"] if answer.status == 200 else answer.error


def incarnations(world):
    cluster = world.do(world.backroom.platform.observe(world.instance.id))
    return {machine.id: machine.incarnation for machine in cluster.machines}


def set_status(world, instance_id, wanted):
    instance = world.do(world.backroom.instances.get(world.project_id, instance_id))
    version = instance.version + 1
    world.do(world.backroom.instances.save(changed(instance, status=wanted, version=version)))


def test_restart_replaces_every_broker_and_shows_itself_meanwhile(world):
    before = incarnations(world)
    answer = act(world, "restart", world.instance.id)
    assert answer.status == 200
    assert answer.json == {"results": [{"result": "success", "instance": world.instance.id}]}
    task = world.newest()
    assert (task["name"], task["status"]) == ("restartInstance", "CREATED")
    assert json.loads(task["params"]) == {"instance_id": world.instance.id}
    shown = world.shown_instance()
    assert shown["status"] == "RESTARTING"
    assert shown["task"] == {key: task[key] for key in ("name", "status", "created_at")}
    world.run_until_idle()
    assert world.show(task["id"])["status"] == "SUCCESS"
    shown = world.shown_instance()
    assert (shown["status"], "task" in shown) == ("RUNNING", False)
    after = incarnations(world)
    assert all(after[broker] != before[broker] for broker in (0, 1, 2))


def test_task_keeps_the_request_id_of_the_answer(world):
    answer = act(world, "restart", world.instance.id)
    task = world.do(world.backroom.tasks.get(world.newest()["id"]))
    assert task.request_id == answer.headers["x-request-id"]


def test_nothing_else_is_accepted_while_it_restarts(world):
    act(world, "restart", world.instance.id)
    before = world.dump()
    again = act(world, "restart", world.instance.id, force_delete=False)
    assert again.json["results"] == [{"result": "failed", "instance": world.instance.id}]
    deletion = act(world, "delete", world.instance.id)
    assert deletion.json["results"][0]["result"] == "failed"
    bound = world.admin.post(world.public_access_path, {"publicip_id": "a"})
    assert bound.error == (400, "DMS.00400026")
    after = world.dump()
    assert {name: after[name] for name in ("tasks", "instances")} == {
        name: before[name] for name in ("tasks", "instances")
    }


def test_failed_restart_shows_error_and_may_be_tried_again(world):
    act(world, "restart", world.instance.id)
    spec = world.do(world.backroom.platform.observe(world.instance.id))
    assert spec is not None
    world.lose_brokers()
    world.run_until_idle()
    assert world.newest()["status"] == "FAILED"
    assert world.shown_instance()["status"] == "ERROR"
    answer = act(world, "restart", world.instance.id, force_delete=True)
    assert answer.json["results"][0]["result"] == "success"
    assert world.shown_instance()["status"] == "RESTARTING"


def test_each_instance_of_a_batch_has_its_own_result(world):
    other = create(world, "still-creating")
    answer = act(world, "restart", world.instance.id, other, GHOST)
    assert answer.json["results"] == [
        {"result": "success", "instance": world.instance.id},
        {"result": "failed", "instance": other},
        {"result": "failed", "instance": GHOST},
    ]
    world.run_until_idle()
    assert status(world, other) == "RUNNING"


def test_deleted_instances_are_gone(world):
    other = create(world, "short-lived")
    world.run_until_idle()
    answer = act(world, "delete", world.instance.id, other)
    assert [row["result"] for row in answer.json["results"]] == ["success", "success"]
    assert (status(world, world.instance.id), status(world, other)) == ("DELETING", "DELETING")
    world.run_until_idle()
    assert status(world, world.instance.id) == status(world, other) == (404, "DMS.00404022")


def test_all_failed_creations_are_deleted_and_nothing_else(world):
    failed = [create(world, f"fails-{number}") for number in range(12)]
    sound = create(world, "sound")
    world.run_until_idle()
    for instance_id in failed:
        set_status(world, instance_id, InstanceStatus.CREATE_FAILED)
    answer = world.admin.post(
        f"/v2/{world.project_id}/instances/action", {"action": "delete", "all_failure": "kafka"}
    )
    assert answer.status == 204
    world.run_until_idle()
    assert {status(world, instance_id) for instance_id in failed} == {(404, "DMS.00404022")}
    assert status(world, sound) == status(world, world.instance.id) == "RUNNING"


def test_no_failed_creation_is_no_error(world):
    before = world.dump()["tasks"]
    answer = world.admin.post(
        f"/v2/{world.project_id}/instances/action",
        {"action": "delete", "all_failure": "kafka", "instances": []},
    )
    assert (answer.status, world.dump()["tasks"]) == (204, before)


BAD = [
    ({}, "DMS.00400064"),
    ({"instances": [GHOST]}, "DMS.00400064"),
    ({"action": "stop", "instances": [GHOST]}, "DMS.00400064"),
    ({"action": "RESTART", "instances": [GHOST]}, "DMS.00400064"),
    ({"action": "restart"}, "DMS.00400065"),
    ({"action": "delete", "instances": []}, "DMS.00400065"),
    ({"action": "delete", "all_failure": ""}, "DMS.00400065"),
    ({"action": "restart", "instances": [GHOST, GHOST.upper()]}, "DMS.00400082"),
    ({"action": "restart", "instances": ["nonsense"]}, "DMS.00400030"),
    ({"action": "restart", "instances": [GHOST, ""]}, "DMS.00400030"),
    ({"action": "restart", "instances": [GHOST + "\n"]}, "DMS.00400030"),
    ({"action": "delete", "all_failure": "rabbitmq"}, "DMS.00400062"),
    ({"action": "restart", "all_failure": "kafka"}, "DMS.00400062"),
    ({"action": "delete", "all_failure": "kafka", "instances": [GHOST]}, "DMS.00400062"),
    ({"action": "restart", "instances": GHOST}, "DMS.00400005"),
    ({"action": "restart", "instances": [1]}, "DMS.00400005"),
    ({"action": "restart", "instances": {}}, "DMS.00400005"),
    ({"action": 1, "instances": [GHOST]}, "DMS.00400005"),
    ({"action": "delete", "instances": [GHOST], "force_delete": "yes"}, "DMS.00400005"),
    ([], "DMS.00400005"),
]


@pytest.mark.parametrize(("body", "code"), BAD, ids=lambda value: json.dumps(value)[:70])
def test_bad_request_is_refused_and_nothing_is_stored(quiet_world, body, code):
    before = quiet_world.dump()
    refused = quiet_world.admin.post(f"/v2/{quiet_world.project_id}/instances/action", body)
    assert refused.error == (400, code)
    assert quiet_world.dump() == before


def test_more_than_fifty_at_once_are_refused(quiet_world):
    ids = [f"4fdd8f3d-5d3c-4f0e-9c5e-{number:012d}" for number in range(INSTANCES_MAX + 1)]
    assert act(quiet_world, "restart", *ids).error == (400, "DMS.00400100")
    answer = act(quiet_world, "restart", *ids[1:])
    assert len(answer.json["results"]) == INSTANCES_MAX


def test_viewer_and_stranger_change_nothing(world):
    viewer = world.caller(Role.VIEWER)
    assert act(world, "restart", world.instance.id, caller=viewer).error == (403, "DMS.00403002")
    stranger = world.caller(project_id=world.other_project())
    refused = act(world, "restart", world.instance.id, caller=stranger)
    assert refused.error == (401, "DMS.10240104")
    assert world.shown_instance()["status"] == "RUNNING"
