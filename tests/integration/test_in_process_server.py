"""A server in a thread of this process: its time, its transitions, what it is filled with."""

from datetime import timedelta

import pytest
from tests.support.calls import Calls
from tests.support.signer import Signer

from backroom.domain.errors import InvalidInput
from backroom.operations.catalogue import CATALOGUE
from backroom.testing.server import InProcessServer, StillBusy

CREATE = {
    "name": "kafka-new",
    "engine": "kafka",
    "engine_version": "2.7",
    "broker_num": 3,
    "storage_space": 300,
    "vpc_id": "vpc-1",
    "subnet_id": "subnet-1",
    "security_group_id": "group-1",
    "available_zones": ["az-1"],
    "product_id": "c6.2u4g.cluster",
    "storage_spec_code": "dms.physical.storage.high.v2",
}
SEED = {"instances": [{"name": "kafka-one", "topics": [{"name": "orders"}]}]}
EMULATOR = "/backroom/v1/emulator"


@pytest.fixture
def instance_id(server):
    return server.seed(SEED)["kafka-one"]


class Instance:
    """Calls on one instance."""

    def __init__(self, call, server, instance_id):
        self._call = call
        self.id = instance_id
        self.path = f"/v2/{server.project_id}/instances/{instance_id}"
        self.extend_path = f"/v2/{server.project_id}/kafka/instances/{instance_id}/extend"
        self._project = f"/v2/{server.project_id}"

    def shown(self):
        return self._call("GET", self.path).json

    def task(self):
        return self._call("GET", f"{self.path}/tasks").json["tasks"][0]

    def show(self, task_id):
        return self._call("GET", f"{self.path}/tasks/{task_id}").json["tasks"][0]

    def extend(self, **body):
        reply = self._call("POST", self.extend_path, body)
        assert reply.status == 200, reply.body
        return reply.json["job_id"]

    def restart(self):
        body = {"action": "restart", "instances": [self.id]}
        assert self._call("POST", f"{self._project}/instances/action", body).status == 200


@pytest.fixture
def instance(call, server, instance_id):
    return Instance(call, server, instance_id)


def created(call, server):
    reply = call("POST", f"/v2/{server.project_id}/kafka/instances", CREATE)
    assert reply.status == 200, reply.body
    return Instance(call, server, reply.json["instance_id"])


def test_the_first_look_shows_the_end_where_tasks_end_at_once(call, server):
    instance = created(call, server)

    assert instance.shown()["status"] == "RUNNING"
    assert instance.task()["status"] == "SUCCESS"


def test_every_change_ends_at_once_although_time_stands(call, server, instance):
    server.clock.freeze()
    bind = f"/v1/{server.project_id}/instances/{instance.id}/public-boundwidth"
    partition = {"partition": 0, "partition_brokers": [3, 4, 5]}
    asked = [
        ("POST", bind, {"publicip_id": "eip-1,eip-2,eip-3"}),
        ("POST", instance.extend_path, {"oper_type": "storage", "new_storage_space": 600}),
        ("POST", instance.extend_path, {"oper_type": "horizontal", "new_broker_num": 6}),
        (
            "POST", instance.extend_path,
            {"oper_type": "vertical", "new_product_id": "c6.4u8g.cluster"},
        ),
        (
            "POST", f"/v2/kafka/{server.project_id}/instances/{instance.id}/reassign",
            {
                "reassignments": [{"topic": "orders", "assignment": [partition]}],
                "throttle": 1,
            },
        ),
        (
            "POST", f"/v2/{server.project_id}/instances/action",
            {"action": "restart", "instances": [instance.id]},
        ),
        ("POST", f"{instance.path}/autotopic", {"enable_auto_topic": True}),
        ("DELETE", instance.path, None),
    ]  # fmt: skip
    for method, path, body in asked:
        reply = call(method, path, body)
        assert reply.status in (200, 204), (path, reply.body)
        assert instance.task()["status"] == "SUCCESS", server.timeline()

    assert len(server.tasks()) == len(asked)
    assert {task.ended_at for task in server.tasks()} == {server.clock.now}


def test_moved_replicas_are_shown_at_once(call, server, instance):
    server.clock.freeze()
    instance.extend(oper_type="horizontal", new_broker_num=4)
    assert instance.task()["status"] == "SUCCESS"
    partition = {"partition": 0, "partition_brokers": [3, 1, 2]}
    body = {"reassignments": [{"topic": "orders", "assignment": [partition]}], "throttle": 1}
    call("POST", f"/v2/kafka/{server.project_id}/instances/{instance.id}/reassign", body)
    server.wait_idle()

    shown = call("GET", f"{instance.path}/management/topics/orders").json
    first = min(shown["partitions"], key=lambda one: one["partition"])
    assert sorted(replica["broker"] for replica in first["replicas"]) == [1, 2, 3]


def test_a_task_takes_its_seconds_to_the_millisecond(call, server, instance):
    server.clock.freeze()
    server.transitions.after_s(900, "extendInstance")
    task_id = instance.extend(oper_type="storage", new_storage_space=600)
    began = server.clock.now

    server.clock.advance(899.999)
    assert instance.show(task_id)["status"] == "EXECUTING"
    assert instance.shown()["status"] == "EXTENDING"
    server.clock.advance(0.001)

    assert instance.show(task_id)["status"] == "SUCCESS"
    (task,) = server.tasks()
    assert task.ended_at - began == timedelta(seconds=900)


def test_progress_grows_with_the_time_that_was_passed(call, server, instance):
    server.clock.freeze()
    server.transitions.after_s(1_000, "extendInstance")
    task_id = instance.extend(oper_type="storage", new_storage_space=600)
    seen = []
    for _ in range(4):
        shown = call("GET", f"{instance.path}/tasks/{task_id}/progress").json
        seen.append(shown["progress_percentage"])
        server.clock.advance(250)

    assert seen == sorted(seen)
    assert 20 <= seen[1] <= 30
    assert 45 <= seen[2] <= 55
    assert instance.show(task_id)["status"] == "SUCCESS"


def test_a_task_is_under_way_in_so_many_looks_and_over_in_the_next(call, server, instance):
    server.clock.freeze()
    server.transitions.after_reads(3)
    instance.restart()
    task_id = instance._call("GET", f"{instance.path}/tasks").json["tasks"][0]["id"]

    seen = [instance.show(task_id)["status"] for _ in range(3)]

    assert seen[:2] == ["CREATED", "CREATED"]
    assert seen[2] == "SUCCESS"


def test_a_task_that_was_cancelled_waits_for_no_more_looks(call, server, instance):
    server.transitions.after_reads(9)
    instance.restart()
    task_id = instance.task()["id"]
    transitions = server._on.emulator.transitions
    assert transitions.held == {task_id}
    path = f"/backroom/v1/{server.project_id}/tasks/{task_id}/cancel"
    assert call("POST", path).status == 202
    assert instance.task()["status"] == "FAILED"  # v2 has no word for a cancelled background task
    instance.shown()

    assert not transitions.holds_any


def test_looks_at_the_instance_count_too(call, server):
    server.transitions.after_reads(2, "createInstance")
    instance = created(call, server)

    assert [instance.shown()["status"] for _ in range(3)] == ["CREATING", "CREATING", "RUNNING"]


def test_looks_of_another_project_do_not_count(call, server):
    seed = {
        **SEED,
        "projects": [
            {"name": "other", "keys": [{"access_key": "OTHER", "secret_key": "secret-of-other"}]}
        ],
    }
    instance = Instance(call, server, server.seed(seed)["kafka-one"])
    server.transitions.after_reads(1)
    instance.restart()
    stranger = Calls(server.endpoint, Signer("OTHER", "secret-of-other"))
    for _ in range(3):
        assert stranger("GET", f"{instance.path}/tasks").status in (403, 404)
    stranger.close()

    assert instance.task()["status"] == "CREATED"
    assert instance.task()["status"] == "SUCCESS"


def test_simulated_brokers_take_their_virtual_time(call, server):
    server.clock.freeze()
    server.transitions.simulated()
    instance = created(call, server)
    server.clock.advance(1.5)
    assert instance.shown()["status"] == "CREATING"
    server.clock.advance(10)

    assert instance.shown()["status"] == "RUNNING"
    (task,) = server.tasks()
    assert timedelta(seconds=3) <= task.ended_at - task.created_at < timedelta(seconds=5)


def test_time_that_is_moved_far_gives_each_task_the_times_it_would_have_had(server, instance):
    server.clock.freeze()
    server.transitions.after_s(60)
    instance.restart()
    began = server.clock.now
    server.clock.advance(86_400)

    (task,) = server.tasks()
    assert task.ended_at == began + timedelta(seconds=60)
    assert server.clock.now == began + timedelta(days=1)


def test_time_flies(call, server, instance):
    server.clock.resume(speed=10_000)
    server.transitions.after_s(3_000)
    instance.restart()
    until = server.clock.now + timedelta(hours=3)  # 1.1 s
    while instance.task()["status"] == "CREATED":
        assert server.clock.now < until

    assert instance.task()["status"] == "SUCCESS"


def test_wait_idle_lets_time_jump(server, instance):
    server.clock.freeze()
    server.transitions.after_s(7_200)
    instance.restart()
    began = server.clock.now
    server.wait_idle()

    assert server.clock.now == began + timedelta(hours=2)
    assert server.tasks()[0].status == "SUCCESS"
    assert server.clock.is_frozen


def test_wait_idle_says_what_waits_to_be_read(server, instance):
    server.transitions.after_reads(1)
    instance.restart()

    with pytest.raises(StillBusy, match="restartInstance"):
        server.wait_idle()


def test_a_plan_that_changes_holds_for_tasks_under_way(server, instance):
    server.clock.freeze()
    server.transitions.after_s(7_200)
    instance.restart()
    assert instance.task()["status"] == "CREATED"
    server.transitions.immediate()

    assert instance.task()["status"] == "SUCCESS"


def test_an_operation_that_is_none_is_refused(server):
    with pytest.raises(InvalidInput, match="createInstanze"):
        server.transitions.immediate("createInstanze")
    with pytest.raises(InvalidInput):
        server.transitions.after_s(-1)


def test_a_request_is_accepted_twice_in_one_second(call, server):
    assert created(call, server).id != created(call, server).id


def test_reset_leads_back_to_the_seed(call, server, instance):
    server.transitions.after_s(900)
    server.clock.advance(86_400)
    instance.restart()
    created(call, server)
    server.reset()

    assert list(server.instance_ids().items()) == [("kafka-one", instance.id)]
    assert server.tasks() == []
    assert instance.shown()["status"] == "RUNNING"
    instance.restart()
    assert instance.task()["status"] == "SUCCESS"


def test_reset_to_empty_leaves_the_first_project_and_its_key(call, server, instance):
    server.reset(to_empty=True)

    assert server.instance_ids() == {}
    assert call("GET", f"/v2/{server.project_id}/instances").json["instances"] == []
    assert call("GET", instance.path).status == 404


def test_reset_stops_what_is_under_way(call, server, instance):
    server.clock.freeze()
    server.transitions.simulated()
    created(call, server)
    instance.restart()
    server.reset()
    server.clock.advance(60)

    assert server.tasks() == []
    assert list(server.instance_ids()) == ["kafka-one"]


def test_past_tasks_of_a_seed_have_their_history(call, server):
    seed = {
        "instances": [
            {
                "name": "kafka-one",
                "tasks": [
                    {"operation": "restartInstance", "ago_s": 60, "duration_s": 5},
                    {
                        "operation": "extendInstance", "ago_s": 3600, "state": "failed",
                        "failed_step": "disk_expansion", "error_code": "DMS.00500000",
                        "params": {"oper_type": "storage"},
                    },
                    {"operation": "restartInstance", "ago_s": 10, "state": "cancelled",
                     "duration_s": 1},
                ],
            }
        ]
    }  # fmt: skip
    instance = Instance(call, server, server.seed(seed)["kafka-one"])
    tasks = call("GET", f"{instance.path}/tasks").json

    assert tasks["task_count"] == "3"
    assert [task["status"] for task in tasks["tasks"]] == ["FAILED", "SUCCESS", "FAILED"]
    failed = tasks["tasks"][-1]
    full = call("GET", f"/backroom/v1/{server.project_id}/tasks/{failed['id']}").json
    assert full["error_code"] == "DMS.00500000"
    assert [step["state"] for step in full["steps"]] == ["succeeded", "failed"]
    events = call("GET", f"/backroom/v1/{server.project_id}/tasks/{failed['id']}/events").json
    assert [event["verb"] for event in events["events"]] == ["submit", "claim", "record", "fail"]
    assert server.tasks() == []


@pytest.mark.parametrize(
    ("seed", "where"),
    [
        ({"instances": [{"name": "kafka-one", "broker_count": "3"}]}, "instances[0].broker_count"),
        ({"instances": [{"name": "k"}]}, "instances[0].name"),
        ({"instances": [{"name": "kafka-one", "size": 3}]}, "instances[0]"),
        ({"instances": [{"name": "kafka-one", "product_id": "x"}]}, "instances[0].product_id"),
        ({"instances": [{"name": "kafka-one", "broker_count": 2}]}, "instances[0].broker_count"),
        (
            {"instances": [{"name": "kafka-one", "topics": [{"name": "a"}, {"name": "a"}]}]},
            "instances[0].topics[1].name",
        ),
        (
            {"instances": [{"name": "kafka-one", "topics": [{"name": "a", "replicas": 4}]}]},
            "instances[0].topics[0].replicas",
        ),
        (
            {"projects": [{"name": "p", "instances": [
                {"name": "kafka-one", "tasks": [{"operation": "no"}]}]}]},
            "projects[0].instances[0].tasks[0].operation",
        ),
        ({"keys": [{"access_key": "A", "secret_key": "short"}]}, "keys[0].secret_key"),
        ([], "seed"),
    ],
)  # fmt: skip
def test_a_wrong_seed_is_refused_as_a_whole_with_where_it_is_wrong(call, server, seed, where):
    before = server.seed(SEED)
    reply = call("POST", f"{EMULATOR}/seed", seed)

    assert (reply.status, reply.json["error_code"]) == (400, "DMS.00400062")
    assert f"{where} " in reply.json["error_msg"]
    assert server.instance_ids() == before


def test_a_seed_that_fails_on_the_way_leaves_what_was_there(server):
    before = server.seed(SEED)
    with pytest.raises(Exception, match=server.ak):
        server.seed({"instances": [{"name": "kafka-two"}], "keys": [
            {"access_key": "NEW", "secret_key": "secret-key"},
            {"access_key": server.ak, "secret_key": "secret-key"},
        ]})  # fmt: skip

    assert server.instance_ids() == before


@pytest.mark.parametrize("text", ["a: [", "a: &a [*a]", "\x00", "{", "- 1"])
def test_what_is_no_seed_at_all_is_refused(server, text):
    with pytest.raises(InvalidInput):
        server.seed(text)


def test_a_seed_may_be_yaml(server, tmp_path):
    file = tmp_path / "seed.yaml"
    file.write_text("instances:\n  - name: kafka-one\n    engine_version: 2.7\n", "utf-8")

    assert list(server.seed(file)) == ["kafka-one"]


def test_controls_over_http_need_nobody(server, instance):
    nobody = Calls(server.endpoint)
    plan = {"default": {"after_s": 5.0}, "operations": {"restartInstance": "simulated"}}
    told = nobody("PUT", f"{EMULATOR}/transitions", plan)
    assert told.json == {
        "default": {"after_s": 5.0, "after_reads": None},
        "operations": {"restartInstance": "simulated"},
    }
    instance.restart()
    idle = nobody("POST", f"{EMULATOR}/idle").json
    assert (idle["idle"], idle["tasks"]) == (True, [])
    assert nobody("POST", f"{EMULATOR}/reset", {"to": "empty"}).status == 204
    assert nobody("GET", f"{EMULATOR}/transitions").json["default"] == "immediate"
    assert nobody("GET", instance.path).status == 401
    nobody.close()

    assert server.instance_ids() == {}


@pytest.mark.parametrize(
    "body",
    [
        {"default": "slow"},
        {"default": {}},
        {"default": {"after_s": 1, "after_reads": 1}},
        {"default": {"after_s": -1}},
        {"default": {"after_reads": -1}},
        {"operations": {"no": "immediate"}},
        {"defualt": "immediate"},
    ],
)
def test_wrong_transitions_are_refused(call, body):
    assert call("PUT", f"{EMULATOR}/transitions", body).status == 400


def test_everything_that_the_catalogue_has_may_be_named(server):
    server.transitions.after_s(3, *CATALOGUE)


def test_a_timeline_is_for_people(server, instance):
    assert server.timeline() == "no task was made"
    instance.restart()
    text = server.timeline()

    assert "restartInstance" in text
    assert "SUCCESS" in text
    assert "complete  -> succeeded" in text


def test_the_environment_points_here(server):
    assert server.env["BACKROOM_ENDPOINT"] == server.endpoint
    assert server.env["CLOUD_SDK_AK"] == server.ak
    assert "PATH" in server.env
    assert server.ca_path is None


def test_a_server_that_was_stopped_says_so():
    server = InProcessServer()
    server.stop()

    with pytest.raises(RuntimeError, match="start"):
        server.reset()


def test_records_are_cleared_when_their_time_is_over(call, server, instance):
    instance.restart()
    assert instance.task()["status"] == "SUCCESS"
    server.clock.advance(29 * 86_400)
    assert len(server.tasks()) == 1
    server.clock.advance(3 * 86_400)

    assert server.tasks() == []


def test_time_ends_some_day(server):
    with pytest.raises(InvalidInput, match="advance_s"):
        server.clock.advance(1e300)
    with pytest.raises(InvalidInput, match="advance_s"):
        server.clock.advance(-1)


def test_official_clients_are_served_over_tls():
    server = InProcessServer(tls=True).start()
    try:
        assert server.endpoint.startswith("https://")
        assert server.ca_path.exists()
        assert server.env["SSL_CERT_FILE"] == str(server.ca_path)
    finally:
        server.stop()
