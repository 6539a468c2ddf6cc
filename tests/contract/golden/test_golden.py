"""Each golden sample: what it says is given is stored, and the answer is its response exactly.

A sample lies at tests/golden/<operation>/<case>.json. `additions` are keys of ours that the sample
hasn't got; the text of an error may go on after the sample's.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.support.world import Caller, World, make_world

from backroom.domain.ids import WorkerId
from backroom.domain.task import Change, Event, Kind, State, StepRecord, StepState, Task
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation, Step
from backroom.operations.public_ip import UnbindPublicIp
from backroom.ports import NewTopic, TopicPartition

GOLDEN = Path(__file__).parents[2] / "golden"
SAMPLES = sorted(GOLDEN.glob("*/*.json"))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CATALOGUE_USERS = ("backroom.wire.tasks", "backroom.service.looking", "backroom.api.tasks")


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.close()


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_golden_sample(world, monkeypatch, path):
    sample = json.loads(path.read_text("utf-8"))
    given = sample["given"]
    if "now" in given:
        world.clock.moment = datetime.fromisoformat(given["now"])
    for name, made in given.get("operations", {}).items():
        add_operation(monkeypatch, name, **made)
    for topic in given.get("topics", ()):
        add_topic(world, **topic)
    if "next_task_id" in given:
        monkeypatch.setattr(
            "backroom.service.submissions.new_task_id", lambda: given["next_task_id"]
        )
    for task in given.get("tasks", ()):
        world.do(world.backroom.tasks.write(change(world, **task)))
    answer = ask(world, **sample["request"])
    expected = json.loads(of_the_instance(world, json.dumps(sample["response"])))
    assert answer.status == expected["status"]
    if "body" not in expected:
        assert answer.body == b""
        return
    body = without(answer.json, sample.get("additions", ()))
    if "error_msg" in expected["body"]:
        assert body.pop("error_msg").startswith(expected["body"].pop("error_msg"))
        assert body == expected["body"]
    else:
        assert json.dumps(body) == json.dumps(expected["body"])  # the order of keys, too


def test_no_sample_is_left_out():
    """In the right folder, named after a call that there is, with all that a sample has to tell."""
    found = {path.relative_to(GOLDEN) for path in GOLDEN.rglob("*") if path.is_file()}
    used = {path.relative_to(GOLDEN) for path in SAMPLES}
    assert found - used == {Path("signature-vectors.json")}


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_a_sample_says_where_it_is_from(world, path):
    sample = json.loads(path.read_text("utf-8"))
    operations = {route.operation for route in world.backroom.table.routes}
    assert path.parent.name in operations
    assert {"source", "date", "certainty", "given", "request", "response"} <= set(sample)
    assert set(sample) <= {
        "source", "date", "certainty", "given", "additions", "request", "response",
    }  # fmt: skip
    assert sample["certainty"] in set("DOPI")
    assert datetime.fromisoformat(sample["date"])
    method, target = sample["request"]["method"], fill(world, sample["request"]["target"])
    route, *_ = world.backroom.table.find(method, target.partition("?")[0].encode())
    assert route.operation == path.parent.name


def fill(world, target):
    return target.format(project_id=world.project_id, instance_id=world.instance.id)


def of_the_instance(world, text):
    return text.replace("{instance_id}", world.instance.id)


def ask(world, method, target, headers=None, body=None):
    if headers is None:
        content = b"" if body is None else of_the_instance(world, json.dumps(body)).encode()
        return world.admin.call(method, fill(world, target), content)
    return Caller(world).call(method, fill(world, target), headers=headers.items())


def without(value, additions):
    match value:
        case dict():
            return {
                key: without(part, additions) for key, part in value.items() if key not in additions
            }
        case list():
            return [without(part, additions) for part in value]
        case _:
            return value


def add_operation(monkeypatch, name, steps=MappingProxyType({}), **traits):
    async def run(_context):
        raise NotImplementedError

    operation = Operation(
        name=name,
        params=UnbindPublicIp,
        steps=tuple(Step(step, run, weight) for step, weight in steps.items()),
        prepare=lambda instance, _: instance,
        **traits,
    )
    catalogue = MappingProxyType({**CATALOGUE, name: operation})
    for module in CATALOGUE_USERS:
        monkeypatch.setattr(f"{module}.CATALOGUE", catalogue)


def add_topic(world, name, replicas, configs=MappingProxyType({}), partition_bytes=0):
    kafka, instance_id = world.backroom.kafka, world.instance.id
    new = NewTopic(
        name=name,
        partition_count=len(replicas),
        replication_factor=len(replicas[0]),
        configs=configs,
    )
    world.do(kafka.create_topics(instance_id, [new]))
    world.do(kafka.fill(instance_id, name, 0))
    targets = {TopicPartition(name, at): tuple(one) for at, one in enumerate(replicas)}
    world.do(kafka.reassign(instance_id, targets))
    world.do(kafka.elect_preferred_leaders(instance_id, list(targets)))
    world.do(kafka.fill(instance_id, name, partition_bytes))
    world.clock.move(seconds=1)


def change(world, steps=(), started_at=None, execute_at=None, kind="background", **record):
    is_running = record["state"] == "running"
    task = Task(
        project_id=world.project_id,
        instance_id=world.instance.id,
        kind=Kind(kind),
        state=State(record.pop("state")),
        created_at=datetime.fromisoformat(record.pop("created_at")),
        updated_at=datetime.fromisoformat(record.pop("updated_at")),
        execute_at=None if execute_at is None else datetime.fromisoformat(execute_at),
        started_at=None if started_at is None else datetime.fromisoformat(started_at),
        worker_id=WorkerId("tester") if is_running else None,
        lane=record["id"],
        internal=b"{}",
        **record,
    )
    event = Event(
        at=task.created_at, verb="submit", actor="tester", from_state=None, to_state=task.state
    )
    rows = tuple(step_record(position, **step) for position, step in enumerate(steps))
    return Change(task=task, event=event, steps=rows)


def step_record(position, name, state, percent, started_ms, ended_ms=None):
    return StepRecord(
        name=name,
        position=position,
        state=StepState(state),
        percent=percent,
        started_at=EPOCH + timedelta(milliseconds=started_ms),
        ended_at=None if ended_ms is None else EPOCH + timedelta(milliseconds=ended_ms),
    )
