"""Topics, parameters and reassignment through the application, with nothing but HTTP."""

import json
from datetime import timedelta

import pytest

from backroom.domain.account import Identity, Role
from backroom.operations.reassign_partitions import (
    REASSIGN_PARTITIONS,
    Assignment,
    ReassignPartitions,
    TopicPlan,
)
from backroom.ports import ConfigResource
from backroom.service import Order

MIB = 1024 * 1024
BAD_NAME = (400, "DMS.00400101")
BAD_PARTITIONS = (400, "DMS.00400102")
BAD_REPLICAS = (400, "DMS.00400103")
BAD_RETENTION = (400, "DMS.00400105")
BAD_PARAMETER = (400, "DMS.00400062")
BAD_CONFIG = (400, "DMS.00400063")
TOO_MANY_REPLICAS = (400, "DMS.00400861")
NO_TOPIC = (400, "DMS.00400876")
MOVING = (400, "DMS.00500980")
TAKEN = (400, "DMS.40050005")
FULL = (400, "DMS.111400860")
NOT_READY = (400, "DMS.00400026")
NO_INSTANCE = (404, "DMS.00404022")


@pytest.fixture
def topics(world):
    return Topics(world)


class Topics:
    def __init__(self, world):
        self.world = world
        self.asked = 0
        self.path = f"{world.instance_path}/topics"
        self.reassign_path = f"/v2/{world.project_id}/kafka/instances/{world.instance.id}/reassign"

    @property
    def nonce(self):
        """The same body in the same second would be the same signature."""
        self.asked += 1
        return {"nonce": self.asked}

    def create(self, name="orders", **body):
        return self.world.admin.post(self.path, {"id": name, "partition": 3} | body | self.nonce)

    def made(self, name="orders", **body):
        assert self.create(name, **body).status == 200
        return name

    def list(self, query=""):
        return self.world.admin.get(self.path + query).json

    def shown(self, name="orders"):
        return next(topic for topic in self.list()["topics"] if topic["name"] == name)

    def detail(self, name="orders"):
        return self.world.admin.get(f"{self.world.instance_path}/management/topics/{name}")

    def replicas(self, name="orders"):
        return [
            [one["broker"] for one in partition["replicas"]]
            for partition in self.detail(name).json["partitions"]
        ]

    def update(self, **topic):
        return self.world.admin.put(self.path, body=_json({"topics": [topic]}))

    def delete(self, *names):
        answer = self.world.admin.post(f"{self.path}/delete", {"topics": list(names)})
        assert answer.status == 200
        return {topic["id"]: topic["success"] for topic in answer.json["topics"]}

    def reassign(self, name="orders", target=(0,), **body):
        assignment = [{"partition": 0, "partition_brokers": list(target)}]
        wanted = {"reassignments": [{"topic": name, "assignment": assignment}]} | body
        return self.world.admin.post(self.reassign_path, wanted | self.nonce)


def _json(content):
    return json.dumps(content).encode()


def test_topic_is_listed_with_what_it_was_made_with(topics):
    assert topics.create(
        replication=3, retention_time=5, sync_replication="true", sync_message_flush=True,
        topic_desc="of the shop", topic_other_configs=[
            {"name": "max.message.bytes", "value": 1000},
            {"name": "message.timestamp.type", "value": "CreateTime"},
        ],
    ).json == {"name": "orders"}  # fmt: skip
    listed = topics.list()
    assert (listed["total"], listed["size"]) == (1, 1)
    assert listed["max_partitions"] - listed["remain_partitions"] == 3
    shown = topics.shown()
    assert shown["partition"] == shown["replication"] == 3
    assert shown["retention_time"] == 5
    assert shown["sync_replication"] is True
    assert shown["sync_message_flush"] is True
    assert shown["topic_desc"] == "of the shop"
    configs = {one["name"]: one["value"] for one in shown["topic_other_configs"]}
    assert configs == {"max.message.bytes": "1000", "message.timestamp.type": "CreateTime"}


def test_topic_has_the_instances_parameters_when_nothing_is_said(world, topics):
    configs = {"kafka_configs": [{"name": "num.partitions", "value": "7"}]}
    world.admin.put(f"{world.instance_path}/configs", body=_json(configs))
    world.run_until_idle()
    assert world.admin.post(topics.path, {"id": "usual"}).status == 200
    shown = topics.shown("usual")
    assert (shown["partition"], shown["replication"]) == (7, 3)
    assert (shown["retention_time"], shown["sync_replication"]) == (72, False)


REFUSED = [
    ({"id": None}, BAD_NAME),
    ({"id": "ab"}, BAD_NAME),
    ({"id": "a" * 201}, BAD_NAME),
    ({"id": "1st"}, BAD_NAME),
    ({"id": "with space"}, BAD_NAME),
    ({"id": "orders\n"}, BAD_NAME),
    ({"partition": 0}, BAD_PARTITIONS),
    ({"partition": 201}, BAD_PARTITIONS),
    ({"replication": 0}, BAD_REPLICAS),
    ({"replication": 21}, BAD_REPLICAS),
    ({"replication": 4}, TOO_MANY_REPLICAS),
    ({"retention_time": 0}, BAD_RETENTION),
    ({"retention_time": 721}, BAD_RETENTION),
    ({"sync_replication": "yes"}, BAD_PARAMETER),
    ({"topic_desc": "x" * 201}, BAD_PARAMETER),
    ({"topic_other_configs": [{"name": "x", "value": "1"}]}, BAD_CONFIG),
    ({"topic_other_configs": [{"name": "max.message.bytes", "value": "10485761"}]}, BAD_CONFIG),
    ({"topic_other_configs": [{"name": "message.timestamp.type", "value": ""}]}, BAD_CONFIG),
]


@pytest.mark.parametrize(("body", "error"), REFUSED, ids=str)
def test_topic_is_refused_and_nothing_is_stored(world, topics, body, error):
    before = world.dump()
    assert topics.create(**body).error == error
    assert world.dump() == before


def test_topic_is_refused_when_there_is_one_of_the_name(topics):
    topics.made()
    assert topics.create().error == TAKEN


def test_topic_is_refused_when_the_instance_has_no_partitions_left(topics):
    for n in range(3):
        topics.made(f"big-{n}", partition=200)
    assert topics.create(partition=151).error == FULL
    topics.made(partition=150)
    assert topics.list()["remain_partitions"] == 0


def test_viewer_may_look_but_not_touch(world, topics):
    topics.made()
    viewer = world.caller(Role.VIEWER)
    assert viewer.get(topics.path).status == 200
    assert viewer.post(topics.path, {"id": "mine"}).error == (403, "DMS.00403002")
    assert viewer.post(f"{topics.path}/delete", {"topics": ["orders"]}).error[0] == 403
    assert viewer.post(topics.reassign_path, {}).error[0] == 403
    assert topics.list()["total"] == 1


def test_another_project_sees_nothing(world, topics):
    topics.made()
    stranger = world.caller(project_id=world.other_project())
    assert stranger.get(topics.path).error == NO_INSTANCE
    assert stranger.post(f"{topics.path}/delete", {"topics": ["orders"]}).error == NO_INSTANCE
    assert stranger.post(topics.reassign_path, {"reassignments": []}).error == NO_INSTANCE


def test_brokers_that_do_not_answer_are_waited_for_by_clients(world, topics):
    world.lose_brokers()
    assert world.admin.get(topics.path).error == NOT_READY
    assert topics.create().error == NOT_READY


def test_list_is_in_pages_and_the_one_after_the_last_is_empty(topics):
    for n in range(3):
        topics.made(f"topic-{n}", partition=1)
    page = topics.list("?offset=1&limit=1")
    assert [topic["name"] for topic in page["topics"]] == ["topic-1"]
    assert (page["total"], page["size"]) == (3, 1)
    assert topics.list("?offset=3")["topics"] == []
    assert topics.world.admin.get(f"{topics.path}?limit=201").error == BAD_PARAMETER


def test_change_of_a_topic_is_seen_at_once(topics):
    topics.made(sync_replication=True)
    answer = topics.update(
        id="orders", retention_time=9, sync_replication=False, sync_message_flush=True,
        new_partition_numbers=5, topic_desc="new",
    )  # fmt: skip
    assert answer.status == 204
    shown = topics.shown()
    assert (shown["partition"], shown["retention_time"]) == (5, 9)
    assert (shown["sync_replication"], shown["sync_message_flush"]) == (False, True)
    assert shown["topic_desc"] == "new"


def test_new_partitions_are_on_the_brokers_asked_for(topics):
    topics.made(partition=1, replication=1)
    answer = topics.update(id="orders", new_partition_numbers=3, new_partition_brokers=[2])
    assert answer.status == 204
    assert topics.replicas()[1:] == [[2], [2]]
    failed = topics.update(id="orders", new_partition_numbers=4, new_partition_brokers=[9])
    assert failed.status == 206


def test_topics_that_could_not_be_changed_are_named_with_206(world, topics):
    topics.made()
    body = {"topics": [{"id": "missing", "retention_time": 5}, {"id": "orders", "topic_desc": "x"}]}
    answer = world.admin.put(topics.path, body=_json(body))
    assert answer.status == 206
    assert answer.json == {
        "failed_topics": [
            {
                "id": "missing",
                "success": False,
                "error_code": "DMS.00400876",
                "error_msg": "The topic does not exist.",
            }
        ]
    }
    assert topics.shown()["topic_desc"] == "x"


def test_partitions_only_grow(world, topics):
    topics.made()
    path = f"{world.instance_path}/management/topics/orders/partitions-reassignment"
    assert world.admin.post(path, {"partition": 4}).status == 204
    assert topics.shown()["partition"] == 4
    assert world.admin.post(path, {"partition": 3}).error == BAD_PARTITIONS
    assert world.admin.post(path.replace("orders", "none"), {"partition": 3}).error == NO_TOPIC


def test_deleted_topics_are_gone_and_missing_ones_count_as_deleted(topics):
    topics.made()
    assert topics.delete("orders", "never-was") == {"orders": True, "never-was": True}
    assert topics.list()["total"] == 0
    assert topics.detail().error == NO_TOPIC
    topics.made()
    assert topics.shown()["topic_desc"] == ""


def test_detail_shows_where_replicas_are_and_how_much_they_hold(topics):
    topics.made(replication=2)
    detail = topics.detail().json
    assert detail["topic"] == "orders"
    assert [partition["partition"] for partition in detail["partitions"]] == [0, 1, 2]
    for partition in detail["partitions"]:
        (leader,) = [one["broker"] for one in partition["replicas"] if one["leader"]]
        assert leader == partition["leader"]
        assert {one["size"] for one in partition["replicas"]} == {64 * MIB}
        assert partition["hw"] == partition["leo"] > partition["lso"]


def test_reassignment_moves_the_replicas_and_shows_executing_meanwhile(world, topics):
    topics.made(partition=1, replication=1)
    (before,) = topics.replicas()
    target = [(before[0] + 1) % 3, (before[0] + 2) % 3]
    job_id = topics.reassign(target=target, throttle=20).json["job_id"]
    world.run_round()
    assert world.show(job_id)["status"] == "EXECUTING"
    assert world.show(job_id)["name"] == "kafkaReassignment"
    assert world.show(job_id)["params"] == '{"reassignment_topics":"[orders]"}'
    world.run_until_idle()
    assert world.show(job_id)["status"] == "SUCCESS"
    assert topics.replicas() == [target]


def test_topic_under_reassignment_stays_as_it_is(world, topics):
    topics.made(partition=1, replication=1)
    topics.made("other")
    (before,) = topics.replicas()
    topics.reassign(target=[(before[0] + 1) % 3])
    assert topics.delete("orders", "other") == {"orders": False, "other": True}
    failed = topics.update(id="orders", new_partition_numbers=2)
    assert (failed.status, failed.json["failed_topics"][0]["error_code"]) == (206, MOVING[1])
    path = f"{world.instance_path}/management/topics/orders/partitions-reassignment"
    assert world.admin.post(path, {"partition": 2}).error == MOVING
    world.run_until_idle()
    assert topics.delete("orders") == {"orders": True}


def test_second_path_takes_the_same_body(world, topics):
    topics.made(partition=1, replication=1)
    path = f"/v2/kafka/{world.project_id}/instances/{world.instance.id}/reassign"
    body = {"reassignments": [{"topic": "orders", "brokers": [1, 2], "replication_factor": 2}]}
    answer = world.admin.post(path, body)
    assert list(answer.json) == ["job_id"]
    world.run_until_idle()
    assert sorted(topics.replicas()[0]) == [1, 2]


def test_reassignment_is_planned_once_and_starts_at_its_time(world, topics):
    topics.made(partition=1, replication=1)
    (before,) = topics.replicas()
    target = [(before[0] + 1) % 3]
    at = world.clock.now() + timedelta(hours=1)
    plan = {"is_schedule": True, "execute_at": int(at.timestamp() * 1000)}
    answer = topics.reassign(target=target, **plan)
    assert list(answer.json) == ["schedule_id"]
    assert topics.reassign(target=target, **plan).error == MOVING
    (job,) = world.admin.get(world.scheduled_path).json["jobs"]
    assert job["id"] == answer.json["schedule_id"]
    assert job["schedule_at"] == "2026-03-04T06:06:07.108Z"
    world.run_round()
    assert topics.replicas() == [before]
    world.run_until_idle()
    assert topics.replicas() == [target]
    assert topics.reassign(target=before, **plan).error == BAD_PARAMETER
    later = {"is_schedule": True, "execute_at": plan["execute_at"] + 7_200_000}
    assert topics.reassign(target=before, **later).status == 200


def test_reassignment_is_planned_once_by_two_processes_at_the_same_time(world, topics, tmp_path):
    """Each looks before the other has written: the submit's transaction decides."""
    topics.made(partition=1, replication=1)
    world.clock.move(seconds=1)
    (before,) = topics.replicas()
    at = world.clock.now() + timedelta(hours=1)
    plan = {"is_schedule": True, "execute_at": int(at.timestamp() * 1000)}
    target = [(before[0] + 1) % 3]
    mine = world.backroom
    handlers = [route.handler.__self__ for route in mine.table.routes]
    (handler, *_) = [one for one in handlers if type(one).__name__ == "ReassignmentHandlers"]
    real, others = handler._reassignments.require_none_planned, []

    async def require_none_planned(instance):
        await real(instance)
        if not others:  # here, between the look and the write, another process comes first
            others.append(world.clock.now())
            handler._reassignments.require_none_planned = real
            others.append(await other_process(world, target, at))

    handler._reassignments.require_none_planned = require_none_planned
    assert topics.reassign(target=target, **plan).error == MOVING
    (job,) = world.admin.get(world.scheduled_path).json["jobs"]
    assert job["id"] == others[1].task_id


async def other_process(world, target, at):
    instance = await world.backroom.instances.get(world.project_id, world.instance.id)
    order = Order(
        operation=REASSIGN_PARTITIONS,
        params=ReassignPartitions(
            topics=(TopicPlan(topic="orders", assignment=(Assignment(0, tuple(target)),)),)
        ),
        public={},
        execute_at=at,
        only_at_version=instance.version,
    )
    who = Identity(world.key.project_id, world.key.user_id, world.key.user_name, world.key.role)
    return await world.backroom.service.submit(who, instance.id, order)


def test_reassignment_is_refused_where_a_disk_is_too_small(world, topics):
    topics.made(partition=1, replication=1)
    world.do(world.backroom.kafka.fill(world.instance.id, "orders", 101 * 1024 * MIB))
    world.clock.move(seconds=1)
    (before,) = topics.replicas()
    target = [(before[0] + 1) % 3]
    for more in ({}, {"time_estimate": True}):
        answer = topics.reassign(target=target, **more)
        assert answer.error == (400, "DMS.00500982")
        assert f"Broker {target[0]} would have to take in" in answer.message
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


def test_estimate_makes_no_task_and_knows_size_and_throttle(world, topics):
    topics.made(partition=1, replication=1)
    world.do(world.backroom.kafka.fill(world.instance.id, "orders", 100 * MIB))
    world.clock.move(seconds=1)
    (before,) = topics.replicas()
    target = [(before[0] + 1) % 3]
    answer = topics.reassign(target=target, time_estimate=True, throttle=10)
    assert answer.json == {"reassignment_time": 11}
    assert topics.reassign(target=target, time_estimate=True).json == {"reassignment_time": 4}
    assert topics.reassign(target=before, time_estimate=True).json == {"reassignment_time": 1}
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


BAD_REASSIGNMENTS = [
    ({}, BAD_PARAMETER),
    ({"reassignments": []}, BAD_PARAMETER),
    ({"reassignments": [{"brokers": [0]}]}, BAD_PARAMETER),
    ({"reassignments": [{"topic": "orders"}]}, BAD_PARAMETER),
    ({"reassignments": [{"topic": "none", "brokers": [0, 1, 2]}]}, NO_TOPIC),
    ({"reassignments": [{"topic": "orders", "brokers": [0, 1, 9]}]}, BAD_PARAMETER),
    ({"reassignments": [{"topic": "orders", "brokers": [0, 0, 1]}]}, BAD_PARAMETER),
    ({"reassignments": [{"topic": "orders", "brokers": [0]}]}, BAD_PARAMETER),
    ({"reassignments": [{"topic": "orders", "brokers": [0, 1, 2]}] * 2}, BAD_PARAMETER),
    (
        {"reassignments": [{"topic": "orders", "brokers": [0], "replication_factor": 0}]},
        BAD_PARAMETER,
    ),
    *(
        ({"reassignments": [{"topic": "orders", "assignment": [assignment]}]}, BAD_PARAMETER)
        for assignment in (
            {},
            {"partition": 0},
            {"partition": 0, "partition_brokers": []},
            {"partition": 0, "partition_brokers": [1, 1]},
            {"partition": 0, "partition_brokers": [9]},
            {"partition": 3, "partition_brokers": [1]},
            {"partition": -1, "partition_brokers": [1]},
        )
    ),
    *(
        ({"reassignments": [{"topic": "orders", "brokers": [0, 1, 2]}]} | more, BAD_PARAMETER)
        for more in (
            {"throttle": -2},
            {"throttle": 301},
            {"throttle": 10**12},
            {"is_schedule": True},
            {"is_schedule": True, "execute_at": 1},
            {"is_schedule": True, "execute_at": -1},
            {"is_schedule": True, "execute_at": 2**62},
        )
    ),
]


@pytest.mark.parametrize(("body", "error"), BAD_REASSIGNMENTS, ids=str)
def test_reassignment_is_refused_and_no_task_is_made(world, topics, body, error):
    topics.made()
    assert world.admin.post(topics.reassign_path, body).error == error
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


def test_parameters_are_changed_by_a_task(world):
    path = f"{world.instance_path}/configs"
    wanted = {"min.insync.replicas": "2", "log.retention.hours": "66"}
    body = {"kafka_configs": [{"name": name, "value": wanted[name]} for name in wanted]}
    answer = world.admin.put(path, body=_json(body)).json
    assert (answer["dynamic_config"], answer["static_config"]) == (1, 1)
    assert world.show(answer["job_id"])["name"] == "kafkaConfigModify"
    world.run_until_idle()
    assert world.show(answer["job_id"])["status"] == "SUCCESS"
    shown = {one["name"]: one["value"] for one in world.admin.get(path).json["kafka_configs"]}
    assert {name: shown[name] for name in wanted} == wanted
    broker = ConfigResource("broker", "0")

    def in_force():
        found = world.do(world.backroom.kafka.configs(world.instance.id, [broker]))
        return {name: found[broker][name].value for name in wanted}

    assert in_force() == wanted | {"log.retention.hours": "72"}
    restart = {"action": "restart", "instances": [world.instance.id]}
    assert world.admin.post(f"/v2/{world.project_id}/instances/action", restart).status == 200
    world.run_until_idle()
    assert in_force() == wanted


@pytest.mark.parametrize(
    ("configs", "error"),
    [
        (None, BAD_PARAMETER),
        ([], BAD_PARAMETER),
        ([{}], BAD_CONFIG),
        ([{"name": "broker.id", "value": "1"}], BAD_CONFIG),
        ([{"name": "num.partitions"}], BAD_CONFIG),
        ([{"name": "num.partitions", "value": "201"}], BAD_CONFIG),
        ([{"name": "num.partitions", "value": "-1"}], BAD_CONFIG),
        ([{"name": "unclean.leader.election.enable", "value": "maybe"}], BAD_CONFIG),
        ([{"name": "num.partitions", "value": "2"}] * 2, BAD_CONFIG),
    ],
)
def test_parameters_are_refused_and_no_task_is_made(world, configs, error):
    body = {} if configs is None else {"kafka_configs": configs}
    assert world.admin.put(f"{world.instance_path}/configs", body=_json(body)).error == error
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


def test_automatic_topic_creation_is_shown_once_its_task_is_done(world):
    answer = world.admin.post(f"{world.instance_path}/autotopic", {"enable_auto_topic": True})
    assert (answer.status, answer.json) == (200, {"enable_auto_topic": True})
    task = world.newest()
    assert task["name"] == "kafkaConfigModify"
    assert task["params"] == '{"old_auto_status":false,"new_auto_status":true}'
    assert world.shown_instance()["enable_auto_topic"] is False
    world.run_until_idle()
    assert world.shown_instance()["enable_auto_topic"] is True
    assert world.admin.post(f"{world.instance_path}/autotopic", {}).error == BAD_PARAMETER
