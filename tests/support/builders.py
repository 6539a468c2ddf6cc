"""Tasks, instances and steps for tests: a test says only what it cares about."""

from datetime import UTC, datetime, timedelta

import msgspec

from backroom.domain import lifecycle
from backroom.domain.account import Identity, Role
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId, new_task_id
from backroom.domain.instance import Instance, InstanceStatus
from backroom.domain.task import Kind, State, StepRecord, StepState, Task

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
PROJECT = ProjectId("a" * 32)
OTHER_PROJECT = ProjectId("f" * 32)
USER = UserId("b" * 32)
W1, W2, W3 = WorkerId("w1"), WorkerId("w2"), WorkerId("w3")
OPERATOR = Identity(PROJECT, USER, "tester", Role.OPERATOR)
VIEWER = Identity(PROJECT, USER, "reader", Role.VIEWER)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def instance_id(number: int = 1) -> InstanceId:
    return InstanceId(f"4fdd8f3d-5d3c-4f0e-9c5e-{number:012d}")


def make_instance(number: int = 1, **given) -> Instance:
    about = {
        "id": instance_id(number), "project_id": PROJECT, "name": f"kafka-{number}",
        "status": InstanceStatus.RUNNING, "user_id": USER, "user_name": "tester",
        "created_at": after(number), "engine_version": "2.7", "broker_count": 3,
        "storage_gb": 300, "product_id": "c6.2u4g.cluster",
        "storage_spec_code": "dms.physical.storage.high.v2", "vpc_id": "v", "subnet_id": "s",
        "security_group_id": "g", "available_zones": ("z",),
    }  # fmt: skip
    return Instance(**about | given)


def make_task(number: int = 1, at: datetime = NOW, **given) -> Task:
    """A waiting task on instance `number`, in that instance's lane."""
    about = {
        "id": new_task_id(), "project_id": PROJECT, "instance_id": instance_id(number),
        "kind": Kind.BACKGROUND, "name": "bindInstancePublicIp", "user_id": USER,
        "user_name": "tester", "params": "{}", "internal": b"{}", "state": State.WAITING,
        "created_at": at, "updated_at": at, "lane": instance_id(number),
    }  # fmt: skip
    return Task(**about | given)


def make_scheduled(number: int, execute_at: datetime, at: datetime = NOW, **given) -> Task:
    """A scheduled task: it is a lane of its own."""
    task_id = new_task_id()
    about = {
        "id": task_id, "lane": task_id, "kind": Kind.SCHEDULED,
        "execute_at": execute_at, "due_at": execute_at,
    }  # fmt: skip
    return make_task(number, at, **about | given)


def make_step(position: int = 0, **given) -> StepRecord:
    about = {
        "name": f"step_{position}", "position": position, "state": StepState.SUCCEEDED,
        "percent": 100, "started_at": NOW, "ended_at": NOW, "output": b"null",
    }  # fmt: skip
    return StepRecord(**about | given)


def make_running(number: int = 1, worker_id: WorkerId = W1, at: datetime = NOW, **given) -> Task:
    task = lifecycle.claim(make_task(number, at), worker_id, at).task
    return msgspec.structs.replace(task, **given)


def known_id(number: int) -> TaskId:
    return TaskId(f"{number:032x}")
