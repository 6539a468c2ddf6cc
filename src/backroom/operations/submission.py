"""How an operation's typed params are kept inside a task, and what is needed to read them back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from backroom.domain.task import Task
from backroom.operations.operation import Operation, StepContext
from backroom.ports import InstanceStore, TaskStore, Vault


class Means(msgspec.Struct, frozen=True):
    """What a decision about a task of before looks at."""

    tasks: TaskStore
    instances: InstanceStore
    vault: Vault
    catalogue: Mapping[str, Operation[Any]]


def means_of(context: StepContext[Any]) -> Means:
    return Means(context.tasks, context.instances, context.vault, context.catalogue)


def internal_params(operation: Operation[Any], params: msgspec.Struct, vault: Vault) -> bytes:
    """JSON, sealed when the operation's params may hold secrets."""
    plain = msgspec.json.encode(params)
    return vault.seal(plain) if operation.has_secrets else plain


def typed_params(operation: Operation[Any], task: Task, vault: Vault) -> msgspec.Struct:
    plain = vault.unseal(task.internal) if operation.has_secrets else task.internal
    params: msgspec.Struct = msgspec.json.decode(plain, type=operation.params)
    return params
