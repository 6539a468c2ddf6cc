"""The native API over HTTP: records, searches, cancel, retry, bulk actions."""

import json

import pytest
from tests.support.bodies import CREATE_BODY

from backroom.domain.account import Role

MISSING = "0" * 32


def native(world, path=""):
    return f"/backroom/v1/{world.project_id}{path}"


def task_path(world, task_id, action=""):
    return native(world, f"/tasks/{task_id}{action}")


def shown(world, task_id, caller=None):
    return (caller or world.admin).get(task_path(world, task_id)).json


def cancel(world, task_id, caller=None, **body):
    return (caller or world.admin).post(task_path(world, task_id, "/cancel"), body)


def retry(world, task_id, caller=None, **body):
    return (caller or world.admin).post(task_path(world, task_id, "/retry"), body)


def search(world, query="", caller=None):
    return (caller or world.admin).get(native(world, f"/tasks{query}"))


def ids_of(answer):
    assert answer.status == 200, answer.body
    return [task["id"] for task in answer.json["tasks"]]


# the record


def test_record_tells_the_whole_story(world):
    task_id = world.bind(publicip_id="eip-1", public_boundwidth=5)
    behind = world.submit()
    first = shown(world, task_id)
    assert (first["state"], first["version"], first["attempt"]) == ("waiting", 1, 0)
    assert first["waits"]["why"] == "worker"
    assert shown(world, behind)["waits"] == {
        "why": "lane", "holder": None, "ahead": 1, "ahead_names": ["bindInstancePublicIp"],
        "due_at": None, "expected_at": None,
    }  # fmt: skip
    world.begin()
    holder = shown(world, behind)["waits"]["holder"]
    assert holder == {"id": task_id, "name": "bindInstancePublicIp"}
    world.run_until_idle()
    record = shown(world, task_id)
    assert (record["state"], record["name"]) == ("succeeded", "bindInstancePublicIp")
    assert record["params"]["public_ip_id"] == "eip-1"
    assert record["waits"] is None
    assert record["progress"] == {"percent": 100, "remaining_s": 0}
    assert [step["name"] for step in record["steps"]] == ["attach_address", "publish_address"]
    assert record["steps"][0]["output"] == [record["params"]["public_ip_address"]]
    assert [attempt["outcome"] for attempt in record["attempts"]][-1] == "succeeded"
    assert "public_access" in record["changed"]
    assert record["before"]["public_access"] is None
    assert record["after"]["public_access"]["address_ids"] == ["eip-1"]
    assert record["created_at"] <= record["started_at"] <= record["ended_at"]
    assert record["request_id"]


def test_record_shows_no_secret(world):
    body = {"password": "Hush_Hush_123", "access_user": "root", "ssl_enable": True}
    created = world.admin.post(world.create_path, {**CREATE_BODY, **body})
    assert created.status == 200, created.body
    world.run_until_idle()
    (found,) = search(world, "?name=createInstance").json["tasks"]
    answers = [
        world.admin.get(task_path(world, found["id"])),
        world.admin.get(task_path(world, found["id"], "/events")),
        search(world),
    ]
    for answer in answers:
        assert answer.status == 200
        assert b"Hush" not in answer.body


def test_record_is_not_sent_again_when_the_client_has_it(world):
    task_id = world.submit()
    first = world.admin.get(task_path(world, task_id))
    tag = [("If-None-Match", first.headers["etag"])]
    same = world.admin.get(task_path(world, task_id), headers=tag)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    world.submit()
    assert world.admin.get(task_path(world, task_id), headers=tag).status == 304
    world.begin()
    assert world.admin.get(task_path(world, task_id), headers=tag).status == 200


def test_trace_is_shown_to_admins_only(world, monkeypatch):
    task_id = world.submit()

    async def broken(*_):
        raise ZeroDivisionError("1/0")

    monkeypatch.setattr(world.backroom.platform, "attach_public", broken)
    world.run_until_idle()
    for caller, has_trace in ((world.admin, True), (world.caller(Role.OPERATOR), False)):
        attempts = shown(world, task_id, caller)["attempts"]
        assert all("ZeroDivisionError" in attempt["error"] for attempt in attempts)
        assert [attempt["trace"] is not None for attempt in attempts] == [has_trace] * len(attempts)
    assert shown(world, task_id)["error_msg"] == "ZeroDivisionError: 1/0"


# the search


@pytest.fixture
def several(world):
    """A success, a cancelled, a schedule and a waiting one, newest last, a minute apart."""
    ids = [world.submit()]
    world.run_until_idle()
    world.clock.move(minutes=1)
    ids.append(world.submit(publicip_id="eip-sought"))
    assert cancel(world, ids[-1]).status == 202
    world.clock.move(minutes=1)
    ids.append(world.submit(world.clock.now().replace(year=2030)))
    world.clock.move(minutes=1)
    ids.append(world.submit())
    return ids


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", [3, 2, 1, 0]),
        ("?state=waiting", [3, 2]),
        ("?state=succeeded,cancelled", [1, 0]),
        ("?kind=scheduled", [2]),
        ("?kind=bulk", []),
        ("?name=bindInstancePublicIp&state=waiting&kind=background", [3]),
        ("?name=unbindInstancePublicIp", []),
        ("?user=backroom", [3, 2, 1, 0]),
        ("?user=nobody", []),
        ("?text=eip-sought", [1]),
        ("?created_from=2026-03-04T05:07:00Z&created_to=2026-03-04T05:08:30%2B00:00", [2, 1]),
        ("?limit=1", [3]),
        ("?state=", [3, 2, 1, 0]),
    ],
)
def test_search_finds_what_is_asked_for_newest_first(world, several, query, wanted):
    assert ids_of(search(world, query)) == [several[at] for at in wanted]


def test_search_finds_tasks_of_one_instance(world, several):
    assert ids_of(search(world, f"?instance_id={world.instance.id}")) == several[::-1]
    assert ids_of(search(world, "?instance_id=00000000-0000-4000-8000-000000000000")) == []


def test_search_goes_on_where_it_was_whatever_is_added(world, several):
    seen, query = [], "?limit=1"
    while True:
        page = search(world, query)
        seen += ids_of(page)
        world.submit()
        if page.json["cursor"] is None:
            break
        query = f"?limit=1&cursor={page.json['cursor']}"
    assert seen == several[::-1]


def test_cursor_of_another_search_is_refused(world, several):
    cursor = search(world, "?limit=1&state=waiting").json["cursor"]
    assert search(world, f"?limit=2&state=waiting&cursor={cursor}").status == 200
    for query in (
        f"?cursor={cursor}",
        f"?state=failed&cursor={cursor}",
        "?cursor=x",
        "?cursor=e30",
    ):
        assert search(world, query).error == (400, "DMS.00400062")


@pytest.mark.parametrize(
    "query", ["?state=FAILED", "?limit=0", "?limit=101", "?sate=failed", "?created_from=today",
              "?kind=x", "?instance_id=x", "?state=failed&state=failed"],
)  # fmt: skip
def test_search_with_a_mistake_is_refused(world, query):
    assert search(world, query).error == (400, "DMS.00400062")


# cancel


def test_cancelled_task_shows_failed_on_v2_and_cancelled_with_its_reason_here(world):
    task_id = world.bind()
    answer = cancel(world, task_id, reason="wrong instance")
    assert (answer.status, answer.json["task_id"], answer.json["state"]) == (
        202, task_id, "cancelled",
    )  # fmt: skip
    assert world.show(task_id)["status"] == "FAILED"
    record = shown(world, task_id)
    assert (record["state"], record["error_msg"]) == ("cancelled", "wrong instance")
    events = world.admin.get(task_path(world, task_id, "/events")).json["events"]
    assert (events[-1]["verb"], events[-1]["detail"]) == ("cancel", "wrong instance")
    assert cancel(world, task_id).error == (400, "DMS.00400800")
    assert "cancelled" in cancel(world, task_id).message


def test_cancelled_schedule_shows_cancelled_everywhere(world):
    task_id = world.submit(world.clock.now().replace(year=2030))
    assert cancel(world, task_id).status == 202
    (job,) = world.admin.get(world.scheduled_path).json["jobs"]
    assert job["status"] == "CANCELLED"
    assert shown(world, task_id)["state"] == "cancelled"


def test_running_task_is_asked_and_stops(world):
    task_id = world.bind()
    world.begin()
    answer = cancel(world, task_id)
    assert (answer.status, answer.json["state"]) == (202, "running")
    assert answer.json["cancel_asked_at"]
    assert world.show(task_id)["status"] == "CREATED"
    world.clock.move(seconds=1)
    again = cancel(world, task_id)
    assert (again.status, again.json) == (202, answer.json)
    world.run_until_idle()
    assert world.show(task_id)["status"] == "FAILED"
    assert shown(world, task_id)["state"] == "cancelled"


def test_cancel_needs_no_body_but_takes_no_other(world):
    task_id = world.submit()
    path = task_path(world, task_id, "/cancel")
    for body in (b"[]", b"{", b'{"resaon": "x"}', b'{"reason": 7}'):
        assert world.admin.call("POST", path, body).error == (400, "DMS.00400005")
    too_long = json.dumps({"reason": "x" * 1001}).encode()
    assert world.admin.call("POST", path, too_long).error == (400, "DMS.00400062")
    assert shown(world, task_id)["state"] == "waiting"
    assert world.admin.call("POST", path).status == 202


# retry


def test_retry_of_a_failed_task_is_linked_to_it(world, monkeypatch):
    task_id = world.bind()
    with monkeypatch.context() as patch:

        async def broken(*_):
            raise ZeroDivisionError

        patch.setattr(world.backroom.platform, "attach_public", broken)
        world.run_until_idle()
    assert world.show(task_id)["status"] == "FAILED"
    answer = retry(world, task_id, from_step=True, reason="mended")
    assert answer.status == 202
    made = answer.json["task_id"]
    assert world.newest()["id"] == made
    record = shown(world, made)
    assert (record["parent_id"], record["reason"]) == (task_id, "mended")
    world.run_until_idle()
    assert world.show(made)["status"] == "SUCCESS"


def test_retry_of_what_has_not_failed_is_refused(world):
    task_id = world.submit()
    assert retry(world, task_id).error == (400, "DMS.00400800")
    world.run_until_idle()
    refused = retry(world, task_id)
    assert refused.error == (400, "DMS.00400800")
    assert "succeeded" in refused.message


def test_retry_meets_a_clear_conflict(world):
    task_id = world.submit()
    cancel(world, task_id)
    world.admin.delete(world.instance_path)
    refused = retry(world, task_id)
    assert refused.error == (400, "DMS.00400026")
    assert "DELETING" in refused.message


# bulk


def bulk(world, action, caller=None, **body):
    return (caller or world.admin).post(native(world, f"/tasks/bulk-{action}"), body)


def test_bulk_cancel_and_bulk_retry_are_tasks_of_their_own(world):
    ids = [world.submit() for _ in range(3)]
    answer = bulk(world, "cancel", filter={"name": "bindInstancePublicIp"}, reason="a drill")
    assert answer.status == 202
    world.run_until_idle()
    record = shown(world, answer.json["task_id"])
    assert (record["kind"], record["name"], record["state"]) == ("bulk", "bulkCancel", "succeeded")
    assert record["params"] == {"filter": {"name": "bindInstancePublicIp"}, "task_count": 3}
    done = sum(shown(world, task_id)["state"] == "cancelled" for task_id in ids)
    told = record["steps"][-1]["output"]
    assert (told["done"], told["skipped"]) == (done, 3 - done)
    world.clock.move(seconds=1)
    again = bulk(world, "retry", filter={"state": "cancelled"}).json["task_id"]
    world.run_until_idle()
    assert shown(world, again)["steps"][-1]["output"]["done"] == done
    states = [task["state"] for task in search(world, "?kind=background").json["tasks"]]
    assert states.count("succeeded") == 3


def test_bulk_delete_clears_what_has_ended_and_nothing_else(world):
    done = world.submit()
    world.run_until_idle()
    waiting = world.submit()
    answer = bulk(world, "delete", filter={"name": "bindInstancePublicIp"}, reason="tidying")
    assert answer.status == 202
    world.run_until_idle()
    record = shown(world, answer.json["task_id"])
    assert (record["kind"], record["name"], record["state"]) == ("bulk", "bulkDelete", "succeeded")
    assert record["params"]["task_count"] == 1
    assert record["steps"][-1]["output"] == {"done": 1, "skipped": 0, "reasons": []}
    assert world.admin.get(f"/backroom/v1/{world.project_id}/tasks/{done}").status == 404
    assert shown(world, waiting)["state"] == "succeeded"


def test_v2_shows_no_bulk_task(world):
    task_id = bulk(world, "cancel", filter={"state": "running"}).json["task_id"]
    assert world.admin.get(world.tasks_path).json["tasks"] == []
    assert world.admin.get(f"{world.tasks_path}/{task_id}").error == (404, "DMS.00404001")
    of_project = f"/v2/{world.project_id}/instances/{world.project_id}/tasks"
    assert world.admin.get(of_project).error == (400, "DMS.00400030")


def test_bulk_over_the_limit_is_refused_with_nothing_written(world, monkeypatch):
    monkeypatch.setattr("backroom.service.bulk_tasks.BULK_MOST", 2)
    for _ in range(3):
        world.submit()
    before = world.dump()
    refused = bulk(world, "cancel", filter={"state": "waiting"})
    assert refused.error == (400, "DMS.00400062")
    assert "at most 2 tasks" in refused.message
    assert world.dump()["tasks"] == before["tasks"]
    assert world.dump()["events"] == before["events"]


@pytest.mark.parametrize(
    ("action", "state"), [("cancel", "waiting"), ("retry", "cancelled"), ("delete", "cancelled")]
)
def test_bulk_that_finds_more_than_was_counted_is_refused_with_nothing_written(
    world, action, state
):
    ids = [world.submit() for _ in range(3)]
    if state == "cancelled":
        for task_id in ids:
            cancel(world, task_id)
    found = len(search(world, f"?state={state}").json["tasks"])
    before = world.dump()
    refused = bulk(world, action, filter={"state": state}, most=found - 1)
    assert refused.error == (400, "DMS.00400062")
    assert f"most is {found - 1}, and more tasks match" in refused.message
    assert world.dump()["tasks"] == before["tasks"]
    assert world.dump()["events"] == before["events"]
    assert bulk(world, action, filter={"state": state}, most=found).status == 202


@pytest.mark.parametrize(
    ("action", "body", "error"),
    [
        ("cancel", {}, "DMS.00400005"),
        ("cancel", {"filter": {"state": "waiting"}, "most": 0}, "DMS.00400005"),
        ("retry", {"filter": {"state": "failed"}, "most": 10_001}, "DMS.00400005"),
        ("delete", {"filter": {"state": "failed"}, "most": "1"}, "DMS.00400005"),
        ("delete", {"filter": {"state": "failed", "instance_id": ""}}, "DMS.00400062"),
        ("cancel", {"filter": {"name": ","}}, "DMS.00400062"),
        ("cancel", {"filter": {}}, "DMS.00400062"),
        ("cancel", {"filter": {"sate": "waiting"}}, "DMS.00400005"),
        ("cancel", {"filter": {"state": "sleeping"}}, "DMS.00400062"),
        ("cancel", {"filter": {"state": "failed"}}, "DMS.00400062"),
        ("cancel", {"filter": {"state": ["waiting"]}}, "DMS.00400005"),
        ("cancel", {"filter": {"state": "waiting"}, "from_step": True}, "DMS.00400005"),
        ("cancel", {"filter": {"state": "waiting"}, "reason": "x" * 1001}, "DMS.00400062"),
        ("retry", {"filter": {"state": "waiting"}}, "DMS.00400062"),
        ("delete", {"filter": {"state": "running"}}, "DMS.00400062"),
        ("delete", {"filter": {"state": "failed"}, "from_step": True}, "DMS.00400005"),
        ("retry", {"filter": {"state": "failed"}, "from_step": "yes"}, "DMS.00400005"),
    ],
)
def test_bulk_with_a_mistake_is_refused_with_nothing_written(world, action, body, error):
    task_id = world.submit()
    before = world.dump()["tasks"]
    assert bulk(world, action, **body).error == (400, error)
    assert world.dump()["tasks"] == before
    assert shown(world, task_id)["state"] == "waiting"


# who may


def test_viewer_looks_and_changes_nothing(world):
    viewer = world.caller(Role.VIEWER)
    task_id = world.submit()
    assert ids_of(search(world, caller=viewer)) == [task_id]
    assert shown(world, task_id, viewer)["id"] == task_id
    before = world.dump()["tasks"]
    for refused in (
        cancel(world, task_id, viewer),
        retry(world, task_id, viewer),
        bulk(world, "cancel", viewer, filter={"state": "waiting"}),
        bulk(world, "retry", viewer, filter={"state": "failed"}),
        bulk(world, "delete", viewer, filter={"state": "failed"}),
    ):
        assert refused.error == (403, "DMS.00403002")
    assert world.dump()["tasks"] == before


@pytest.mark.parametrize("action", ["", "/events", "/cancel", "/retry"])
@pytest.mark.parametrize("names_own_project", [True, False])
def test_task_of_another_project_looks_missing(world, action, names_own_project):
    task_id = world.submit()
    other = world.other_project()
    stranger = world.caller(Role.ADMIN, other)
    project_id = other if names_own_project else world.project_id
    method = "POST" if action in ("/cancel", "/retry") else "GET"

    def asked(wanted):
        return stranger.call(method, f"/backroom/v1/{project_id}/tasks/{wanted}{action}")

    theirs, missing = asked(task_id), asked(MISSING)
    assert theirs.status == missing.status == 404
    assert theirs.without_request_id == missing.without_request_id.replace(
        MISSING.encode(), task_id.encode()
    )
    assert shown(world, task_id)["state"] == "waiting"


def test_search_and_bulk_need_the_callers_own_project(world):
    world.submit()
    stranger = world.caller(Role.ADMIN, world.other_project())
    for refused in (
        search(world, caller=stranger),
        bulk(world, "cancel", stranger, filter={"state": "waiting"}),
        bulk(world, "retry", stranger, filter={"state": "failed"}),
    ):
        assert refused.error == (401, "DMS.10240104")


# what v2 gained


def test_v2_record_is_not_sent_again_while_nothing_has_changed(world):
    task_id = world.submit()
    path = f"{world.tasks_path}/{task_id}"
    first = world.admin.get(path)
    tag = [("If-None-Match", first.headers["etag"])]
    same = world.admin.get(path, headers=tag)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert "retry-after" in same.headers
    world.clock.move(seconds=1)
    world.begin()
    changed = world.admin.get(path, headers=tag)
    assert (changed.status, changed.json["tasks"][0]["id"]) == (200, task_id)
    world.run_until_idle()
    ended = world.admin.get(path, headers=[("If-None-Match", changed.headers["etag"])])
    assert ended.json["tasks"][0]["status"] == "SUCCESS"
    assert "retry-after" not in ended.headers


def test_v2_record_without_those_headers_is_what_it_was(world):
    task_id = world.submit()
    answer = world.admin.get(f"{world.tasks_path}/{task_id}")
    assert list(answer.json) == ["task_count", "tasks"]
    assert set(answer.headers) == {
        "x-request-id", "content-type", "content-length", "etag", "retry-after",
    }  # fmt: skip


def test_v2_says_when_to_ask_again_from_what_was_learnt(world, monkeypatch):
    async def durations(_name):
        return {"attach_address": 20.4, "publish_address": 4.0}

    path = f"{world.tasks_path}/{world.submit()}"
    assert world.admin.get(path).headers["retry-after"] == "1"
    world.clock.move(seconds=10)
    monkeypatch.setattr(world.backroom.finder, "durations", durations)
    assert world.admin.get(path).headers["retry-after"] == "15"
    world.clock.move(seconds=14)
    assert world.admin.get(path).headers["retry-after"] == "1"
    world.clock.move(seconds=600)
    assert world.admin.get(path).headers["retry-after"] == "1"


def test_v2_says_a_minute_at_most(world, monkeypatch):
    async def durations(_name):
        return {"attach_address": 3600.0}

    monkeypatch.setattr(world.backroom.finder, "durations", durations)
    path = f"{world.tasks_path}/{world.submit()}"
    assert world.admin.get(path).headers["retry-after"] == "60"
