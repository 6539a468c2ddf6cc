"""Every operation there is, by its wire name."""

from types import MappingProxyType
from typing import Any

from backroom.operations.create_instance import CREATE_INSTANCE
from backroom.operations.delete_instance import DELETE_INSTANCE
from backroom.operations.operation import Operation
from backroom.operations.public_ip import BIND_PUBLIC_IP, UNBIND_PUBLIC_IP

_ALL: tuple[Operation[Any], ...] = (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    CREATE_INSTANCE,
    DELETE_INSTANCE,
)

CATALOGUE = MappingProxyType({operation.name: operation for operation in _ALL})
