"""Instances from their creation to their end, and that each submitting row makes its tasks."""

import json

import pytest
from tests.support.bodies import CREATE_BODY

from backroom.domain.instance import InstanceStatus, changed

GHOST = "4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"


def create(world, **changes):
    world.clock.move(seconds=1)
    return world.admin.post(world.create_path, {**CREATE_BODY, **changes})


def path_of(world, instance_id):
    return f"/v2/{world.project_id}/instances/{instance_id}"


def test_from_creating_to_running_to_gone(world):
    created = create(world)
    assert created.status == 200
    assert list(created.json) == ["instance_id"]
    path = path_of(world, created.json["instance_id"])
    shown = world.admin.get(path).json
    assert shown["status"] == "CREATING"
    assert shown["task"]["name"] == "createInstance"
    (task,) = world.admin.get(f"{path}/tasks").json["tasks"]
    assert task["status"] == "CREATED"
    world.run_until_idle()
    shown = world.admin.get(path).json
    assert shown["status"] == "RUNNING"
    assert "task" not in shown
    assert shown["connect_address"].count(",") == 2
    (task,) = world.admin.get(f"{path}/tasks").json["tasks"]
    assert task["status"] == "SUCCESS"
    assert world.admin.delete(path).status == 204
    assert world.admin.get(path).json["status"] == "DELETING"
    world.run_until_idle()
    assert world.admin.get(path).error == (404, "DMS.00404022")
    assert world.admin.delete(path).error == (404, "DMS.00404022")


def test_tasks_outlive_their_instance(world):
    path = path_of(world, create(world).json["instance_id"])
    world.run_until_idle()
    assert world.admin.delete(path).status == 204
    world.run_until_idle()
    tasks = world.admin.get(f"{path}/tasks").json["tasks"]
    assert [task["name"] for task in tasks] == ["deleteInstance", "createInstance"]
    assert world.admin.get(f"{path}/tasks/{tasks[0]['id']}").status == 200
    for task in tasks:
        assert world.admin.delete(f"{path}/tasks/{task['id']}").status == 204
    assert world.admin.get(f"{path}/tasks").error == (404, "DMS.00404022")


def test_creating_and_deleting_instances_refuse_to_be_deleted(world):
    path = path_of(world, create(world).json["instance_id"])
    before = world.dump()
    assert world.admin.delete(path).error == (400, "DMS.00400026")
    assert world.dump() == before
    world.run_until_idle()
    assert world.admin.delete(path).status == 204
    world.clock.move(seconds=1)
    before = world.dump()
    assert world.admin.delete(path).error == (400, "DMS.00400026")
    assert world.dump() == before


def test_a_new_instance_is_first_in_the_list(world):
    ids = [create(world, name=f"kafka-{n}").json["instance_id"] for n in range(3)]
    listed = world.admin.get(f"/v2/{world.project_id}/instances").json
    assert listed["instance_num"] == 4
    shown = [instance["instance_id"] for instance in listed["instances"]]
    assert shown == [*ids[::-1], world.instance.id]
    beyond = world.admin.get(f"/v2/{world.project_id}/instances?offset=4")
    assert beyond.error == (400, "DMS.40050010")


def test_a_password_is_stored_sealed_and_shown_nowhere(world):
    password = "Str0ng-and-secret"
    created = create(world, ssl_enable=True, access_user="root-1", password=password)
    path = path_of(world, created.json["instance_id"])
    world.run_until_idle()
    assert password not in str(world.dump())
    for target in (path, f"{path}/tasks"):
        assert password.encode() not in world.admin.get(target).body


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "1st"}, "DMS.00400010"),
        ({"engine": "rabbitmq"}, "DMS.00400007"),
        ({"engine_version": "0.1"}, "DMS.00400008"),
        ({"product_id": "none"}, "DMS.00400009"),
        ({"broker_num": 2}, "DMS.00400062"),
        ({"broker_num": "3"}, "DMS.00400005"),
        ({"storage_space": 301}, "DMS.00400500"),
        ({"description": "x" * 1025}, "DMS.00400011"),
        ({"ssl_enable": True, "access_user": "1"}, "DMS.00400015"),
        ({"ssl_enable": True, "access_user": "root-1", "password": "weak"}, "DMS.00400019"),
        ({"maintain_begin": "03:00", "maintain_end": "07:00"}, "DMS.00400106"),
        ({"enable_publicip": True}, "DMS.00400128"),
        ({"tags": [{"key": "a"}, {"key": "a"}]}, "DMS.00400062"),
        ({"available_zones": "az1"}, "DMS.00400005"),
        ({"vpc_id": None}, "DMS.00400062"),
    ],
)
def test_a_bad_wish_is_refused_and_nothing_is_stored(quiet_world, changes, code):
    before = quiet_world.dump()
    assert create(quiet_world, **changes).error == (400, code)
    assert quiet_world.dump() == before


def kafka_tasks(world):
    """Of the calls that change what is in the brokers."""
    path, here = world.instance_path, f"{world.project_id}/instances/{world.instance.id}"
    world.admin.post(f"{path}/topics", {"id": "orders"})
    moves = {"reassignments": [{"topic": "orders", "brokers": [0, 1, 2]}]}
    older = f"/v2/kafka/{here}/reassign"
    newer = f"/v2/{here.replace('/', '/kafka/', 1)}/reassign"
    configs = {"kafka_configs": [{"name": "num.partitions", "value": "5"}]}
    return {
        "CreateReassignmentTask": {
            world.show(world.admin.post(older, moves).json["job_id"])["name"]
        },
        "CreateKafkaReassignmentTask": {
            world.show(world.admin.post(newer, moves).json["job_id"])["name"]
        },
        "ModifyInstanceConfigs": {
            world.show(
                world.admin.call("PUT", f"{path}/configs", json.dumps(configs).encode()).json[
                    "job_id"
                ]
            )["name"]
        },
        "UpdateInstanceAutoCreateTopic": {
            world.admin.post(f"{path}/autotopic", {"enable_auto_topic": True})
            and world.newest()["name"]
        },
    }


def lifecycle_tasks(world):
    """Of the calls that change an instance as a whole, each on one that nothing else is done to."""
    made = {}
    paths = {
        "ResizeKafkaInstance": "/v2/{project}/kafka/instances/{id}/extend",
        "ResizeEngineInstance": "/v2/kafka/{project}/instances/{id}/extend",
        "ResizeInstance": "/v2/{project}/instances/{id}/extend",
    }
    for number, (call, path) in enumerate(paths.items(), 1):
        larger = {"oper_type": "storage", "new_storage_space": 300 + 300 * number}
        target = path.format(project=world.project_id, id=world.instance.id)
        made[call] = {world.show(world.admin.post(target, larger).json["job_id"])["name"]}
        world.run_until_idle()
    made["BatchRestartOrDeleteInstances"] = set()
    for action in ("restart", "delete"):
        body = {"action": action, "instances": [world.instance.id]}
        world.admin.post(f"/v2/{world.project_id}/instances/action", body)
        made["BatchRestartOrDeleteInstances"].add(world.newest()["name"])
        world.run_until_idle()
    return made


def test_each_submitting_call_makes_the_tasks_that_its_row_says(world):
    made = {
        "ModifyKafkaPublicIpAccessSwitch": {
            world.show(world.bind(**body))["name"]
            for body in ({"publicip_id": "a"}, {"publicip_id": ""})
        },
    }
    made |= kafka_tasks(world)
    world.run_until_idle()
    path = path_of(world, create(world).json["instance_id"])
    made["CreatePostPaidKafkaInstance"] = {
        world.admin.get(f"{path}/tasks").json["tasks"][0]["name"]
    }
    world.run_until_idle()
    world.admin.delete(path)
    made["DeleteInstance"] = {world.admin.get(f"{path}/tasks").json["tasks"][0]["name"]}
    made |= lifecycle_tasks(world)
    assert made == {
        route.operation: {operation.name for operation in route.submits}
        for route in world.backroom.table.routes
        if route.submits and not route.template.startswith("/backroom/")
    }


def test_a_submission_that_meets_a_change_of_the_instance_is_decided_anew(world, monkeypatch):
    """Two delete an instance at once: the second sees that it is going already."""
    tasks = world.backroom.tasks
    write, meanwhile = tasks.write, [world.instance]

    async def racing(*changes):
        if meanwhile:
            await world.backroom.instances.save(
                changed(meanwhile.pop(), status=InstanceStatus.DELETING)
            )
        await write(*changes)

    monkeypatch.setattr(tasks, "write", racing)
    refused = world.admin.delete(world.instance_path)
    assert refused.error == (400, "DMS.00400026")
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


def test_zones_are_listed_for_whoever_has_a_key_and_the_instance_is_in_one(world):
    listed = world.admin.get("/v2/available-zones").json
    assert listed["region_id"] == "cn-north-4"
    assert world.nobody.get("/v2/available-zones").error == (401, "APIGW.0301")
    ids = {zone["id"] for zone in listed["available_zones"]}
    assert set(world.shown_instance()["available_zones"]) <= ids


def test_tags_are_those_it_was_created_with(world):
    tags = [{"key": "team", "value": "data"}, {"key": "stage", "value": "test"}]
    instance_id = create(world, tags=tags).json["instance_id"]
    listed = world.admin.get(f"/v2/{world.project_id}/kafka/{instance_id}/tags").json
    assert sorted(tag["key"] for tag in listed["tags"]) == ["stage", "team"]
    assert listed["tags"] == world.admin.get(path_of(world, instance_id)).json["tags"]
    without = world.admin.get(f"/v2/{world.project_id}/kafka/{world.instance.id}/tags")
    assert without.json == {"tags": []}
    stranger = world.caller(project_id=world.other_project())
    for caller, path in ((stranger, instance_id), (world.admin, GHOST)):
        answer = caller.get(f"/v2/{world.project_id}/kafka/{path}/tags")
        assert answer.error == (404, "DMS.00404022")


def test_the_cluster_names_each_broker_and_whether_it_answers(world):
    path = f"{world.instance_path}/manage/cluster"
    brokers = world.admin.get(path).json["cluster"]["brokers"]
    assert [(one["host"], one["port"], one["broker_id"]) for one in brokers] == [
        (broker.host, broker.port, str(broker.id)) for broker in world.instance.brokers
    ]
    assert all(one["health"] for one in brokers)
    world.lose_brokers()
    assert not any(one["health"] for one in world.admin.get(path).json["cluster"]["brokers"])


def test_the_cluster_of_an_instance_that_is_being_made_is_empty(world):
    path = path_of(world, create(world).json["instance_id"])
    assert world.admin.get(f"{path}/manage/cluster").json == {"cluster": {"brokers": []}}
    missing = f"/v2/{world.project_id}/instances/{GHOST}/manage/cluster"
    assert world.admin.get(missing).error == (404, "DMS.00404022")
