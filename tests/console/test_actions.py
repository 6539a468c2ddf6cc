"""Cancel, retry, delete: one task, those ticked, and all that match."""

import json
from datetime import timedelta

import pytest

from backroom.console import bulk as bulk_module

LIST = "/console/tasks"


def shown(admin, task_id):
    return json.loads(admin.get(f"{LIST}/{task_id}/raw").body)


def act(admin, task_id, deed, **given):
    page = admin.get(f"{LIST}/{task_id}/{deed}")
    assert page.status == 200
    return admin.send(page.form(f"{LIST}/{task_id}/{deed}"), **given)


def fail(world):
    task_id = world.submit()
    world.lose_brokers()
    world.run_until_idle()
    return task_id


def test_a_waiting_task_is_cancelled_with_a_reason(world, admin):
    task_id = world.submit()
    page = admin.get(f"{LIST}/{task_id}/cancel")
    assert "It has not begun" in page.text
    answer = act(admin, task_id, "cancel", reason="not today")
    assert answer.headers["location"] == f"{LIST}/{task_id}"
    task = admin.follow(answer)
    assert "cancelled" in task.text
    assert "not today" in task.text


def test_a_running_task_is_asked_to_stop(world, admin):
    task_id = world.submit()
    world.begin()
    assert "It has begun" in admin.get(f"{LIST}/{task_id}/cancel").text
    task = admin.follow(act(admin, task_id, "cancel"))
    assert "stopping" in task.text
    assert f"{LIST}/{task_id}/cancel" not in task.links


def test_a_failed_task_is_retried_as_a_new_one(world, admin):
    task_id = fail(world)
    answer = act(admin, task_id, "retry", reason="brokers are back")
    page = admin.follow(answer)
    assert "The task was accepted." in page.text
    made = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    record = shown(admin, made)
    assert (record["parent_id"], record["reason"]) == (task_id, "brokers are back")


def test_a_retry_sent_twice_is_done_once(world, admin):
    task_id = fail(world)
    form = admin.get(f"{LIST}/{task_id}/retry").form(f"{LIST}/{task_id}/retry")
    answers = {admin.send(form).headers["location"] for _ in range(2)}
    assert len(answers) == 1


def test_retry_from_the_step_is_offered_where_a_step_succeeded(world, admin):
    task_id = world.submit()
    world.lose_brokers()
    world.run_until_idle()
    offered = f"{LIST}/{task_id}/retry-step" in admin.get(f"{LIST}/{task_id}").links
    assert offered == any(one["state"] == "succeeded" for one in shown(admin, task_id)["steps"])


def test_a_refused_retry_explains_the_conflict_in_place(world, admin):
    task_id = world.submit()
    form = admin.get(f"{LIST}/{task_id}/cancel").form(f"{LIST}/{task_id}/cancel")
    admin.send(form)
    restart = f"/console/instances/{world.instance.id}/restart"
    running = admin.send(admin.get(restart).form(restart)).headers["location"].partition("?")[0]
    refused = act(admin, task_id, "retry", reason="my words")
    assert refused.status == 409
    assert "Refused" in refused.text
    assert "RESTARTING" in refused.text
    assert "Restart instance" in refused.text
    assert running in refused.links
    assert ("reason", "my words") in refused.form(f"{LIST}/{task_id}/retry").fields
    world.run_until_idle()
    assert admin.send(refused.form(f"{LIST}/{task_id}/retry")).status == 303


def test_what_ended_meanwhile_is_told_and_nothing_changes(world, admin):
    task_id = world.submit()
    form = admin.get(f"{LIST}/{task_id}/cancel").form(f"{LIST}/{task_id}/cancel")
    world.run_until_idle()
    refused = admin.send(form)
    assert refused.status == 409
    assert "The task is now succeeded" in refused.text
    assert shown(admin, task_id)["state"] == "succeeded"


def test_a_record_is_deleted_after_a_confirmation(world, admin):
    task_id = world.submit()
    world.run_until_idle()
    assert "gone for good" in admin.get(f"{LIST}/{task_id}/delete").text
    answer = act(admin, task_id, "delete")
    assert answer.headers["location"] == LIST
    assert admin.get(f"{LIST}/{task_id}").status == 404


@pytest.mark.parametrize("reason", ["x" * 1001, "a\0b"])
def test_a_reason_that_is_no_good_is_refused(world, admin, reason):
    task_id = world.submit()
    assert act(admin, task_id, "cancel", reason=reason).status == 400
    assert shown(admin, task_id)["state"] == "waiting"


def test_those_ticked_are_treated_each_for_itself(world, admin):
    done = world.submit()
    world.run_until_idle()
    waiting = [world.submit(), world.submit()]
    form = admin.get(LIST).form(f"{LIST}/selected")
    page = admin.send(form, ("action", "cancel"), id=[done, *waiting])
    assert "3 tasks are selected" in page.text
    answer = admin.send(page.form(f"{LIST}/selected"), reason="a drill")
    assert answer.text.count("done") == 2
    assert "already succeeded" in answer.text
    assert [shown(admin, one)["state"] for one in (done, *waiting)] == [
        "succeeded", "cancelled", "cancelled",
    ]  # fmt: skip
    assert "a drill" in admin.get(f"{LIST}/{waiting[0]}").text
    again = admin.send(form, ("action", "retry"), id=[waiting[0]])
    made = admin.send(again.form(f"{LIST}/selected"))
    assert "new task" in made.text
    gone = admin.send(form, ("action", "delete"), id=[done])
    assert "done" in admin.send(gone.form(f"{LIST}/selected")).text
    assert admin.get(f"{LIST}/{done}").status == 404


def test_nothing_ticked_is_told(admin, world):
    world.submit()
    form = admin.get(LIST).form(f"{LIST}/selected")
    assert "No task is selected" in admin.send(form, ("action", "cancel")).text


@pytest.mark.parametrize(
    ("deed", "query", "name"),
    [
        ("cancel", "text=eip-1", "bulkCancel"),
        ("retry", "state=cancelled&text=eip-1", "bulkRetry"),
        ("delete", "text=eip-1", "bulkDelete"),
    ],
)
def test_all_that_match_are_treated_by_a_task_of_its_own(world, admin, deed, query, name):
    ids = [world.submit(publicip_id="eip-1") for _ in range(3)]
    other = world.submit(publicip_id="eip-2")
    if deed != "cancel":
        for task_id in ids:
            act(admin, task_id, "cancel")
    form = admin.get(f"{LIST}?{query}").form(f"{LIST}/selected")
    page = admin.send(form, ("action", deed), all="1", id=[ids[0]])
    assert "3 tasks match now" in page.text
    answer = admin.send(page.form(f"{LIST}/bulk"), reason="a drill")
    made = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    record = shown(admin, made)
    assert (record["kind"], record["name"], record["reason"]) == ("bulk", name, "a drill")
    assert record["params"]["filter"]["text"] == "eip-1"
    world.run_until_idle()
    assert shown(admin, made)["state"] == "succeeded"
    assert shown(admin, other)["state"] == "succeeded"
    assert shown(admin, made)["steps"][-1]["output"]["done"] >= 2


def test_a_bulk_task_sent_twice_is_one(world, admin):
    world.submit()
    form = admin.get(f"{LIST}/bulk?action=cancel&state=waiting").form(f"{LIST}/bulk")
    assert len({admin.send(form).headers["location"] for _ in range(2)}) == 1


def test_a_bulk_with_nothing_to_do_has_no_button(world, admin):
    world.submit()
    page = admin.get(f"{LIST}/bulk?action=retry&state=waiting")
    assert "Nothing matches" in page.text
    assert page.form(f"{LIST}/bulk").buttons == []
    refused = admin.send(page.form(f"{LIST}/bulk"))
    assert refused.status in (303, 400)
    assert admin.send(page.form(f"{LIST}/bulk"), state="waiting").status == 400


def test_a_bulk_over_the_limit_is_told(world, admin, monkeypatch):
    monkeypatch.setattr(bulk_module, "BULK_MOST", 1)
    for _ in range(2):
        world.submit()
    page = admin.get(f"{LIST}/bulk?action=cancel")
    assert "at most 1" in page.text
    assert page.form(f"{LIST}/bulk").buttons == []


def planned(world, **later):
    return world.submit(execute_at=world.clock.now() + timedelta(**later))


def test_a_planned_task_is_moved_with_a_reason(world, admin):
    task_id = planned(world, hours=2)
    page = admin.get(f"{LIST}/{task_id}/move")
    form = page.form(f"{LIST}/{task_id}/move")
    assert ("at", "2026-03-04T07:06:07") in form.fields
    assert "2026-03-04 07:06:07 UTC" in page.text
    answer = admin.send(form, at="2026-03-05T00:00:00.000Z", reason="after the freeze")
    task = admin.follow(answer)
    assert shown(admin, task_id)["execute_at"] == "2026-03-05T00:00:00.000Z"
    assert "moved to another time" in task.text
    assert "after the freeze" in task.text
    assert "2026-03-05 00:00:00 UTC" in task.text
    world.run_until_idle()
    assert world.clock.now().day == 5
    assert shown(admin.sign_in(), task_id)["state"] == "succeeded"  # the session was over


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-03-04T05:00:00.000Z", "must be in the future"),
        ("soon", "must be a time such as"),
        ("", "is missing"),
    ],
)
def test_a_move_that_is_refused_says_so_in_place(world, admin, at, words):
    task_id = planned(world, hours=2)
    refused = act(admin, task_id, "move", at=at, reason="my words")
    assert refused.status == 400
    assert words in refused.text
    form = refused.form(f"{LIST}/{task_id}/move")
    assert ("reason", "my words") in form.fields
    assert shown(admin, task_id)["execute_at"] == "2026-03-04T07:06:07.008Z"


def test_a_refused_move_shows_the_same_moment_again(world, admin):
    task_id = planned(world, hours=2)
    moment = "2026-03-03T21:00:00.250Z"
    refused = act(admin, task_id, "move", at="2026-03-04T05:00:00.250+08:00")
    assert refused.status == 400
    field = next(given for _, given in refused.attributes if given.get("name") == "at")
    assert (field["value"], field["data-moment"]) == (moment[:16], moment)


def test_a_move_sent_twice_is_done_once(world, admin):
    task_id = planned(world, hours=2)
    form = admin.get(f"{LIST}/{task_id}/move").form(f"{LIST}/{task_id}/move")
    for _ in range(2):
        assert admin.send(form, at="2026-03-05T00:00:00.000Z", reason="later").status == 303
    assert moves(admin, task_id) == 1
    form = admin.get(f"{LIST}/{task_id}/move").form(f"{LIST}/{task_id}/move")
    assert admin.send(form, at="2026-03-05T00:00:00.000Z", reason="agreed").status == 303
    assert moves(admin, task_id) == 2
    assert admin.send(form, version="x", at="2026-03-06T00:00:00.000Z").status == 303
    assert shown(admin, task_id)["execute_at"] == "2026-03-06T00:00:00.000Z"


def moves(admin, task_id):
    return admin.get(f"{LIST}/{task_id}").text.count("moved to another time")


def test_a_move_after_it_began_says_what_it_is_now(world, admin):
    task_id = planned(world, hours=2)
    form = admin.get(f"{LIST}/{task_id}/move").form(f"{LIST}/{task_id}/move")
    world.run_until_idle()
    refused = admin.send(form, at="2026-03-05T00:00:00.000Z")
    assert refused.status == 409
    assert "The task is now succeeded" in refused.text


def test_only_a_planned_task_that_waits_can_be_moved(world, admin, viewer):
    background, task_id = world.submit(), planned(world, hours=2)
    assert f"{LIST}/{background}/move" not in admin.get(f"{LIST}/{background}").links
    assert f"{LIST}/{task_id}/move" in admin.get(f"{LIST}/{task_id}").links
    assert f"{LIST}/{task_id}/move" not in viewer.get(f"{LIST}/{task_id}").links
    assert viewer.get(f"{LIST}/{task_id}/move").status == 403
    refused = act(admin, background, "move", at="2026-03-05T00:00:00.000Z")
    assert refused.status in (404, 409)
    assert act(admin, task_id, "cancel", reason="called off").status == 303
    page = admin.get(f"{LIST}/{task_id}")
    assert "called off" in page.text
    assert f"{LIST}/{task_id}/move" not in page.links


def test_cancel_of_a_planned_task_says_that_nothing_will_be_done(world, admin):
    page = admin.get(f"{LIST}/{planned(world, hours=2)}/cancel")
    assert "nothing is done when its time comes" in page.text
