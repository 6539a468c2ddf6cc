"""Background tasks: show, list, delete, progress."""

import json
import re
from datetime import timedelta

import pytest
from tests.support.world import STARTED_AT

from backroom.domain import lifecycle
from backroom.domain.account import Role

KEYS = ["id", "name", "user_name", "user_id", "params", "status", "created_at", "updated_at"]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TASK_ID = re.compile(r"[0-9a-f]{32}")
MISSING = "0" * 32


@pytest.fixture
def listed(world):
    """Twelve tasks, ten seconds apart, oldest first."""
    ids = []
    for _ in range(12):
        ids.append(world.submit())
        world.clock.move(seconds=10)
    return ids


def ids_of(answer):
    assert answer.status == 200
    return [task["id"] for task in answer.json["tasks"]]


def at(seconds):
    return (STARTED_AT + timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%S")


def test_show_answers_one_task_in_a_list(world):
    task_id = world.bind(publicip_id="eip-1", public_boundwidth=5)
    answer = world.admin.get(f"{world.tasks_path}/{task_id}")
    assert answer.status == 200
    assert list(answer.json) == ["task_count", "tasks"]
    assert answer.json["task_count"] == "1"
    (task,) = answer.json["tasks"]
    assert list(task) == KEYS
    assert all(isinstance(value, str) and value for value in task.values())
    assert TASK_ID.fullmatch(task["id"])
    assert task["id"] == task_id
    assert task["name"] == "bindInstancePublicIp"
    assert (task["user_name"], task["user_id"]) == ("backroom", world.key.user_id)
    assert task["status"] == "CREATED"
    assert task["created_at"] == task["updated_at"] == "2026-03-04T05:06:07.008Z"
    assert list(json.loads(task["params"])) == [
        "public_ip_id",
        "public_ip_address",
        "enable_public_ip",
    ]


def test_a_task_under_way_shows_created_and_an_ended_one_success(world):
    task_id = world.submit()
    seen = [world.show(task_id)["status"]]
    world.begin()
    seen.append(world.show(task_id)["status"])
    world.run_until_idle()
    task = world.show(task_id)
    assert set(seen) == {"CREATED"}
    assert task["status"] == "SUCCESS"
    assert MOMENT.fullmatch(task["updated_at"])
    assert task["updated_at"] > task["created_at"]


def test_a_task_that_can_never_succeed_shows_failed(world):
    world.lose_brokers()
    task_id = world.submit()
    world.run_until_idle()
    assert world.show(task_id)["status"] == "FAILED"


def test_a_cancelled_background_task_shows_failed_because_waiters_know_no_other_end(world):
    task_id = world.submit()
    task = world.do(world.backroom.tasks.get(task_id))
    world.do(world.backroom.tasks.write(lifecycle.cancel(task, world.clock.now(), "tester")))
    assert world.show(task_id)["status"] == "FAILED"


def test_a_task_of_an_operation_that_this_release_lacks_is_still_shown(world):
    task_id = world.submit()
    world.sql("UPDATE tasks SET name = 'modifyAutoTopic'")
    assert world.show(task_id)["status"] == "CREATED"
    assert world.newest()["name"] == "modifyAutoTopic"
    refused = world.admin.get(f"{world.tasks_path}/{task_id}/progress")
    assert refused.error == (400, "DMS.00400800")


def test_show_knows_a_dashed_id_for_its_form_only(world):
    dashed = "93b94287-728d-4bb1-a158-cb66cb0854e7"  # [D] UpgradeInstance's example
    assert world.admin.get(f"{world.tasks_path}/{dashed}").error == (404, "DMS.00404001")


def test_list_is_empty_for_an_instance_without_tasks(world):
    answer = world.admin.get(world.tasks_path)
    assert (answer.status, answer.body) == (200, b'{"task_count":"0","tasks":[]}')


def test_list_is_newest_first_ten_at_a_time_with_the_total_as_text(world, listed):
    answer = world.admin.get(world.tasks_path)
    assert answer.json["task_count"] == "12"
    assert ids_of(answer) == listed[:1:-1]
    assert all(list(task) == KEYS for task in answer.json["tasks"])


def test_list_is_in_order_of_submission_within_one_millisecond(world):
    ids = [world.submit() for _ in range(5)]
    assert ids_of(world.admin.get(world.tasks_path)) == ids[::-1]


def test_a_task_is_in_the_list_as_soon_as_the_call_that_made_it_answered(world):
    task_id = world.bind()
    assert ids_of(world.admin.get(world.tasks_path)) == [task_id]
    assert world.show(task_id)


@pytest.mark.parametrize(
    ("query", "first", "count"),
    [
        ("start=1&limit=5", 0, 5),
        ("start=0&limit=5", 0, 5),
        ("start=2&limit=5", 1, 5),
        ("start=12&limit=5", 11, 1),
        ("start=13&limit=5", 12, 0),
        ("start=2147483647", 12, 0),
        ("offset=0&limit=5", 0, 5),
        ("offset=1&limit=5", 1, 5),
        ("offset=11", 11, 1),
        ("offset=12", 12, 0),
        ("limit=1", 0, 1),
        ("limit=100", 0, 12),
        ("start=3&offset=7&limit=2", 2, 2),
        ("limit=", 0, 10),
        ("unknown=x&limit=5", 0, 5),
    ],
)
def test_a_page_is_counted_from_1_by_start_and_from_0_by_offset(world, listed, query, first, count):
    answer = world.admin.get(f"{world.tasks_path}?{query}")
    assert ids_of(answer) == listed[::-1][first : first + count]
    assert answer.json["task_count"] == "12"


def test_terraforms_paging_reads_each_task_once_and_ends(world, listed):
    seen, start = [], 1
    for _ in range(100):
        answer = world.admin.get(f"{world.tasks_path}?limit=5&start={start}")
        page = ids_of(answer)
        seen += page
        start += len(page)
        if int(answer.json["task_count"]) <= start - 1:
            break
    assert seen == listed[::-1]
    assert start == 13


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"begin_time={at(50)}", slice(5, 12)),
        (f"begin_time={at(51)}", slice(6, 12)),
        (f"end_time={at(50)}", slice(0, 6)),
        (f"end_time={at(49)}", slice(0, 5)),
        (f"begin_time={at(20)}&end_time={at(40)}", slice(2, 5)),
        (f"begin_time={at(20)}&end_time={at(20)}", slice(2, 3)),
        (f"begin_time={at(40)}&end_time={at(20)}", slice(0, 0)),
        ("begin_time=00010101000000&end_time=99991231235959", slice(0, 12)),
        (f"begin_time={at(500)}", slice(0, 0)),
    ],
)
def test_a_time_window_is_utc_and_includes_both_ends(world, listed, query, expected):
    answer = world.admin.get(f"{world.tasks_path}?limit=100&{query}")
    assert ids_of(answer) == listed[expected][::-1]
    assert answer.json["task_count"] == str(len(listed[expected]))


def test_the_total_of_a_window_does_not_depend_on_the_page(world, listed):
    window = f"begin_time={at(20)}&end_time={at(80)}"
    for page in ("start=1&limit=2", "start=5&limit=2", "start=99&limit=2", "offset=6"):
        answer = world.admin.get(f"{world.tasks_path}?{window}&{page}")
        assert answer.json["task_count"] == "7"


def test_a_task_under_way_can_not_be_deleted(world):
    task_id = world.submit()
    path = f"{world.tasks_path}/{task_id}"
    before = world.dump()
    refused = world.admin.delete(path)
    assert refused.error == (400, "DMS.00400017")
    assert refused.message == "This DMS instance job task is still running."
    assert world.dump() == before
    world.begin()
    assert world.admin.delete(path).error == (400, "DMS.00400017")


def test_an_ended_task_is_deleted_once_and_its_trail_stays(world):
    kept, task_id = world.submit(), world.submit()
    world.run_until_idle()
    path = f"{world.tasks_path}/{task_id}"
    assert world.admin.delete(path).status == 204
    assert world.admin.get(path).error == (404, "DMS.00404001")
    assert world.admin.get(f"{path}/progress").error == (404, "DMS.00404001")
    world.clock.move(seconds=1)
    assert world.admin.delete(path).error == (404, "DMS.00404001")
    answer = world.admin.get(world.tasks_path)
    assert (ids_of(answer), answer.json["task_count"]) == ([kept], "1")
    history = world.do(world.backroom.tasks.history(task_id))
    assert [event.verb for event in history.events][-1] == "delete"
    assert world.shown_instance()["enable_publicip"]  # the record goes, not what was done


def test_a_failed_task_can_be_deleted(world):
    world.lose_brokers()
    task_id = world.submit()
    world.run_until_idle()
    assert world.admin.delete(f"{world.tasks_path}/{task_id}").status == 204


@pytest.mark.parametrize("call", ["get", "delete"])
def test_a_missing_task_is_not_found(world, call):
    answer = getattr(world.admin, call)(f"{world.tasks_path}/{MISSING}")
    assert answer.error == (404, "DMS.00404001")
    assert MISSING in answer.message


def test_a_task_is_found_under_its_own_instance_only(world):
    task_id = world.submit()
    other = "4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"
    path = f"/v2/{world.project_id}/instances/{other}/tasks/{task_id}"
    assert world.admin.get(path).error == (404, "DMS.00404001")
    assert world.admin.delete(path).error == (404, "DMS.00404001")
    assert world.admin.get(f"{path}/progress").error == (404, "DMS.00404001")


def test_lists_of_a_missing_instance_say_so(world):
    path = f"/v2/{world.project_id}/instances/4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"
    for name in ("tasks", "scheduled-tasks"):
        assert world.admin.get(f"{path}/{name}").error == (404, "DMS.00404022")


def test_only_capacity_expansion_has_a_progress(world):
    for body in ({"publicip_id": "a", "public_boundwidth": 1}, {"eip_address": ""}):
        task_id = world.bind(**body)
        refused = world.admin.get(f"{world.tasks_path}/{task_id}/progress")
        assert refused.error == (400, "DMS.00400800")
        assert task_id in refused.message
        world.run_until_idle()
        again = world.admin.get(f"{world.tasks_path}/{task_id}/progress")
        assert again.error == (400, "DMS.00400800")


def test_a_viewer_may_read_it_all(world):
    task_id = world.submit()
    viewer = world.caller(Role.VIEWER)
    assert viewer.get(f"{world.tasks_path}/{task_id}").status == 200
    assert viewer.get(world.tasks_path).status == 200
    assert viewer.get(world.scheduled_path).status == 200
