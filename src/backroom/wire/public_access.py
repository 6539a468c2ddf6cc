"""ModifyKafkaPublicIpAccessSwitch (contract: docs/wire/public-access.md)."""

import hashlib
import ipaddress
import re
import uuid
from typing import Any

import msgspec

from backroom.domain.errors import InvalidPublicAccess
from backroom.domain.instance import Instance
from backroom.operations.operation import Operation
from backroom.operations.public_ip import (
    BIND_PUBLIC_IP,
    UNBIND_PUBLIC_IP,
    BindPublicIp,
    UnbindPublicIp,
)
from backroom.ports import PublicAddress

MAX_BANDWIDTH = 2_000  # Mbit/s, of one elastic IP [D: EIP product page]
ADDRESS_ID_FORM = re.compile(r"[0-9A-Za-z_-]{1,64}")
_POOL = ipaddress.ip_network("100.64.0.0/10")  # shared address space, RFC 6598: leads nowhere real
_POOL_NAMESPACE = uuid.UUID("6f1c0d0e-5f0e-4e35-9b0c-1a3a0b5b7c11")


class PublicAccessBody(msgspec.Struct, frozen=True):
    """All three absent is refused. [O] Terraform sends all three, empty or 0 for what isn't set."""

    eip_address: str | None = None
    public_boundwidth: int | None = None
    publicip_id: str | None = None


PublicAccessOrder = tuple[Operation[Any], msgspec.Struct, dict[str, Any]]


def decode_public_access(body: PublicAccessBody, instance: Instance) -> PublicAccessOrder:
    """On when an address, its id or a bandwidth is given, off when all are empty [I].

    Returns the operation, its params and the public params. Several ids or addresses are separated
    by commas, in broker order, one for each broker or fewer. Raises InvalidPublicAccess.
    """
    if body.eip_address is None and body.public_boundwidth is None and body.publicip_id is None:
        raise InvalidPublicAccess("body", "needs eip_address, public_boundwidth or publicip_id")
    bandwidth = body.public_boundwidth or 0
    if not 0 <= bandwidth <= MAX_BANDWIDTH:
        raise InvalidPublicAccess("public_boundwidth", f"must be from 0 to {MAX_BANDWIDTH}")
    ids, addresses = _parts(body.publicip_id), _parts(body.eip_address)
    if not ids and not addresses and bandwidth == 0:
        return UNBIND_PUBLIC_IP, UnbindPublicIp(), _public(_bound(instance), is_on=False)
    pairs = _pairs(ids, addresses, instance)
    params = BindPublicIp(addresses=pairs, bandwidth_mbit_per_s=bandwidth)
    return BIND_PUBLIC_IP, params, _public(pairs, is_on=True)


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text and text.strip() else []


def _pairs(ids: list[str], addresses: list[str], instance: Instance) -> tuple[PublicAddress, ...]:
    if not ids and not addresses:
        ids = [
            str(uuid.uuid5(_POOL_NAMESPACE, f"{instance.id}/{broker}"))
            for broker in range(instance.broker_count)
        ]
    if ids and addresses and len(ids) != len(addresses):
        raise InvalidPublicAccess("publicip_id", "and eip_address must have as many parts")
    if max(len(ids), len(addresses)) > instance.broker_count:
        raise InvalidPublicAccess("publicip_id", f"{instance.broker_count} at most: one a broker")
    for address in addresses:
        _check_address(address)
    for address_id in ids:
        if not ADDRESS_ID_FORM.fullmatch(address_id):
            raise InvalidPublicAccess("publicip_id", "must be ids separated by commas")
    ids = ids or [str(uuid.uuid5(_POOL_NAMESPACE, address)) for address in addresses]
    addresses = addresses or [pool_address(address_id) for address_id in ids]
    if len(set(ids)) < len(ids) or len(set(addresses)) < len(addresses):
        raise InvalidPublicAccess("publicip_id", "must name each address once")
    return tuple(map(PublicAddress, ids, addresses))


def _check_address(address: str) -> None:
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise InvalidPublicAccess("eip_address", "must be IPv4 addresses, by commas") from None


def pool_address(address_id: str) -> str:
    """The address that an elastic IP's id stands for: the same id, the same address, always."""
    digest = hashlib.sha256(address_id.encode()).digest()
    return str(_POOL[1 + int.from_bytes(digest[:8], "big") % (_POOL.num_addresses - 2)])


def _bound(instance: Instance) -> tuple[PublicAddress, ...]:
    access = instance.public_access
    return () if access is None else tuple(map(PublicAddress, access.address_ids, access.addresses))


def _public(pairs: tuple[PublicAddress, ...], *, is_on: bool) -> dict[str, Any]:
    return {  # [D] keys and their order: the page's example
        "public_ip_id": ",".join(pair.id for pair in pairs),
        "public_ip_address": ",".join(pair.address for pair in pairs),
        "enable_public_ip": is_on,
    }
