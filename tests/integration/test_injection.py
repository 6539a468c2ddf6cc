"""Faults, limits and what nobody reads: over real connections to a server of this process."""

import http.client
import json
from pathlib import Path

import pytest
from tests.support.world import make_world

from backroom.api.rate_limit import RateLimit
from backroom.domain.account import Role
from backroom.domain.errors import InvalidInput
from backroom.emulator import faults
from backroom.emulator.unread import unread_paths
from backroom.wire.reassignment import ReassignBody

EMULATOR = "/backroom/v1/emulator"
SEED = {"instances": [{"name": "kafka-one"}]}
BUSY = {"status": 503, "error_code": "DMS.111501025", "error_msg": "later"}


@pytest.fixture
def listed(server):
    return f"/v2/{server.project_id}/instances"


@pytest.fixture
def instance(server):
    return f"/v2/{server.project_id}/instances/" + server.seed(SEED)["kafka-one"]


def codes(call, path, count):
    return [call("GET", path).status for _ in range(count)]


def test_second_and_third_call_meet_the_fault(server, call, listed):
    rule = server.faults.of_calls("ListInstances", first=2, last=3, retry_after_s=7, **BUSY)

    assert codes(call, listed, 2) == [200, 503]
    met = call("GET", listed)
    assert met.json["error_code"] == "DMS.111501025"
    assert met.json["error_msg"] == "later"
    assert met.json["request_id"] == met.headers["x-request-id"]
    assert met.headers["x-backroom-injected"] == rule
    assert met.headers["retry-after"] == "7"
    after = call("GET", listed)
    assert (after.status, "x-backroom-injected" in after.headers) == (200, False)
    assert server.faults.injected(rule) == 2


def test_other_calls_meet_nothing_unless_the_rule_is_of_all(server, call, listed, instance):
    server.faults.of_calls("ShowInstance", **BUSY)
    assert call("GET", listed).status == 200
    server.faults.of_calls("*", **BUSY)
    assert call("GET", listed).status == 503


def test_a_write_that_meets_a_fault_does_nothing(server, call, instance):
    server.faults.of_calls("DeleteInstance", last=1, **BUSY)
    assert call("DELETE", instance).status == 503
    assert server.tasks() == []
    assert call("DELETE", instance).status == 204
    assert [task.name for task in server.tasks()] == ["deleteInstance"]


def test_connection_is_dropped_without_an_answer(server, call, listed):
    rule = server.faults.of_calls("ListInstances", last=1, drop=True)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        call("GET", listed)
    assert server.faults.injected(rule) == 1
    call.close()
    assert call("GET", listed).status == 200


def test_no_web_page_may_use_what_is_open(server):
    link = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=20)
    for method, path in (("POST", "/reset"), ("GET", "/clock"), ("GET", "/faults")):
        link.request(method, EMULATOR + path, headers={"origin": "http://page.example"})
        answer = link.getresponse()
        answer.read()
        assert answer.status == 403
        link.request(method, EMULATOR + path)
        answer = link.getresponse()
        answer.read()
        assert answer.status in (200, 204)
    link.close()


def test_rules_are_bounded(server, call, monkeypatch):
    monkeypatch.setattr(faults, "RULES_MOST", 1)
    rule = {"operation": "ListInstances", "drop": True, "first": 9}
    assert call("POST", f"{EMULATOR}/faults", rule).status == 201
    assert call("POST", f"{EMULATOR}/faults", rule).status == 400
    assert call("DELETE", f"{EMULATOR}/faults").status == 204
    assert call("POST", f"{EMULATOR}/faults", rule).status == 201


def test_drops_leave_no_file_open(server, call, listed):
    server.faults.of_calls("ListInstances", drop=True)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        call("GET", listed)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            call("GET", listed)
    assert len(list(Path("/dev/fd").iterdir())) <= before + 2  # a new connection has two ends here


def test_a_body_without_bottom_is_refused_as_without_an_emulator(server, call, instance):
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert call("POST", f"{instance}/topics", deep).status == 400


@pytest.mark.parametrize(
    ("seed", "why"),
    [
        (b"[" * 50_000, "deep"),
        (b"a:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, 200)), "deep"),
        (
            b"a: &a [x, x]\nb: &b [" + b"*a," * 9 + b"]\nc: [" + b"*b," * 99 + b"]",
            "aliases",
        ),
    ],
)
def test_a_seed_without_bottom_is_refused(server, call, seed, why):
    answer = call("POST", f"{EMULATOR}/seed", seed)
    assert answer.status == 400
    assert why in answer.json["error_msg"]


def test_delay_is_waited_through_and_answered(server, call, listed):
    server.faults.of_calls("ListInstances", delay_s=0.05)
    met = call("GET", listed)
    assert met.status == 200
    assert met.headers["x-backroom-injected"] == "fault-1"


def test_task_fails_at_the_step_once_and_succeeds_when_retried(server, call, instance):
    rule = server.faults.of_tasks("restartInstance", 1, last=1, error_msg="no luck")
    path = f"/v2/{server.project_id}/instances/action"
    body = {"action": "restart", "instances": [instance.rpartition("/")[2]]}
    assert call("POST", path, body).status == 200
    (failed,) = server.tasks()
    assert failed.state == "failed"
    retry = f"/backroom/v1/{server.project_id}/tasks/{failed.id}"
    shown = call("GET", retry).json
    assert shown["error_msg"] == "no luck"
    assert call("POST", f"{retry}/retry", {}).status == 202
    assert [task.state for task in server.tasks()] == ["failed", "succeeded"]
    assert server.faults.injected(rule) == 1


def test_step_is_named_or_counted(server):
    named = server.faults.of_tasks("extendInstance", "disk_expansion")
    counted = server.faults.of_tasks("extendInstance", 2)
    steps = {rule.id: rule.fault.step for rule in server._on.emulator.faults.rules}
    assert steps[named] == steps[counted] == "disk_expansion"


def test_reset_takes_faults_limit_and_unread_names_back(server, call, listed):
    server.faults.of_calls("*", **BUSY)
    server.rate_limit(0.001, 1)
    call("GET", listed + "?odd=1")
    server.reset()
    assert codes(call, listed, 3) == [200, 200, 200]
    assert server.unread_fields() == {}


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({}, "operation"),
        ({"operation": "ListInstances", "task": "extendInstance"}, "operation"),
        ({"operation": "NoSuchCall", "drop": True}, "operation"),
        ({"operation": "ListInstances"}, "status"),
        ({"operation": "ListInstances", "status": 503}, "error_code"),
        ({"operation": "ListInstances", "status": 200, "error_code": "x"}, "status"),
        ({"operation": "ListInstances", "status": 503, "error_code": "x", "drop": True}, "drop"),
        ({"operation": "ListInstances", "drop": True, "first": 0}, "first"),
        ({"operation": "ListInstances", "drop": True, "first": 3, "last": 2}, "last"),
        ({"operation": "ListInstances", "delay_s": 61}, "delay_s"),
        ({"operation": "ListInstances", "delay_s": -1}, "delay_s"),
        ({"operation": "ListInstances", "error_code": "x", "drop": True}, "status"),
        ({"operation": "ListInstances", "step": 1, "drop": True}, "step"),
        ({"task": "noSuchTask", "step": 1}, "task"),
        ({"task": "extendInstance", "step": 4}, "step"),
        ({"task": "extendInstance", "step": "no_such_step"}, "step"),
        ({"task": "extendInstance"}, "step"),
        ({"task": "extendInstance", "step": 1, "status": 503}, "status"),
        ({"task": "extendInstance", "step": 1, "drop": True}, "drop"),
        ({"operation": "ListInstances", "drop": True, "stauts": 503}, "stauts"),
    ],
)
def test_rule_that_makes_no_sense_is_refused_as_a_whole(server, call, fault, field):
    answer = call("POST", f"{EMULATOR}/faults", fault)
    assert answer.status == 400
    assert field in answer.json["error_msg"]
    assert call("GET", f"{EMULATOR}/faults").json == {"faults": []}


def test_rules_are_listed_and_deleted(call):
    made = call("POST", f"{EMULATOR}/faults", {"operation": "*", "drop": True, "first": 99})
    assert made.status == 201
    other = call("POST", f"{EMULATOR}/faults", {"task": "extendInstance", "step": 1})
    ids = [rule["id"] for rule in call("GET", f"{EMULATOR}/faults").json["faults"]]
    assert ids == [made.json["id"], other.json["id"]]
    assert call("DELETE", f"{EMULATOR}/faults?id={ids[0]}").status == 204
    assert call("DELETE", f"{EMULATOR}/faults?id={ids[0]}").status == 400
    assert call("DELETE", f"{EMULATOR}/faults").status == 204
    assert call("GET", f"{EMULATOR}/faults").json == {"faults": []}


def test_controls_themselves_meet_no_fault(server, call):
    server.faults.of_calls("*", **BUSY)
    assert call("GET", f"{EMULATOR}/faults").status == 200


def test_too_many_requests_are_refused_in_the_official_shape(server, call, listed):
    server.rate_limit(0.01, 2)
    assert codes(call, listed, 3) == [200, 200, 429]
    refused = call("GET", listed)
    assert refused.json["error_code"] == "APIGW.0308"
    assert 1 <= int(refused.headers["retry-after"]) <= 100


def test_limit_is_said_by_route_and_refused_where_it_makes_no_sense(call):
    path = f"{EMULATOR}/rate-limit"
    assert call("GET", path).json == {"per_s": None, "burst": None}
    assert call("PUT", path, {"per_s": 5}).json == {"per_s": 5, "burst": 5}
    for wrong in ({"per_s": 0}, {"per_s": -1}, {"per_s": 1, "burst": 0}, {"rate": 1}):
        assert call("PUT", path, wrong).status == 400
    assert call("GET", path).json == {"per_s": 5, "burst": 5}
    assert call("PUT", path, {}).json == {"per_s": None, "burst": None}


def test_bucket_fills_as_time_passes():
    now = [0.0]
    limit = RateLimit(2.0, lambda: now[0])
    assert [limit.wait_s("a") for _ in range(3)] == [0.0, 0.0, 0.5]
    assert limit.wait_s("b") == 0.0
    now[0] = 0.5
    assert [limit.wait_s("a"), limit.wait_s("a")] == [0.0, 0.5]
    now[0] = 1_000.0
    assert [limit.wait_s("a") for _ in range(3)] == [0.0, 0.0, 0.5]


def test_unread_names_are_told_by_operation_without_values(server, call, listed, instance):
    call("GET", listed + "?engine=kafka&engin=secret&offset=0")
    body = {"topics": [{"name": "one", "colour": "secret"}], "replikation": 1}
    call("POST", instance + "/topics", {"id": "orders", "partitoin": 1})
    call("POST", instance + "/topics/delete", body)
    found = server.unread_fields()
    assert found["ListInstances"] == {"?engin": 1}
    assert found["CreateInstanceTopic"] == {"partitoin": 1}
    assert "replikation" in found["BatchDeleteInstanceTopic"]
    assert "secret" not in json.dumps(found)
    assert call("GET", f"{EMULATOR}/unread").json == {"unread": found}


def test_unread_paths_go_into_lists_and_structs():
    sent = {
        "reassignments": [{"topic": "a", "oops": 1}, {"topic": "b", "oops": 2}],
        "throttle": 1,
        "what": {"deep": 1},
    }
    assert unread_paths(sent, ReassignBody) == ["reassignments[].oops", "what"]


def test_rule_of_the_fixture_raises_on_a_wrong_name(server):
    with pytest.raises(InvalidInput, match="stauts"):
        server.faults.of_calls("ListInstances", stauts=503)


def test_limit_of_the_settings_holds_without_an_emulator(tmp_path):
    world = make_world(tmp_path, rate_limit_per_s=0.01)
    path = f"/v2/{world.project_id}/instances"
    try:
        assert world.admin.get(path).status == 200
        refused = world.admin.get(path)
        assert refused.error == (429, "APIGW.0308")
        assert int(refused.headers["retry-after"]) > 1
        assert world.caller(Role.VIEWER).get(path).status == 200
    finally:
        world.close()
