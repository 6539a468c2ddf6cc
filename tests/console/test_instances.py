"""Instances and the forms for what can be asked of them."""

import json

import pytest

from backroom.console.deeds import BY_NAME
from backroom.console.forms import FORMS
from backroom.operations.catalogue import CATALOGUE

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


@pytest.fixture
def orders(world, admin):
    submit(world, admin, "new-topic", topic="orders", partitions="2", replicas="2")
    world.clock.move(seconds=5)
    return "orders"


def described(world, name):
    listed = world.admin.get(f"{world.instance_path}/topics").json["topics"]
    return next(one for one in listed if one["name"] == name)


def test_of_a_topic_only_what_was_changed_is_sent(world, admin, orders):
    assert of(world, "topic") + "?topic=orders" in admin.get(of(world)).links
    given = {"retention": "24", "flush": "1", "max.message.bytes": "2000", "description": "新"}
    answer = submit(world, admin, "topic", "?topic=orders", **given)
    assert answer.status == 303, answer.text
    world.clock.move(seconds=5)
    topic = described(world, orders)
    assert (topic["retention_time"], topic["topic_desc"]) == (24, "新")
    assert topic["sync_message_flush"]
    assert not topic["sync_replication"]
    assert topic["topic_other_configs"][0]["value"] == "2000"
    form = admin.get(of(world, "topic") + "?topic=orders").form(of(world, "topic"))
    fields = dict(form.fields)
    assert (fields["retention"], fields["flush"]) == ("24", "1")
    assert admin.send(form).status == 400
    assert admin.send(form, flush=None).status == 303
    world.clock.move(seconds=5)
    assert not described(world, orders)["sync_message_flush"]
    assert described(world, orders)["retention_time"] == 24


def topic_form(world, admin):
    return admin.get(of(world, "topic") + "?topic=orders").form(of(world, "topic"))


def change_topic(world, **change):
    body = json.dumps({"topics": [{"id": "orders", **change}]}).encode()
    assert world.admin.put(f"{world.instance_path}/topics", body=body).status == 204
    world.clock.move(seconds=5)


def test_a_description_of_two_lines_stays_when_something_else_is_changed(world, admin, orders):
    change_topic(world, topic_desc="first line\r\nsecond line")
    form = topic_form(world, admin)
    assert ("was description", "first line\r\nsecond line") in form.fields
    in_one_line = "first linesecond line"  # what a browser makes of it
    assert admin.send(form, retention="24", description=in_one_line).status == 303
    topic = described(world, orders)
    assert topic["retention_time"] == 24
    assert topic["topic_desc"] == "first line\r\nsecond line"


def test_a_refused_topic_form_sent_again_keeps_what_somebody_else_changed(world, admin, orders):
    form = topic_form(world, admin)
    change_topic(world, topic_desc="of somebody else", sync_message_flush=True)
    refused = admin.send(form, retention="9999")
    again = refused.form(of(world, "topic"))
    fields = dict(again.fields)
    assert (fields["description"], fields["flush"]) == ("of somebody else", "1")
    assert fields["retention"] == "9999"
    assert admin.send(again, retention="24").status == 303
    topic = described(world, orders)
    assert (topic["retention_time"], topic["topic_desc"]) == (24, "of somebody else")
    assert topic["sync_message_flush"]


def test_refused_parameters_sent_again_keep_what_somebody_else_changed(world, admin):
    form = admin.get(of(world, "configs")).form(of(world, "configs"))
    submit(world, admin, "configs", **{"message.max.bytes": "1000"})
    world.run_until_idle()
    refused = admin.send(form, **{"num.partitions": "-1"})
    assert refused.status == 400
    again = refused.form(of(world, "configs"))
    assert dict(again.fields)["message.max.bytes"] == "1000"
    record = made(admin, admin.send(again, **{"num.partitions": "5"}))
    assert record["params"] == {"kafka_configs": {"num.partitions": "5"}}


def test_a_retention_that_is_taken_away_is_refused_in_place(world, admin, orders):
    refused = admin.send(topic_form(world, admin), retention="", description="new")
    assert refused.status == 400
    assert "whole number of hours" in refused.text
    field = next(given for _, given in refused.attributes if given.get("name") == "retention")
    assert field["aria-invalid"] == "true"
    assert (described(world, orders)["topic_desc"], field["value"]) == ("", "")


def test_a_topic_gets_more_partitions(world, admin, orders):
    page = admin.get(of(world, "partitions") + "?topic=orders")
    assert ("partitions", "3") in page.form(of(world, "partitions")).fields
    answer = submit(world, admin, "partitions", "?topic=orders", partitions="5", brokers=["0", "1"])
    assert answer.status == 303, answer.text
    world.clock.move(seconds=5)
    assert described(world, orders)["partition"] == 5


@pytest.mark.parametrize(
    ("form", "given", "words"),
    [
        ("partitions", {"partitions": "1"}, "can only grow"),
        ("partitions", {"partitions": "many"}, "whole number"),
        ("partitions", {"partitions": ""}, "whole number"),
        ("partitions", {"partitions": "5", "brokers": ["0"]}, "2 or more"),
        ("topic", {"retention": "9999"}, "1-720"),
        ("topic", {"max.message.bytes": "-1"}, ""),
        ("topic", {}, "at least one change"),
    ],
)
def test_a_mistake_about_a_topic_is_told_in_place(world, admin, orders, form, given, words):
    refused = submit(world, admin, form, "?topic=orders", **given)
    assert refused.status in (400, 409)
    assert words in refused.text
    assert ("topic", orders) in refused.form(of(world, form)).fields
    assert described(world, orders)["partition"] == 2


@pytest.mark.parametrize("form", ["topic", "partitions"])
@pytest.mark.parametrize("query", ["", "?topic=", "?topic=nowhere", "?topic=%22%3E%3Ci%3E"])
def test_a_topic_that_is_not_there_has_no_form(world, admin, form, query):
    page = admin.get(of(world, form) + query)
    assert page.status == 404
    assert "<i>" not in page.html


def test_a_viewer_is_linked_to_no_form(world, admin, viewer, orders):
    page = viewer.get(of(world))
    assert orders in page.text
    assert [link for link in page.links if link.startswith(of(world) + "/")] == []
    for name in FORMS:
        assert viewer.get(of(world, name) + "?topic=orders").status == 403


def test_every_operation_there_is_can_be_asked_for(world):
    """By a form of an instance, the one for a new instance, or what is done to many tasks."""
    calls = {form.call for form in FORMS.values()} | {"CreatePostPaidKafkaInstance"}
    offered = {form.order.name for form in FORMS.values() if form.order is not None}
    for route in world.backroom.application._table.routes:
        if route.operation in calls:
            offered |= {operation.name for operation in route.submits}
    offered |= {f"bulk{name.capitalize()}" for name, deed in BY_NAME.items() if deed.is_bulk}
    assert offered == set(CATALOGUE)
