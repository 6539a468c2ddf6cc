"""ModifyKafkaPublicIpAccessSwitch: on, changed, off, and what ShowInstance answers meanwhile."""

import json

import pytest
from tests.support.bodies import CREATE_BODY as CREATE
from tests.support.world import Caller

from backroom.domain.task import QueueLimits
from backroom.operations.public_ip import BIND_PUBLIC_IP, UNBIND_PUBLIC_IP

ON = {"publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", "public_boundwidth": 5}
OFF = {"eip_address": "", "public_boundwidth": 0, "publicip_id": ""}  # [O] Terraform's words for it


def public_fields(world):
    shown = world.shown_instance()
    return {
        name: shown[name]
        for name in (
            "enable_publicip",
            "publicip_id",
            "publicip_address",
            "public_connect_address",
            "public_bandwidth",
            "public_boundwidth",
            "kafka_public_status",
            "public_access_enabled",
        )
    }


CLOSED = {
    "enable_publicip": False,
    "publicip_id": "",
    "publicip_address": "",
    "public_connect_address": "",
    "public_bandwidth": 0,
    "public_boundwidth": 0,
    "kafka_public_status": "closed",
    "public_access_enabled": "closed",
}


def test_the_answer_has_no_body(world):
    answer = world.admin.post(world.public_access_path, ON)
    assert answer.status == 204
    assert list(answer.headers) == ["x-request-id"]


def test_the_request_id_of_the_answer_is_kept_with_the_task(world):
    answer = world.admin.post(world.public_access_path, ON)
    task = world.do(world.backroom.tasks.get(world.newest()["id"]))
    assert task.request_id == answer.headers["x-request-id"]


def test_binding_shows_in_the_instance_once_it_is_done(world):
    assert public_fields(world) == CLOSED
    task_id = world.bind(**ON)
    params = json.loads(world.show(task_id)["params"])
    assert params["public_ip_id"] == ON["publicip_id"]
    assert params["enable_public_ip"] is True
    assert public_fields(world) == CLOSED
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    address = params["public_ip_address"]
    assert public_fields(world) == {
        "enable_publicip": True,
        "publicip_id": ON["publicip_id"],
        "publicip_address": address,
        "public_connect_address": f"{address}:9094",
        "public_bandwidth": 5,
        "public_boundwidth": 5,
        "kafka_public_status": "actived",
        "public_access_enabled": "actived",
    }


def test_the_instance_shows_the_task_while_it_is_under_way(world):
    task_id = world.bind(**ON)
    task = world.show(task_id)
    expected = {key: task[key] for key in ("name", "status", "created_at")}
    assert world.shown_instance()["task"] == expected
    world.begin()
    assert world.shown_instance()["task"] == expected
    assert world.shown_instance()["status"] == "RUNNING"
    world.run_until_idle()
    assert "task" not in world.shown_instance()


def test_the_instance_shows_the_task_that_is_next_when_several_wait(world):
    world.bind(**ON)
    world.bind(**OFF)
    assert world.shown_instance()["task"]["name"] == "bindInstancePublicIp"
    world.do(world.claim("other"))
    assert world.shown_instance()["task"]["name"] == "bindInstancePublicIp"


def test_binding_again_replaces_the_address(world):
    world.bind(**ON)
    world.run_until_idle()
    world.bind(eip_address="198.51.100.7", public_boundwidth=20)
    world.run_until_idle()
    shown = public_fields(world)
    assert shown["publicip_address"] == "198.51.100.7"
    assert shown["public_bandwidth"] == 20


def test_unbinding_names_what_was_bound_and_closes_access(world):
    world.bind(**ON)
    world.run_until_idle()
    address = world.shown_instance()["publicip_address"]
    task_id = world.bind(**OFF)
    task = world.show(task_id)
    assert task["name"] == "unbindInstancePublicIp"
    assert json.loads(task["params"]) == {
        "public_ip_id": ON["publicip_id"],
        "public_ip_address": address,
        "enable_public_ip": False,
    }
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    assert public_fields(world) == CLOSED


def test_unbinding_what_is_not_bound_succeeds(world):
    task_id = world.bind(**OFF)
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    assert public_fields(world) == CLOSED


def test_asked_for_on_off_on_at_once_it_is_on_in_the_end(world):
    ids = [world.bind(**body) for body in (ON, OFF, {"publicip_id": "last"})]
    world.run_until_idle()
    assert [world.show(task_id)["status"] for task_id in ids] == ["SUCCESS"] * 3
    assert public_fields(world)["publicip_id"] == "last"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"public_boundwidth": 5}, BIND_PUBLIC_IP.name),
        ({"publicip_id": "a"}, BIND_PUBLIC_IP.name),
        ({"publicip_id": "a,b,c"}, BIND_PUBLIC_IP.name),
        ({"publicip_id": " a , b "}, BIND_PUBLIC_IP.name),
        ({"eip_address": "198.51.100.7"}, BIND_PUBLIC_IP.name),
        ({"eip_address": "198.51.100.7,198.51.100.8", "publicip_id": "a,b"}, BIND_PUBLIC_IP.name),
        ({"publicip_id": "a", "public_boundwidth": 2000}, BIND_PUBLIC_IP.name),
        ({"publicip_id": "a", "public_boundwidth": 0}, BIND_PUBLIC_IP.name),
        ({"publicip_id": "a", "eip_address": None, "something": {"else": 1}}, BIND_PUBLIC_IP.name),
        (OFF, UNBIND_PUBLIC_IP.name),
        ({"publicip_id": ""}, UNBIND_PUBLIC_IP.name),
        ({"public_boundwidth": 0}, UNBIND_PUBLIC_IP.name),
        ({"eip_address": "  "}, UNBIND_PUBLIC_IP.name),
    ],
)
def test_what_is_asked_for_decides_on_or_off(world, body, name):
    task_id = world.bind(**body)
    assert world.show(task_id)["name"] == name
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"


BAD_BODIES = [
    {},
    {"publicip_id": None},
    {"other": 1},
    {"public_boundwidth": -1},
    {"public_boundwidth": 2001},
    {"public_boundwidth": 2**63},
    {"public_boundwidth": 10**30},
    {"publicip_id": "a,b,c,d"},
    {"publicip_id": "a,a"},
    {"publicip_id": "a,"},
    {"publicip_id": ","},
    {"publicip_id": "a b"},
    {"publicip_id": "a" * 65},
    {"publicip_id": "é"},
    {"publicip_id": "\0"},
    {"publicip_id": "<script>"},
    {"publicip_id": "a,b", "eip_address": "198.51.100.7"},
    {"eip_address": "198.51.100.7,198.51.100.7"},
    {"eip_address": "198.51.100.256"},
    {"eip_address": "198.51.100.7/32"},
    {"eip_address": "198.51.100.07"},
    {"eip_address": "localhost"},
    {"eip_address": "\0"},
    {"eip_address": "fe80::1%<script>"},
    {"eip_address": "2001:db8::1"},
    {"eip_address": "1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4"},
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=json.dumps)
def test_bad_public_access_is_refused_and_nothing_is_stored(quiet_world, body):
    before = quiet_world.dump()
    refused = quiet_world.admin.post(quiet_world.public_access_path, body)
    assert refused.error == (400, "DMS.00400128")
    assert quiet_world.dump() == before


WRONG_TYPES = [
    {"public_boundwidth": "5"},
    {"public_boundwidth": 5.0},
    {"public_boundwidth": 1.5},
    {"public_boundwidth": True},
    {"public_boundwidth": [5]},
    {"public_boundwidth": {}},
    {"publicip_id": 5},
    {"publicip_id": ["a"]},
    {"publicip_id": {"id": "a"}},
    {"publicip_id": False},
    {"eip_address": 3232235777},
    {"eip_address": ["198.51.100.7"]},
]


@pytest.mark.parametrize("body", WRONG_TYPES, ids=json.dumps)
def test_a_field_of_the_wrong_type_is_refused_by_its_name(quiet_world, body):
    before = quiet_world.dump()
    refused = quiet_world.admin.post(quiet_world.public_access_path, body)
    assert refused.error == (400, "DMS.00400005")
    assert next(iter(body)) in refused.message
    assert quiet_world.dump() == before


def test_an_instance_that_is_not_running_refuses(world):
    created = world.admin.post(world.create_path, {**CREATE, "name": "still-creating"})
    path = f"/v1/{world.project_id}/instances/{created.json['instance_id']}/public-boundwidth"
    before = world.dump()
    refused = world.admin.post(path, ON)
    assert refused.error == (400, "DMS.00400026")
    assert "CREATING" in refused.message
    assert world.dump() == before


def test_a_missing_instance_is_not_found_whatever_the_body(world):
    path = (
        f"/v1/{world.project_id}/instances/4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01/public-boundwidth"
    )
    before = world.dump()
    for body in (b"", b"{", b"{}", json.dumps(ON).encode()):
        assert world.admin.call("POST", path, body).error == (404, "DMS.00404022")
    assert world.dump() == before


@pytest.mark.rule(12)
def test_too_many_open_tasks_are_refused(world, monkeypatch):
    submissions = world.backroom.service.submit.__self__
    monkeypatch.setattr(submissions, "limits", QueueLimits(3, 9))
    for _ in range(3):
        world.bind()
    before = world.dump()
    refused = world.admin.post(world.public_access_path, ON)
    assert refused.error == (400, "DMS.00400039")
    assert world.dump() == before


def test_by_token_the_same_body_may_be_sent_twice(world):
    world.user("ann", "correct horse")
    ann: Caller = world.log_in("ann", "correct horse")
    for _ in range(2):
        assert ann.post(world.public_access_path, ON).status == 204
    assert world.admin.get(world.tasks_path).json["task_count"] == "2"
