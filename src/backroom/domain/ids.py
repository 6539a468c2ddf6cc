"""Ids, each its own type, and how new ones are made."""

import secrets
import uuid
from typing import NewType

ProjectId = NewType("ProjectId", str)  # 32 lower-case hex
InstanceId = NewType("InstanceId", str)  # a dashed lower-case UUID
TaskId = NewType("TaskId", str)  # 32 lower-case hex
UserId = NewType("UserId", str)  # 32 lower-case hex
WorkerId = NewType("WorkerId", str)

NOWHERE = ProjectId("")  # a project in which there is nothing, and never will be


def new_task_id() -> TaskId:
    return TaskId(secrets.token_hex(16))


def new_instance_id() -> InstanceId:
    return InstanceId(str(uuid.uuid4()))


def new_project_id() -> ProjectId:
    return ProjectId(secrets.token_hex(16))


def new_user_id() -> UserId:
    return UserId(secrets.token_hex(16))
