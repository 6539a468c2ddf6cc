import re
import subprocess
import sys

import pytest
from tests.support.person import Person

from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import TaskSearch

PAGES = ("/console/tasks", "/console/instances", "/console/overview", "/console/instances/new")


def test_every_answer_has_a_strict_policy_and_an_id(world, admin):
    for target in (*PAGES, "/console/nothing", "/console/static/console.css", "/console/sign-in"):
        headers = admin.get(target).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])


def pages_of(world, admin):
    task_id = world.submit()
    world.run_until_idle()
    instance = f"/console/instances/{world.instance.id}"
    forms = (
        "bind",
        "restart",
        "extend",
        "configs",
        "auto-topics",
        "new-topic",
        "reassign",
        "delete",
    )
    task = f"/console/tasks/{task_id}"
    targets = [*PAGES, task, f"{task}/retry", f"{task}/delete", instance]
    targets += [f"{instance}/{name}" for name in forms]
    targets += ["/console/tasks/bulk?action=cancel", "/console/sign-in"]
    return {target: admin.get(target) for target in targets}


def test_no_page_has_a_script_or_a_style_of_its_own(world, admin):
    for target, page in pages_of(world, admin).items():
        assert page.status in (200, 303), target
        for tag, given in page.attributes:
            assert "style" not in given, (target, tag)
            assert not [name for name in given if name.startswith("on")], (target, tag)
            assert tag != "style", target
            if tag == "script":
                assert given["src"].startswith("/console/static/"), target
            for name in ("src", "href", "action"):
                assert not given.get(name, "").startswith(("http", "//", "javascript")), target


def test_ids_on_a_page_are_not_given_twice(world, admin):
    for target, page in pages_of(world, admin).items():
        assert len(set(page.ids)) == len(page.ids), target


def test_every_form_that_changes_something_has_the_token(world, admin):
    for target, page in pages_of(world, admin).items():
        for form in page.forms:
            if form.method == "post":
                assert dict(form.fields).get("csrf"), (target, form.action)


@pytest.mark.parametrize("csrf", [[], [("csrf", "")], [("csrf", "0" * 40)], [("csrf", "ä")]])
def test_a_form_without_the_token_changes_nothing(world, admin, csrf):
    task_id = world.submit()
    for target in (
        f"/console/tasks/{task_id}/cancel",
        "/console/tasks/bulk",
        "/console/tasks/selected",
        f"/console/instances/{world.instance.id}/delete",
        "/console/instances/new",
        "/console/sign-out",
        "/console/preferences",
    ):
        fields = [*csrf, ("action", "cancel"), ("id", task_id), ("sure", "1")]
        assert admin.post(target, fields).status == 403, target
    assert world.show(task_id)["status"] == "CREATED"
    assert admin.get("/console/tasks").status == 200


def test_the_token_of_another_session_is_no_good(world, admin):
    other = Person(world).sign_in()
    task_id = world.submit()
    form = other.get(f"/console/tasks/{task_id}/cancel").form(f"/console/tasks/{task_id}/cancel")
    assert admin.send(form).status == 403


def test_static_files_are_kept_and_pages_are_not(admin):
    page = admin.get("/console/tasks")
    assert page.headers["cache-control"] == "no-store"
    sources = [given["src"] for tag, given in page.attributes if tag == "script"]
    assert len(sources) == 2
    for source in sources:
        assert "immutable" in admin.get(source).headers["cache-control"]
    assert admin.get("/console/static/../texts.py").status == 404
    assert admin.get("/console/static/%2e%2e/texts.py").status == 404


def test_vendored_files_come_with_their_licence(admin):
    assert b"Permission to use, copy, modify" in admin.get("/console/static/htmx.LICENSE.txt").body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/console/nothing", 404),
        ("/console/tasks/x", 400),
        ("/console/tasks/" + "0" * 32, 404),
        ("/console/tasks/" + "0" * 32 + "/explode", 404),
        ("/console/instances/x", 404),
        ("/console/instances/00000000-0000-0000-0000-000000000000", 404),
        ("/console/tasks?state=sleeping", 400),
        ("/console/tasks?from=yesterday", 400),
        ("/console/tasks?after=x", 400),
        ("/console/tasks?text=%00", 400),
        ("/console/tasks?text=" + "x" * 300, 400),
        ("/console/tasks?instance=x", 400),
        ("/console/tasks?text=%ff", 400),
        ("/console/tasks/export?format=xml", 400),
        ("/console/tasks/bulk?action=explode", 404),
        ("/console/instances?page=99999999999", 200),
        ("/console/live/x", 404),
        ("/console/tasks/", 404),
        ("/console/static", 404),
        ("/console/instances/%00", 404),
        ("/console/instances?name=%00", 400),
        ("/console/live?task=%00", 400),
    ],
)
def test_bad_input_is_told_and_never_breaks(admin, target, status):
    page = admin.get(target)
    assert page.status == status
    assert "500" not in page.text[:80]


def test_a_form_that_is_too_large_is_refused(admin):
    assert admin.post("/console/preferences", [("a", "x" * 300_000)]).status == 413


def test_who_leaves_in_the_middle_of_a_form_breaks_nothing(world, admin, caplog):
    assert admin.leave("/console/preferences") == 499
    assert "broke" not in caplog.text


def test_another_methods_are_refused(admin):
    assert admin.post("/console/tasks", []).status == 405
    assert admin._ask("DELETE", "/console/tasks", b"", {}).status == 405


def test_the_api_is_as_before(world):
    for path in ("/consol", "/consolefoo", "/console.html"):
        answer = world.admin.get(path)
        assert answer.status == 404
        assert answer.headers["content-type"] == "application/json"
    assert world.admin.get(world.tasks_path).status == 200


def test_another_projects_things_look_like_missing_ones(world, admin):
    task_id = world.submit()
    other = world.other_project()
    caller = world.caller(project_id=other)
    stranger = Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)
    missing = "0" * 32
    for suffix in ("", "/raw", "/cancel"):
        theirs = stranger.get(f"/console/tasks/{task_id}{suffix}")
        nobodys = stranger.get(f"/console/tasks/{missing}{suffix}")
        assert theirs.status == nobodys.status == 404
        assert (
            theirs.text.replace(task_id, missing).split("Request id")[0]
            == (nobodys.text.split("Request id")[0])
        )
    assert stranger.get(f"/console/instances/{world.instance.id}").status == 404
    listed = stranger.get(f"/console/tasks?instance={world.instance.id}")
    assert task_id[:8] not in listed.text
    assert "0 tasks" in listed.text
    assert task_id not in stranger.get("/console/tasks/export?format=json").html


def test_a_store_that_is_away_is_told(world, admin, monkeypatch):
    async def away(*_):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(world.backroom.account_store, "token", away)
    page = admin.get("/console/tasks")
    assert page.status == 503
    assert "DMS" in page.text or "APIGW" in page.text
    assert page.forms == []


def test_a_page_that_breaks_is_told_with_its_request_id(world, admin, monkeypatch, caplog):
    async def broken(*_):
        raise ZeroDivisionError("a secret in a trace")

    monkeypatch.setattr(world.backroom.service, "search", broken)
    page = admin.get("/console/tasks")
    assert page.status == 500
    assert page.headers["x-request-id"] in page.text
    assert "ZeroDivisionError" not in page.html
    assert "page broke" in caplog.text


def test_no_secret_is_on_a_page(world, admin):
    form = admin.get("/console/instances/new").form("/console/instances/new")
    answer = admin.send(form, name="kafka-secret", access_user="ann-user", password="Sesame-12345")
    assert answer.status == 303
    world.run_until_idle()
    task_id = world.do(_newest(world))
    for target in (
        answer.headers["location"], f"/console/tasks/{task_id}", f"/console/tasks/{task_id}/raw",
        "/console/tasks/export?format=json", "/console/tasks",
    ):  # fmt: skip
        assert "Sesame" not in admin.get(target).html
    refused = admin.send(form, name="x", access_user="ann-user", password="Sesame-12345")
    assert refused.status == 400
    assert "Sesame" not in refused.html


async def _newest(world):
    found = await world.backroom.service.search(TaskSearch(project_id=world.project_id), None, 1)
    return found.tasks[0].id


def test_a_start_doesnt_wait_for_the_console():
    """Imported by the first request below /console, in a thread."""
    command = "import sys, backroom.server; print({'starlette', 'jinja2'} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", command], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert printed == "set()\n"
