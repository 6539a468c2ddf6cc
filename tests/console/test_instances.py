"""Instances and the forms for what can be asked of them."""

import json

import pytest

LIST = "/console/instances"


def of(world, name=""):
    return f"{LIST}/{world.instance.id}" + (f"/{name}" if name else "")


def submit(world, admin, name, target="", **given):
    given.setdefault("reason", "why not, 为什么")
    page = admin.get(of(world, name) + target)
    assert page.status == 200, page.text
    form = page.form(of(world, name))
    if "reason" not in dict(form.fields):
        del given["reason"]
    return admin.send(form, **given)


def made(admin, answer):
    task_id = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    return json.loads(admin.get(f"/console/tasks/{task_id}/raw").body)


def test_the_list_shows_each_with_its_task(world, admin):
    world.submit()
    page = admin.get(LIST)
    assert "kafka-demo" in page.text
    assert "1 instance" in page.text
    assert "Bind public IP" in page.text
    assert "No instance matches" in admin.get(f"{LIST}?name=other").text
    assert "No instance matches" in admin.get(f"{LIST}?status=ERROR").text
    assert admin.get(f"{LIST}?status=nonsense&page=-1").status == 200


def test_one_instance_shows_brokers_topics_and_the_running_task(world, admin):
    task_id = world.submit()
    page = admin.get(of(world))
    assert "broker 0" in page.text
    assert "answers" in page.text
    assert "There are no topics" in page.text
    assert f"/console/tasks/{task_id}" in page.links


def test_brokers_that_are_gone_are_told(world, admin):
    world.lose_brokers()
    page = admin.get(of(world))
    assert page.status == 200
    assert "doesn't answer" in page.text
    assert admin.get(of(world, "configs")).status == 409
    assert admin.get(of(world, "reassign")).status == 409


@pytest.mark.parametrize(
    ("name", "given", "operation", "params"),
    [
        ("bind", {"bandwidth": "7"}, "bindInstancePublicIp", {"enable_public_ip": True}),
        ("unbind", {}, "unbindInstancePublicIp", {"enable_public_ip": False}),
        ("restart", {}, "restartInstance", {}),
        ("delete", {}, "deleteInstance", {}),
        (
            "extend", {"kind": "storage", "storage": "600"}, "extendInstance",
            {"new_storage_space": 600},
        ),
        (
            "extend", {"kind": "horizontal", "brokers": "4"}, "extendInstance",
            {"new_broker_num": 4},
        ),
        (
            "extend", {"kind": "vertical", "product": "c6.4u8g.cluster"}, "extendInstance",
            {"new_product_id": "c6.4u8g.cluster"},
        ),
        (
            "configs", {"message.max.bytes": "1000"}, "kafkaConfigModify",
            {"kafka_configs": {"message.max.bytes": "1000"}},
        ),
        ("auto-topics", {"enabled": "1"}, "kafkaConfigModify", {"new_auto_status": True}),
    ],
)  # fmt: skip
def test_each_form_makes_its_task(world, admin, name, given, operation, params):
    record = made(admin, submit(world, admin, name, **given))
    assert record["name"] == operation
    assert record["params"].items() >= params.items()
    assert record["reason"] == "why not, 为什么"
    assert record["user_name"] == "backroom"
    world.run_until_idle()


def test_a_form_sent_twice_is_done_once(world, admin):
    for name in ("bind", "restart"):
        form = admin.get(of(world, name)).form(of(world, name))
        first, second = (admin.send(form).headers["location"] for _ in range(2))
        assert first == second
        world.run_until_idle()


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("bind", {"bandwidth": "many"}, "whole number"),
        ("bind", {"bandwidth": "99999"}, "from 0 to 2000"),
        ("extend", {"kind": "storage", "storage": "301"}, "multiple of 100"),
        ("extend", {"kind": "", "storage": "600"}, "oper_type"),
        ("configs", {}, "at least one"),
        ("configs", {"message.max.bytes": "-1"}, "0~10485760"),
        ("new-topic", {"topic": "1"}, ""),
        ("new-topic", {"topic": "fine", "replicas": "9"}, ""),
        ("reassign", {"at": "tomorrow"}, "must be a time"),
        ("reassign", {}, "at least one topic"),
        ("delete-topics", {}, "at least one"),
    ],
)
def test_a_mistake_is_told_in_place_with_what_was_typed(world, admin, name, given, words):
    page = submit(world, admin, name, **given)
    assert page.status in (400, 409)
    assert words in page.text
    fields = page.form(of(world, name)).fields
    for pair in given.items():
        if pair[1] and pair[0] not in ("kind", "message.max.bytes"):
            assert pair in fields
    world_tasks = admin.get("/console/tasks")
    assert "There are no tasks yet" in world_tasks.text


def test_a_conflict_is_told_in_place(world, admin):
    submit(world, admin, "restart")
    refused = submit(world, admin, "restart")
    assert refused.status == 409
    assert "RESTARTING" in refused.text


def test_topics_are_made_moved_and_deleted(world, admin):
    answer = submit(world, admin, "new-topic", topic="orders", partitions="2", replicas="2")
    assert answer.status == 303, answer.text
    world.clock.move(seconds=5)
    page = admin.get(of(world))
    assert "orders" in page.text
    assert "4 / 4" in page.text
    taken = submit(world, admin, "new-topic", topic="orders")
    assert taken.status == 409
    record = made(admin, submit(world, admin, "reassign", topics=["orders"], brokers=["0", "1"]))
    assert record["name"] == "kafkaReassignment"
    world.run_until_idle()
    assert submit(world, admin, "delete-topics", topics=["orders"]).status == 303
    world.clock.move(seconds=5)
    assert "There are no topics" in admin.get(of(world)).text


def test_a_reassignment_can_be_planned(world, admin):
    submit(world, admin, "new-topic", topic="orders")
    world.clock.move(seconds=5)
    answer = submit(
        world, admin, "reassign", topics=["orders"], brokers=["0", "1", "2"],
        at="2026-03-05T00:00:00.000Z",
    )  # fmt: skip
    record = made(admin, answer)
    assert (record["kind"], record["execute_at"]) == ("scheduled", "2026-03-05T00:00:00.000Z")


def test_a_new_instance_is_made(world, admin):
    page = admin.get(f"{LIST}/new")
    answer = admin.send(page.form(f"{LIST}/new"), name="kafka-new", enable_auto_topic="1")
    assert answer.status == 303, answer.text
    shown = admin.follow(answer)
    assert "kafka-new" in shown.text
    assert "CREATING" in shown.text
    world.run_until_idle()
    assert "RUNNING" in admin.get(answer.headers["location"]).text


def test_a_new_instance_that_is_no_good_is_told(admin):
    page = admin.get(f"{LIST}/new")
    for given in ({"name": "x"}, {"name": "fine-name", "broker_num": "2"}, {"storage_space": "1"}):
        assert admin.send(page.form(f"{LIST}/new"), **given).status in (400, 409)


def test_the_overview_tells_what_goes_on(world, admin):
    empty = admin.get("/console/overview")
    assert "Nothing has succeeded yet" in empty.text
    world.submit()
    world.run_until_idle()
    world.submit()
    world.submit()
    world.begin()
    page = admin.get("/console/overview")
    assert "1 running now" in page.text
    assert "1 waiting" in page.text
    assert "3 in all" in page.text
    assert "Bind public IP" in page.text
    assert "tester" in page.text
    assert "kafka-demo" in page.text
    assert next(given["class"] for tag, given in page.attributes if tag == "rect") == "succeeded"


def test_a_parameter_that_was_refused_is_still_a_change(world, admin):
    restart = of(world, "restart")
    admin.send(admin.get(restart).form(restart))
    refused = submit(world, admin, "configs", **{"message.max.bytes": "1000"})
    assert refused.status == 409
    world.run_until_idle()
    record = made(admin, admin.send(refused.form(of(world, "configs"))))
    assert record["params"] == {"kafka_configs": {"message.max.bytes": "1000"}}


def test_static_parameters_are_shown_until_a_restart(world, admin):
    submit(world, admin, "configs", **{"num.partitions": "5"})
    world.run_until_idle()
    assert "After the next restart num.partitions=5" in admin.get(of(world)).text
    submit(world, admin, "restart")
    world.run_until_idle()
    assert "After the next restart" not in admin.get(of(world)).text
