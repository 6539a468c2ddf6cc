"""Every operation there is, by its wire name."""

from types import MappingProxyType
from typing import Any

from backroom.operations.cancel_tasks import CANCEL_TASKS
from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE
from backroom.operations.delete_tasks import DELETE_TASKS
from backroom.operations.extend_instance import EXTEND_INSTANCE
from backroom.operations.modify_configs import MODIFY_CONFIGS
from backroom.operations.operation import Operation
from backroom.operations.public_ip import BIND_PUBLIC_IP, UNBIND_PUBLIC_IP
from backroom.operations.reassign_partitions import REASSIGN_PARTITIONS
from backroom.operations.restart_instance import RESTART_INSTANCE
from backroom.operations.retry_tasks import RETRY_TASKS

_ALL: tuple[Operation[Any], ...] = (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    CREATE_INSTANCE,
    DELETE_INSTANCE,
    RESTART_INSTANCE,
    EXTEND_INSTANCE,
    MODIFY_CONFIGS,
    REASSIGN_PARTITIONS,
    CANCEL_TASKS,
    RETRY_TASKS,
    DELETE_TASKS,
)

CATALOGUE = MappingProxyType({operation.name: operation for operation in _ALL})
