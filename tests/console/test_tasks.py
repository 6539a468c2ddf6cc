"""The list of tasks and one task, as a person sees them."""

import csv
import io
import json
import re
from urllib.parse import urlencode

import pytest
from tests.support.person import Person

from backroom.console import exports, searching
from backroom.domain.ids import InstanceId
from backroom.store import postgres_figures, postgres_finder, sqlite_figures, sqlite_finder

LIST = "/console/tasks"


def fail(world):
    """A task that fails, and the instance as it was before."""
    task_id = world.submit()
    world.lose_brokers()
    world.run_until_idle()
    return task_id


def listed(page):
    found = [re.fullmatch(r"/console/tasks/([0-9a-f]{32})", link) for link in page.links]
    return [match[1] for match in found if match]


def test_the_list_shows_newest_first_with_the_exact_total(world, admin):
    made = []
    for _ in range(3):
        made.insert(0, world.submit())
        world.clock.move(seconds=1)
    page = admin.get(LIST)
    assert listed(page) == made
    assert "3 tasks" in page.text
    assert "Bind public IP" in page.text
    assert "kafka-demo" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=waiting", True),
        ("state=waiting&state=running", True),
        ("state=failed", False),
        ("name=bindInstancePublicIp", True),
        ("name=deleteInstance", False),
        ("user=backroom", True),
        ("user=nobody", False),
        ("text=eip-7", True),
        ("text=eip-8", False),
        ("kind=background", True),
        ("kind=scheduled", False),
        ("from=2026-03-04T05:06Z&to=2026-03-04T05:07Z", True),
        ("from=2026-03-04T05:06", True),
        ("from=2026-03-04T13:06:00%2B08:00&to=2026-03-04T13:07:00%2B08:00", True),
        ("to=2026-03-04T05:06Z", False),
        ("state=&name=&user=&text=&from=&to=&instance=", True),
    ],
)
def test_filters_are_in_the_url(world, admin, query, found):
    task_id = world.submit(publicip_id="eip-7")
    page = admin.get(f"{LIST}?{query}")
    assert page.status == 200
    assert listed(page) == ([task_id] if found else [])
    total = admin.get(f"{LIST}/total?{query}")
    assert ("1 task" if found else "0 tasks") in total.text
    again = admin.send(page.form(LIST))  # what the filters' form would ask for is the same
    assert again.status in (200, 405)
    fields = dict(page.form(LIST).fields)
    for name, value in (pair.split("=") for pair in query.split("&")):
        if name in ("state", "name", "user", "text", "kind") and value:
            assert name in fields


def test_an_instances_tasks_are_listed_under_its_name(world, admin):
    task_id = world.submit()
    page = admin.get(f"{LIST}?instance={world.instance.id}")
    assert "Tasks of kafka-demo" in page.text
    assert listed(page) == [task_id]
    other = InstanceId("00000000-0000-4000-8000-000000000000")
    assert listed(admin.get(f"{LIST}?instance={other}")) == []


def test_pages_joined_give_everything_once(world, admin, monkeypatch):
    monkeypatch.setattr(searching, "PAGE", 2)
    made = [world.submit() for _ in range(5)]
    seen, target = [], LIST
    while target:
        page = admin.get(target)
        seen += listed(page)
        assert "5 tasks" in page.text
        target = next((link for link in page.links if "after=" in link), "")
    assert sorted(seen) == sorted(made)


def test_a_rare_match_is_looked_for_a_while_and_then_further_back(world, admin, monkeypatch):
    for module in (sqlite_finder, postgres_finder):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", 1)
    monkeypatch.setattr(searching, "PATIENCE_S", -1)
    task_id = world.submit(publicip_id="eip-1")
    world.submit(publicip_id="eip-2")
    page = admin.get(f"{LIST}?text=eip-1")
    assert listed(page) == []
    assert "Few match" in page.text
    older = next(link for link in page.links if "after=" in link)
    assert listed(admin.get(older)) == [task_id]


def test_a_total_that_takes_long_is_asked_for_by_itself_and_exact(world, admin, monkeypatch):
    for module in (sqlite_figures, postgres_figures):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", 2)
    for number in range(5):
        world.submit(publicip_id=f"eip-{number % 2}")
    page = admin.get(f"{LIST}?text=eip-0")
    assert "counting" in page.text
    (target,) = [
        given["hx-get"] for _, given in page.attributes if "/total" in given.get("hx-get", "")
    ]
    assert "3 tasks" in admin.get(target).text


def test_what_was_written_is_shown_and_never_run(world, admin):
    nasty = "<script>alert(1)</script>\"'&{{7*7}}"
    task_id = world.submit(publicip_id=nasty)
    form = admin.get(f"{LIST}/{task_id}/cancel").form(f"{LIST}/{task_id}/cancel")
    admin.send(form, reason=nasty)
    for target in (LIST, f"{LIST}/{task_id}", f"{LIST}?{urlencode({'text': nasty})}"):
        page = admin.get(target)
        assert "<script>alert" not in page.html
        assert "49}}" not in page.html
    assert nasty in admin.get(LIST).text
    assert "&lt;script&gt;" in admin.get(f"{LIST}/{task_id}").html


def test_a_waiting_task_says_why_it_waits(world, admin):
    first, second = world.submit(), world.submit()
    world.begin()
    page = admin.get(f"{LIST}/{second}")
    assert "1 tasks of this instance come before it" in page.text
    assert f"{LIST}/{first}" in page.links
    assert "Why it waits" not in admin.get(f"{LIST}/{first}").text


def test_a_finished_task_shows_all_there_is(world, admin):
    task_id = world.submit()
    world.run_until_idle()
    page = admin.get(f"{LIST}/{task_id}")
    for words in (
        "Bind public IP", "succeeded", "attach_address", "publish_address", "Attempt 1",
        "public_access.bandwidth_mbit_per_s", "completed", "Asked by backroom", task_id,
    ):  # fmt: skip
        assert words in page.text, words
    record = admin.get(f"{LIST}/{task_id}/raw")
    assert (
        json.loads(record.body)
        == world.admin.get(f"/backroom/v1/{world.project_id}/tasks/{task_id}").json
    )


def test_a_failed_task_shows_its_error_and_its_attempts(world, admin):
    task_id = fail(world)
    page = admin.get(f"{LIST}/{task_id}")
    assert "failed" in page.text
    assert "Error" in page.text
    assert "Retry" in page.text
    record = json.loads(admin.get(f"{LIST}/{task_id}/raw").body)
    assert record["error_code"] in page.text


def test_traces_are_for_admins_only(world, admin, viewer):
    task_id = fail(world)
    attempts = json.loads(viewer.get(f"{LIST}/{task_id}/raw").body)["attempts"]
    assert all(attempt["trace"] is None for attempt in attempts)
    assert viewer.get(f"{LIST}/{task_id}").text.count("Trace") == 0


def test_times_are_given_as_exact_utc(world, admin):
    world.submit()
    page = admin.get(LIST)
    times = [given["datetime"] for tag, given in page.attributes if tag == "time"]
    assert times == ["2026-03-04T05:06:07.008Z"]
    assert "2026-03-04 05:06:07" in page.text


def test_exports_have_what_is_filtered(world, admin):
    one = world.submit(publicip_id="eip-1")
    world.submit(publicip_id="eip-2")
    page = admin.get(f"{LIST}?text=eip-1")
    for form in ("csv", "json"):
        (target,) = [link for link in page.links if f"format={form}" in link]
        assert "text=eip-1" in target
        answer = admin.get(target)
        assert answer.status == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        if form == "json":
            rows = json.loads(answer.body)
            assert rows[0]["params"]["public_ip_id"] == "eip-1"
        else:
            rows = list(csv.DictReader(io.StringIO(answer.html)))
        assert [row["id"] for row in rows] == [one]
        assert rows[0]["created_at"] == "2026-03-04T05:06:07.008Z"


def test_an_export_of_nothing_is_whole(admin):
    assert json.loads(admin.get(f"{LIST}/export?format=json&state=failed").body) == []
    assert admin.get(f"{LIST}/export?format=csv&state=failed").html.count("\n") == 1


def test_an_export_runs_over_many_batches(world, admin, monkeypatch):
    monkeypatch.setattr(exports, "BATCH", 2)
    made = [world.submit() for _ in range(5)]
    rows = json.loads(admin.get(f"{LIST}/export?format=json").body)
    assert sorted(row["id"] for row in rows) == sorted(made)


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-1", "@x", "\t=1", "\uff1d1", "a;=1"])
def test_no_cell_of_a_csv_is_a_formula(world, admin, nasty):
    task_id = world.submit()
    form = admin.get(f"{LIST}/{task_id}/cancel").form(f"{LIST}/{task_id}/cancel")
    admin.send(form, reason=f"{nasty}")
    world.user(nasty.strip(), "a password")
    text = admin.get(f"{LIST}/export?format=csv").html
    (row,) = csv.DictReader(io.StringIO(text))
    assert not any(
        (cell or "").startswith(("=", "+", "-", "@", "\t", "\uff1d")) for cell in row.values()
    )
    assert f'"{row["reason"]}"' in text


def test_a_csv_holds_nothing_that_a_terminal_obeys(world, admin):
    task_id = world.submit()
    form = admin.get(f"{LIST}/{task_id}/cancel").form(f"{LIST}/{task_id}/cancel")
    admin.send(form, reason="a\x1b[31mb\x9bc\u202ed\ne")
    text = admin.get(f"{LIST}/export?format=csv").html
    assert r"a\x1b[31mb\x9bc\u202ed" in text
    assert all(letter.isprintable() or letter in "\r\n" for letter in text)


def test_a_first_page_is_small(world, admin):
    for number in range(60):
        world.submit(publicip_id=f"eip-{number}")
    page = admin.get(LIST)
    sources = [given["src"] for tag, given in page.attributes if tag in ("script", "img")]
    sources += [given["href"] for tag, given in page.attributes if tag == "link"]
    size = len(page.body) + sum(len(admin.get(source).body) for source in set(sources))
    assert len(listed(page)) == 50
    assert size < 150_000


def test_a_viewer_sees_no_button_that_would_be_refused(world, viewer):
    task_id = fail(world)
    waiting = Person(world).sign_in()
    assert waiting.get(f"{LIST}/{task_id}").status == 200
    instance = f"/console/instances/{world.instance.id}"
    for target in (LIST, f"{LIST}/{task_id}", instance, "/console/instances", "/console/overview"):
        page = viewer.get(target)
        assert page.status == 200
        actions = {form.action for form in page.forms if form.method == "post"}
        assert actions <= {"/console/preferences", "/console/sign-out", "/console/tasks/selected"}
        buttons = {name for form in page.forms for name, _ in form.buttons}
        assert "action" not in buttons
        for link in page.links:
            is_look = link.endswith("/raw")
            assert is_look or not link.startswith((f"{LIST}/{task_id}/", f"{instance}/"))
            assert link != "/console/instances/new"
    for target in (
        f"{LIST}/{task_id}/retry", f"{LIST}/{task_id}/delete", f"{LIST}/bulk?action=retry",
        f"{instance}/restart", f"{instance}/configs", "/console/instances/new",
    ):  # fmt: skip
        page = viewer.get(target)
        assert page.status == 403, target
        assert "DMS.00403002" in page.text
        csrf = dict(viewer.get(LIST).form("/console/sign-out").fields)["csrf"]
        fields = [("csrf", csrf), ("action", "retry"), ("id", task_id), ("sure", "1")]
        assert viewer.post(target.partition("?")[0], fields).status == 403, target
    assert json.loads(viewer.get(f"{LIST}/{task_id}/raw").body)["state"] == "failed"
