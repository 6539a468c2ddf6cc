"""From options to the bodies of the official calls."""

import json

import msgspec
import pytest
import typer

from backroom.cli.instance_changes import Asked, Extension, create_body, extend_body
from backroom.cli.reassignments import Move, reassign_body
from backroom.wire.answers import scheduled_tasks, steps_of, submitted_task_id
from backroom.wire.instance_requests import CreateBody

ASKED = Asked(
    name="n", brokers=3, storage_gb=300, flavor="c6.2u4g.cluster", kafka="2.7", description="",
    user=None, password=None, vpc="v", subnet="s", security_group="g", zones=("z",), body=None,
)  # fmt: skip
MOVE = Move(("a", "b", "a"), "0,1", None, None, None)


def extension(**said):
    silent = {"storage_gb": None, "brokers": None, "flavor": None, "public_ips": ()}
    return extend_body(Extension(**silent | said))


def test_a_new_instance_is_a_body_that_the_server_reads():
    body = msgspec.convert(create_body(ASKED), CreateBody)

    assert (body.broker_num, body.storage_space, body.available_zones) == (3, 300, ["z"])
    assert body.password is None


def test_a_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("BACKROOM_INSTANCE_PASSWORD", "from-there")
    body = create_body(msgspec.structs.replace(ASKED, user="admin"))

    assert (body["ssl_enable"], body["access_user"], body["password"]) == (
        True,
        "admin",
        "from-there",
    )


def test_a_user_without_a_password_is_refused(monkeypatch):
    monkeypatch.delenv("BACKROOM_INSTANCE_PASSWORD", raising=False)
    with pytest.raises(typer.BadParameter, match="empty"):
        create_body(msgspec.structs.replace(ASKED, user="admin"))


def test_a_file_adds_fields_and_wins(tmp_path):
    file = tmp_path / "body.json"
    file.write_text('{"broker_num": 5, "tags": []}')
    body = create_body(msgspec.structs.replace(ASKED, body=file))

    assert (body["broker_num"], body["tags"], body["name"]) == (5, [], "n")


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_bad_file_is_refused(tmp_path, text):
    file = tmp_path / "body.json"
    file.write_text(text)
    with pytest.raises(typer.BadParameter):
        create_body(msgspec.structs.replace(ASKED, body=file))


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ({"storage_gb": 600}, {"oper_type": "storage", "new_storage_space": 600}),
        ({"brokers": 4}, {"oper_type": "horizontal", "new_broker_num": 4}),
        (
            {"brokers": 4, "storage_gb": 400, "public_ips": ("x", "y")},
            {"oper_type": "horizontal", "new_broker_num": 4, "new_storage_space": 400,
             "publicip_id": "x,y"},
        ),
        ({"flavor": "f"}, {"oper_type": "vertical", "new_product_id": "f"}),
    ],
)  # fmt: skip
def test_an_extension_is_of_one_kind(said, body):
    assert extension(**said) == body


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"brokers": 4, "flavor": "f"},
        {"storage_gb": 600, "flavor": "f"},
        {"storage_gb": 600, "public_ips": ("x",)},
    ],
)
def test_other_extensions_are_refused(said):
    with pytest.raises(typer.BadParameter):
        extension(**said)


def test_a_reassignment_onto_brokers():
    assert reassign_body(MOVE) == {
        "reassignments": [{"topic": "a", "brokers": [0, 1]}, {"topic": "b", "brokers": [0, 1]}],
        "throttle": -1,
    }


def test_a_reassignment_with_replicas_and_throttle():
    body = reassign_body(MOVE._replace(topics=("a",), replicas=2, throttle_mb_per_s=10))

    assert body["reassignments"] == [{"topic": "a", "brokers": [0, 1], "replication_factor": 2}]
    assert body["throttle"] == 10


def test_a_reassignment_by_kafkas_own_file(tmp_path):
    file = tmp_path / "plan.json"
    entries = [{"topic": "a", "partition": p, "replicas": [p, 2]} for p in (0, 1)]
    file.write_text(json.dumps({"version": 1, "partitions": entries}))
    body = reassign_body(Move((), None, None, None, file))

    assert body["reassignments"] == [
        {
            "topic": "a",
            "assignment": [
                {"partition": 0, "partition_brokers": [0, 2]},
                {"partition": 1, "partition_brokers": [1, 2]},
            ],
        }
    ]


@pytest.mark.parametrize(
    "move",
    [
        MOVE._replace(topics=()),
        MOVE._replace(brokers=None),
        MOVE._replace(brokers="0,x"),
    ],
)
def test_a_reassignment_that_says_too_little_is_refused(move):
    with pytest.raises(typer.BadParameter):
        reassign_body(move)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"partitions": [{}]}'])
def test_a_bad_plan_is_refused(tmp_path, text):
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(typer.BadParameter):
        reassign_body(Move((), None, None, None, file))


def test_answers_of_the_wire():
    assert submitted_task_id({"job_id": "a"}) == "a"
    assert submitted_task_id({"schedule_id": "b"}) == "b"
    assert submitted_task_id({}) is None
    assert scheduled_tasks({"jobs": [{}], "job_count": "4"}) == ([{}], 4)
    steps = steps_of({"step_list": [{"name": "x", "statue": "WAITING"}, {"status": "COMPLETED"}]})
    assert [step["status"] for step in steps] == ["WAITING", "COMPLETED"]
    assert steps_of({}) == []
