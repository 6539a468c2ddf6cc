"""What the server says about a task for programs: lines with the ids of request and task."""

import json
from datetime import UTC, datetime

import pytest
from tests.support.clients import BIND, Client
from tests.support.processes import serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def lines_of(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def submitted(data, port):
    client = Client(data, port)
    status, _ = client.switch_public_access(BIND)
    assert status == 204
    _, said = client.list()
    (task,) = (task for task in json.loads(said)["tasks"] if task["name"] == "bindInstancePublicIp")
    (request_id,) = client.acknowledged
    return request_id, task["id"], client.instance_id


def test_accepted_task_is_one_line_with_its_request_for_programs(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with serving(data, "--http", "--log-format", "json", log=log) as server:
        before = len(lines_of(log))
        request_id, task_id, instance_id = submitted(data, server.port)
        wait_until(lambda: len(lines_of(log)) > before)
        assert server.stop() == 0

    (line,) = (line for line in lines_of(log) if line["message"] == "task accepted")
    assert datetime.fromisoformat(line.pop("at")).tzinfo == UTC
    assert line == {
        "level": "info", "logger": "backroom.service.submissions", "message": "task accepted",
        "request_id": request_id, "task_id": task_id, "instance_id": instance_id,
        "operation": "bindInstancePublicIp",
    }  # fmt: skip


def test_server_that_people_watch_says_nothing_of_what_goes_well(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with serving(data, "--http", log=log) as server:
        before = log.read_text()
        submitted(data, server.port)
        assert server.stop() == 0

    assert log.read_text() == before
