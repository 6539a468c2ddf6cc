"""ResizeKafkaInstance: larger disks, more brokers, larger machines; its progress."""

import json

import pytest
from tests.support.bodies import CREATE_BODY as CREATE
from tests.support.world import changed

from backroom.domain.account import Role
from backroom.domain.instance import InstanceStatus
from backroom.wire.extensions import DISK_EXPANSIONS_MAX

LARGER_DISKS = {"oper_type": "storage", "new_storage_space": 600}
MORE_BROKERS = {"oper_type": "horizontal", "new_storage_space": 500, "new_broker_num": 5}
LARGER_MACHINES = {"oper_type": "vertical", "new_product_id": "c6.4u8g.cluster"}


def paths(world):
    project, instance = world.project_id, world.instance.id
    return {
        "ResizeKafkaInstance": f"/v2/{project}/kafka/instances/{instance}/extend",
        "ResizeEngineInstance": f"/v2/kafka/{project}/instances/{instance}/extend",
        "ResizeInstance": f"/v2/{project}/instances/{instance}/extend",
    }


def extend(world, caller=None, path="ResizeKafkaInstance", **body):
    return (caller or world.admin).post(paths(world)[path], body)


def sizes(world):
    shown = world.shown_instance()
    return {
        name: shown[name]
        for name in (
            "status", "total_storage_space", "storage_space", "broker_num", "node_num",
            "product_id", "specification", "partition_num", "extend_times",
        )
    }  # fmt: skip


def progress(world, task_id):
    return world.admin.get(f"{world.tasks_path}/{task_id}/progress").json


def stored(world):
    return world.do(world.backroom.instances.get(world.project_id, world.instance.id))


def put(world, **changes):
    instance = stored(world)
    version = instance.version + 1
    world.do(world.backroom.instances.save(changed(instance, version=version, **changes)))


@pytest.mark.parametrize("path", ["ResizeKafkaInstance", "ResizeEngineInstance", "ResizeInstance"])
def test_each_path_answers_with_the_id_of_the_task(world, path):
    answer = extend(world, path=path, **LARGER_DISKS)
    assert answer.status == 200
    assert list(answer.json) == ["job_id"]
    task = world.show(answer.json["job_id"])
    assert (task["name"], task["status"]) == ("extendInstance", "EXECUTING")
    assert json.loads(task["params"]) == LARGER_DISKS
    kept = world.do(world.backroom.tasks.get(task["id"]))
    assert kept.request_id == answer.headers["x-request-id"]


def test_engine_is_kafka_in_either_case_and_no_other(world):
    path = paths(world)["ResizeEngineInstance"]
    other = world.admin.post(path.replace("/kafka/", "/rabbitmq/"), LARGER_DISKS)
    assert other.error == (400, "DMS.00400007")
    assert world.admin.post(path.replace("/kafka/", "/Kafka/"), LARGER_DISKS).status == 200


def test_larger_disks_show_once_they_are_there(world):
    before = sizes(world)
    task_id = extend(world, **LARGER_DISKS).json["job_id"]
    assert sizes(world) == before | {"status": "EXTENDING"}
    shown = world.shown_instance()["task"]
    assert (shown["name"], shown["status"]) == ("extendInstance", "EXECUTING")
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    assert sizes(world) == before | {
        "total_storage_space": 600, "storage_space": 501, "extend_times": 1,
    }  # fmt: skip
    assert "task" not in world.shown_instance()
    cluster = world.do(world.backroom.platform.observe(world.instance.id))
    assert cluster.storage_gb == 600


def test_more_brokers_show_with_their_addresses_and_as_large_disks(world):
    before = sizes(world)
    task_id = extend(world, **MORE_BROKERS).json["job_id"]
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    assert sizes(world) == before | {
        "total_storage_space": 500, "storage_space": 335, "broker_num": 5, "node_num": 5,
        "partition_num": "1250",
    }  # fmt: skip
    shown = world.shown_instance()
    assert len(json.loads(shown["cross_vpc_info"])) == 5  # [O] Terraform waits for this
    assert len(shown["kafka_private_connect_address"].split(",")) == 5


def test_a_size_alone_is_for_the_disks(world):
    answer = extend(world, path="ResizeInstance", new_storage_space=600)
    assert json.loads(world.show(answer.json["job_id"])["params"]) == LARGER_DISKS


def test_terraform_adds_brokers_without_naming_the_storage(world):
    answer = extend(world, oper_type="horizontal", new_broker_num=4)
    assert answer.status == 200
    params = json.loads(world.show(answer.json["job_id"])["params"])
    assert params == {"oper_type": "horizontal", "new_storage_space": 400, "new_broker_num": 4}


def test_new_brokers_get_the_public_addresses_given_for_them(world):
    world.bind(publicip_id="a,b,c", public_boundwidth=5)
    world.run_until_idle()
    before = world.shown_instance()["publicip_address"].split(",")
    answer = extend(world, oper_type="horizontal", new_broker_num=5, publicip_id="d, e")
    world.run_until_idle()
    assert world.show(answer.json["job_id"])["status"] == "SUCCESS"
    shown = world.shown_instance()
    assert shown["publicip_id"] == "a,b,c,d,e"
    assert shown["publicip_address"].split(",")[:3] == before
    assert len(shown["public_connect_address"].split(",")) == 5
    assert shown["public_bandwidth"] == 5


def test_larger_machines_restart_every_broker(world):
    before = sizes(world)
    machines = world.do(world.backroom.platform.observe(world.instance.id)).machines
    task_id = extend(world, **LARGER_MACHINES).json["job_id"]
    world.run_until_idle()
    assert world.show(task_id)["status"] == "SUCCESS"
    assert sizes(world) == before | {
        "product_id": "c6.4u8g.cluster", "specification": "kafka.4u8g.cluster",
        "partition_num": "1500",
    }  # fmt: skip
    after = world.do(world.backroom.platform.observe(world.instance.id)).machines
    assert {machine.flavor for machine in after} == {"c6.4u8g.cluster"}
    assert {one.incarnation for one in after}.isdisjoint({one.incarnation for one in machines})


def test_progress_names_the_steps_and_reaches_100(world):
    task_id = extend(world, **LARGER_DISKS).json["job_id"]
    begun = progress(world, task_id)
    assert begun["progress_percentage"] == 0
    assert [part["name"] for part in begun["step_list"]] == [
        "pre_check", "disk_expansion", "rolling_scaling",
    ]  # fmt: skip
    assert {part["statue"] for part in begun["step_list"]} == {"WAITING"}
    world.run_until_idle()
    ended = progress(world, task_id)
    assert (ended["progress_percentage"], ended["remain_time"]) == (100, 0)
    assert {part["statue"] for part in ended["step_list"]} == {"COMPLETED"}
    assert all(part["end_time"] >= part["start_time"] for part in ended["step_list"])


def test_second_extension_foretells_its_time_from_the_first(world):
    first = extend(world, **LARGER_DISKS).json["job_id"]
    world.run_until_idle()
    steps = progress(world, first)["step_list"]
    took_s = sum(part["end_time"] - part["start_time"] for part in steps) / 1000
    assert took_s > 1
    second = extend(world, oper_type="storage", new_storage_space=900).json["job_id"]
    assert progress(world, second)["remain_time"] == max(1, round(took_s))


def test_nothing_else_is_accepted_while_it_extends(world):
    extend(world, **LARGER_DISKS)
    refused = extend(world, oper_type="storage", new_storage_space=900)
    assert refused.error == (400, "DMS.00400026")
    assert "EXTENDING" in refused.message
    assert world.admin.delete(world.instance_path).error == (400, "DMS.00400026")


@pytest.mark.parametrize("status", set(InstanceStatus) - {"RUNNING", "EXTENDEDFAILED"})
def test_an_instance_that_is_not_running_refuses(world, status):
    put(world, status=status)
    before = world.dump()
    refused = extend(world, **LARGER_DISKS)
    assert refused.error == (400, "DMS.00400026")
    assert status.value in refused.message
    assert world.dump() == before


def test_failed_extension_shows_and_may_be_asked_for_again(world):
    before = sizes(world)
    task_id = extend(world, **LARGER_DISKS).json["job_id"]
    world.lose_brokers()
    world.run_until_idle()
    assert world.show(task_id)["status"] == "FAILED"
    assert sizes(world) == before | {"status": "EXTENDEDFAILED"}
    assert progress(world, task_id)["step_list"][0]["statue"] == "FAILED"
    assert progress(world, task_id)["remain_time"] == 0
    assert extend(world, **LARGER_DISKS).status == 200
    assert world.shown_instance()["status"] == "EXTENDING"


def test_disks_grow_twenty_times(world):
    put(world, extend_count=DISK_EXPANSIONS_MAX)
    assert extend(world, **LARGER_DISKS).error == (400, "DMS.00400124")
    assert extend(world, **MORE_BROKERS).status == 200


def test_disks_can_only_grow_to_what_the_product_allows(world):
    put(world, storage_gb=29_900)
    refused = extend(world, oper_type="storage", new_storage_space=30_000)
    assert refused.error == (400, "DMS.00400500")
    assert "30000 GB at most" in refused.message
    put(world, storage_gb=29_700)
    assert extend(world, oper_type="storage", new_storage_space=30_000).status == 200


BAD = [
    ({}, "DMS.00400062", "oper_type"),
    ({"oper_type": "node"}, "DMS.00400062", "oper_type"),
    ({"oper_type": "Storage", "new_storage_space": 600}, "DMS.00400062", "oper_type"),
    ({"oper_type": "", "new_storage_space": 600}, "DMS.00400062", "oper_type"),
    ({"new_broker_num": 5}, "DMS.00400062", "oper_type"),
    ({"oper_type": "storage"}, "DMS.00400500", "600"),
    ({"oper_type": "storage", "new_storage_space": 200}, "DMS.00400500", "600"),
    ({"oper_type": "storage", "new_storage_space": 300}, "DMS.00400500", "600"),
    ({"oper_type": "storage", "new_storage_space": 500}, "DMS.00400500", "600"),
    ({"oper_type": "storage", "new_storage_space": 650}, "DMS.00400500", "multiple"),
    ({"oper_type": "storage", "new_storage_space": 30_100}, "DMS.00400500", "30000"),
    ({"oper_type": "storage", "new_storage_space": -600}, "DMS.00400500", "600"),
    ({"oper_type": "storage", "new_storage_space": 10**30}, "DMS.00400500", "30000"),
    ({"oper_type": "horizontal"}, "DMS.00400062", "new_broker_num"),
    ({"oper_type": "horizontal", "new_broker_num": 2}, "DMS.00400062", "more than the 3"),
    ({"oper_type": "horizontal", "new_broker_num": 3}, "DMS.00400062", "more than the 3"),
    ({"oper_type": "horizontal", "new_broker_num": 31}, "DMS.00400062", "at most 30"),
    ({"oper_type": "horizontal", "new_broker_num": 4, "new_storage_space": 300}, "DMS.00400500",
     "400"),
    ({"oper_type": "horizontal", "new_broker_num": 4, "publicip_id": "a"}, "DMS.00400128", "off"),
    ({**MORE_BROKERS, "tenant_ips": ["192.168.0.9"]}, "DMS.00400062", "tenant_ips"),
    ({**MORE_BROKERS, "second_tenant_subnet_id": "s"}, "DMS.00400062", "second_tenant_subnet_id"),
    ({**LARGER_DISKS, "new_spec_code": "dms.instance.kafka.cluster.c3.mini"}, "DMS.00400062",
     "new_spec_code"),
    ({"oper_type": "vertical"}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": ""}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": "c6.1u1g.cluster"}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": ".4u8g.cluster"}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": "\0.4u8g.cluster"}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": "x" * 99 + ".4u8g.cluster"}, "DMS.00400009", "c6"),
    ({"oper_type": "vertical", "new_product_id": "c6.2u4g.cluster"}, "DMS.00400009", "larger"),
    ({"oper_type": "vertical", "new_product_id": "c6.2u4g.cluster.small"}, "DMS.00400009",
     "larger"),
    ({"oper_type": "vertical", "new_product_id": "c6.2u4g.single"}, "DMS.00400009", "larger"),
    ({"oper_type": 1}, "DMS.00400005", "oper_type"),
    ({"oper_type": "storage", "new_storage_space": "600"}, "DMS.00400005", "new_storage_space"),
    ({"oper_type": "storage", "new_storage_space": 600.5}, "DMS.00400005", "new_storage_space"),
    ({"oper_type": "horizontal", "new_broker_num": True}, "DMS.00400005", "new_broker_num"),
    ({"oper_type": "vertical", "new_product_id": 4}, "DMS.00400005", "new_product_id"),
    ({**MORE_BROKERS, "tenant_ips": "192.168.0.9"}, "DMS.00400005", "tenant_ips"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "word"), BAD, ids=lambda value: json.dumps(value)[:70])
def test_bad_request_is_refused_and_nothing_is_stored(quiet_world, body, code, word):
    before = quiet_world.dump()
    refused = extend(quiet_world, **body)
    assert refused.error == (400, code)
    assert word in refused.message
    assert quiet_world.dump() == before


BAD_ADDRESSES = ["d", "d,e,f", "d,d", "d,a", "d,", "d,e e", "d,<script>"]


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_public_addresses_are_one_new_one_for_each_new_broker(world, text):
    world.bind(publicip_id="a,b,c")
    world.run_until_idle()
    refused = extend(world, oper_type="horizontal", new_broker_num=5, publicip_id=text)
    assert refused.error == (400, "DMS.00400128")


def test_new_brokers_get_none_where_an_old_one_has_none(world):
    world.bind(publicip_id="a")
    world.run_until_idle()
    refused = extend(world, oper_type="horizontal", new_broker_num=4, publicip_id="d")
    assert refused.error == (400, "DMS.00400128")


@pytest.mark.parametrize("body", [LARGER_DISKS, MORE_BROKERS, LARGER_MACHINES])
def test_single_node_instances_stay_as_they_are(world, body):
    single = {**CREATE, "name": "alone", "broker_num": 1, "storage_space": 100,
              "product_id": "c6.2u4g.single"}  # fmt: skip
    created = world.admin.post(world.create_path, single).json["instance_id"]
    world.run_until_idle()
    path = f"/v2/{world.project_id}/kafka/instances/{created}/extend"
    assert world.admin.post(path, body).error == (400, "DMS.00400062")


def test_missing_instance_viewer_and_stranger(world):
    missing = paths(world)["ResizeKafkaInstance"].replace(
        world.instance.id, "4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"
    )
    assert world.admin.post(missing, LARGER_DISKS).error == (404, "DMS.00404022")
    viewer = world.caller(Role.VIEWER)
    assert extend(world, viewer, **LARGER_DISKS).error == (403, "DMS.00403002")
    stranger = world.caller(project_id=world.other_project())
    assert extend(world, stranger, **LARGER_DISKS).error == (404, "DMS.00404022")
    assert world.shown_instance()["status"] == "RUNNING"


def test_progress_has_times_as_text_for_the_go_sdk(world):
    task_id = extend(world, **LARGER_DISKS).json["job_id"]
    world.run_until_idle()
    path = f"{world.tasks_path}/{task_id}/progress"
    plain = world.admin.get(path).json["step_list"][0]
    agent = ("User-Agent", "huaweicloud-usdk-go/3.0")
    told = world.admin.get(path, headers=[agent]).json["step_list"][0]
    assert isinstance(plain["start_time"], int)
    assert told == plain | {name: str(plain[name]) for name in ("start_time", "end_time")}
