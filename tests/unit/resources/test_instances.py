import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from backroom.api.exchange import Request
from backroom.api.instances import InstanceHandlers
from backroom.domain.account import Identity, Role
from backroom.domain.errors import InstanceNotFound, InvalidInput, InvalidOffset
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId
from backroom.domain.instance import Instance, InstanceFilter, InstanceStatus
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, State, TaskRecord
from backroom.resources.instances import Instances

PROJECT = ProjectId("a" * 32)
OTHER_PROJECT = ProjectId("f" * 32)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def instance(number: int, project_id: ProjectId = PROJECT) -> Instance:
    return Instance(
        id=InstanceId(f"4fdd8f3d-5d3c-4f0e-9c5e-00000000000{number}"), project_id=project_id,
        name=f"kafka-{number}", status=InstanceStatus.RUNNING, user_id=UserId("b" * 32),
        user_name="tester", created_at=NOW + timedelta(seconds=number), engine_version="2.7",
        broker_count=3, storage_gb=300, product_id="c6.2u4g.cluster",
        storage_spec_code="dms.physical.storage.high.v2", vpc_id="v", subnet_id="s",
        security_group_id="g", available_zones=("z",),
    )  # fmt: skip


class Store:
    def __init__(self, *kept: Instance) -> None:
        self.kept = kept

    async def get(self, project_id, instance_id):
        return next(
            (one for one in self.kept if (one.project_id, one.id) == (project_id, instance_id)),
            None,
        )

    async def find(self, wanted, page):
        match = [one for one in self.kept if one.project_id == wanted.project_id][::-1]
        return match[page.skip : page.skip + page.limit], len(match)


TASK = TaskRecord(
    id=TaskId("c" * 32), project_id=PROJECT, instance_id=instance(1).id, kind=Kind.BACKGROUND,
    name="deleteInstance", user_id=UserId("b" * 32), user_name="tester", params="{}",
    state=State.RUNNING, created_at=stamp(NOW), updated_at=stamp(NOW), execute_at=None,
)  # fmt: skip


class Tasks:
    async def current(self, instance_id):
        return TASK if instance_id == TASK.instance_id else None


INSTANCES = Instances(
    Store(instance(1), instance(2), instance(3), instance(4, OTHER_PROJECT)), Tasks()
)
WANTED = InstanceFilter(project_id=PROJECT)


def test_show_gives_the_instance_and_what_is_in_flight():
    assert asyncio.run(INSTANCES.show(PROJECT, instance(1).id)) == (instance(1), TASK)
    assert asyncio.run(INSTANCES.show(PROJECT, instance(2).id)) == (instance(2), None)


@pytest.mark.parametrize("project_id", [PROJECT, OTHER_PROJECT])
def test_show_refuses_a_missing_one_and_another_projects_alike(project_id):
    instance_id = instance(4 if project_id == PROJECT else 1).id
    with pytest.raises(InstanceNotFound) as raised:
        asyncio.run(INSTANCES.show(project_id, instance_id))
    assert raised.value.instance_id == instance_id


def test_list_gives_a_page_and_the_total():
    found, total = asyncio.run(INSTANCES.list(WANTED, Page(1, 1)))
    assert (found, total) == ([instance(2)], 3)


@pytest.mark.parametrize("skip", [3, 4, 1000])
def test_list_refuses_an_offset_behind_the_end(skip):
    with pytest.raises(InvalidOffset) as raised:
        asyncio.run(INSTANCES.list(WANTED, Page(skip, 10)))
    assert raised.value.parameter == "offset"


@pytest.mark.parametrize("skip", [0, 5])
def test_list_of_nothing_is_empty_at_any_offset(skip):
    assert asyncio.run(Instances(Store(), Tasks()).list(WANTED, Page(skip, 10))) == ([], 0)


def request(query: bytes = b"", **parameters: str) -> Request:
    return Request(
        method="GET", raw_path=b"/", raw_query=query, headers=[], body=b"", request_id="r",
        parameters={"project_id": PROJECT} | parameters,
        identity=Identity(PROJECT, UserId("b" * 32), "tester", Role.VIEWER),
    )  # fmt: skip


def handlers_of_instances():
    """Nobody is asked whether brokers answer: these calls don't show it."""
    return InstanceHandlers(INSTANCES, NotImplemented, "cn-north-4")


def answer(response):
    assert response.status == 200
    return msgspec.json.decode(response.body)


def test_show_instance_answers_with_the_instance_and_its_task():
    handlers = handlers_of_instances()
    shown = answer(asyncio.run(handlers.show_instance(request(instance_id=instance(1).id))))
    assert (shown["name"], shown["task"]["name"]) == ("kafka-1", "deleteInstance")
    quiet = answer(asyncio.run(handlers.show_instance(request(instance_id=instance(2).id))))
    assert (quiet["name"], "task" in quiet) == ("kafka-2", False)


def test_list_instances_answers_with_a_page_and_the_total():
    handlers = handlers_of_instances()
    listed = answer(asyncio.run(handlers.list_instances(request(b"offset=1&limit=2"))))
    assert listed["instance_num"] == 3
    assert [one["name"] for one in listed["instances"]] == ["kafka-2", "kafka-1"]


def test_list_instances_refuses_a_malformed_query():
    with pytest.raises(InvalidInput):
        asyncio.run(handlers_of_instances().list_instances(request(b"limit=51")))
