import asyncio
import json
import logging

from prometheus_client.parser import text_string_to_metric_families
from tests.support.world import ask

from backroom.api import endings
from backroom.cli.logs import JsonFormatter, TextFormatter
from backroom.domain.errors import StoreUnavailable


def plain(world, path):
    """Whoever looks after servers asks without a client of the API."""
    return world.do(ask(world.backroom.application, "GET", path, b"", [], [b""], "1.1"))


def metrics(world):
    answer = plain(world, b"/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_health_needs_nobody_and_no_store(world, monkeypatch):
    async def away(*_asked):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.backroom.journal, "head", away)
    answer = world.nobody.get("/healthz")
    assert (answer.status, answer.json["status"]) == (200, "ok")


def test_readiness_follows_the_store(world, monkeypatch):
    assert world.nobody.get("/readyz").status == 200

    async def away(*_asked):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.backroom.journal, "head", away)
    answer = plain(world, b"/readyz")
    assert (answer.status, answer.json) == (503, {"status": "unavailable", "store": "gone"})


def test_requests_are_counted_by_call_and_status(world):
    world.admin.get(world.tasks_path)
    world.admin.get(world.tasks_path)
    world.admin.get(f"{world.tasks_path}/{'0' * 32}")
    world.nobody.get("/nowhere")
    seen = metrics(world)

    def count(operation, status):
        labels = (("operation", operation), ("status", status))
        return seen.get(("backroom_request_seconds_count", *labels))

    assert count("ListBackgroundTasks", "200") == 2
    assert count("ShowBackgroundTask", "404") == 1
    assert count("none", "404") == 1
    assert count("ListBackgroundTasks", "404") is None


def test_tasks_and_leases_are_measured(world):
    world.bind()
    world.bind()
    world.begin()
    world.clock.move(seconds=7)
    seen = metrics(world)
    name = ("name", "bindInstancePublicIp")
    assert seen["backroom_tasks", name, ("state", "running")] == 1
    assert seen["backroom_tasks", name, ("state", "waiting")] == 1
    assert seen["backroom_lanes",] == 1
    assert seen["backroom_lane_depth_max",] == 2
    assert seen["backroom_lease_age_seconds",] == seen["backroom_beat_age_seconds",] == 7
    world.run_until_idle()
    seen = metrics(world)
    assert ("backroom_tasks", name, ("state", "running")) not in seen
    assert seen["backroom_step_seconds", name, ("step", "attach_address")] > 0


def ended(world, name="bindInstancePublicIp"):
    seen = metrics(world)
    states = ("succeeded", "failed", "cancelled")
    labels = [(("name", name), ("state", state)) for state in states]
    return [seen["backroom_tasks_ended_total", *one] for one in labels]


def test_tasks_that_ended_are_counted_whoever_ran_them(world):
    world.bind()
    world.run_until_idle()
    assert ended(world) == [0, 0, 0]  # nobody had asked before
    first, second = world.bind(), world.bind()
    assert ended(world) == [0, 0, 0]
    path = f"/backroom/v1/{world.project_id}/tasks/{second}/cancel"
    assert world.admin.post(path, {}).status == 202
    world.run_until_idle()
    assert world.admin.delete(f"{world.tasks_path}/{first}").status == 204
    assert ended(world) == [1, 0, 1]
    world.lose_brokers()
    world.bind()
    world.run_until_idle()
    assert ended(world) == [1, 1, 1]
    assert ended(world) == [1, 1, 1]


def test_what_one_scrape_leaves_the_next_counts(world, monkeypatch):
    assert ended(world) == [0, 0, 0]
    world.bind()
    world.run_until_idle()
    head = world.do(world.backroom.journal.head(world.project_id)).sequence
    monkeypatch.setattr(endings, "AT_ONCE", 2)
    monkeypatch.setattr(endings, "MOST", head - 1)  # its end is the last
    assert ended(world) == [0, 0, 0]
    assert ended(world) == [1, 0, 0]


def test_scrapes_at_once_count_nothing_twice(world):
    assert ended(world) == [0, 0, 0]
    world.bind()
    world.run_until_idle()

    async def many():
        asked = ask(world.backroom.application, "GET", b"/metrics", b"", [], [b""], "1.1")
        again = ask(world.backroom.application, "GET", b"/metrics", b"", [], [b""], "1.1")
        await asyncio.gather(asked, again)

    world.do(many())
    assert ended(world) == [1, 0, 0]


def record(**fields):
    made = logging.LogRecord("backroom.engine", logging.WARNING, "", 0, "task %s", ("x",), None)
    vars(made).update(fields)
    return made


def test_a_log_line_for_programs_is_one_object_with_the_ids():
    line = JsonFormatter().format(record(request_id=None, task_id="t1", attempt=2, secret="s"))
    content = json.loads(line)
    assert content.pop("at").endswith("+00:00")
    assert content == {
        "level": "warning", "logger": "backroom.engine", "message": "task x", "task_id": "t1",
        "attempt": 2,
    }  # fmt: skip


def test_a_log_line_for_people_ends_with_the_ids():
    line = TextFormatter().format(record(request_id=None, task_id="t1"))
    assert line.endswith("WARNING backroom.engine: task x task_id=t1")
