"""How an operation's typed params are kept inside a task."""

from typing import Any

import msgspec

from backroom.domain.task import Task
from backroom.operations.operation import Operation
from backroom.ports import Vault


def internal_params(operation: Operation[Any], params: msgspec.Struct, vault: Vault) -> bytes:
    """JSON, sealed when the operation's params may hold secrets."""
    plain = msgspec.json.encode(params)
    return vault.seal(plain) if operation.has_secrets else plain


def typed_params(operation: Operation[Any], task: Task, vault: Vault) -> msgspec.Struct:
    plain = vault.unseal(task.internal) if operation.has_secrets else task.internal
    params: msgspec.Struct = msgspec.json.decode(plain, type=operation.params)
    return params
