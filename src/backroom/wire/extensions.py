"""ResizeKafkaInstance and its two older paths (contract: docs/wire/extensions.md)."""

import re
from typing import Any, Final, Literal

import msgspec

from backroom.domain.errors import (
    ExpansionLimitReached,
    InvalidInput,
    InvalidPublicAccess,
    InvalidStorage,
    ProductNotFound,
)
from backroom.domain.ids import TaskId
from backroom.domain.instance import Instance
from backroom.operations.extend_instance import ExtendInstance
from backroom.ports import PublicAddress
from backroom.wire.flavors import FLAVORS, Flavor, flavor_of
from backroom.wire.public_access import ADDRESS_ID_FORM, pool_address

DISK_EXPANSIONS_MAX: Final = 20  # [D] user guide: "You can expand the storage space 20 times"
DISK_STEP_GB: Final = 100  # [D] SDK: multiples of 100, and 100 more for each broker at least
PRODUCT_FORM: Final = re.compile(r"[0-9A-Za-z_-]{1,32}\.[0-9a-z.]{1,31}")
_KINDS: Final = ("storage", "horizontal", "vertical")  # [D]


class ExtendBody(msgspec.Struct, frozen=True, kw_only=True):
    """ResizeEngineInstanceReq, and `new_spec_code` of the oldest path."""

    oper_type: str | None = None
    new_storage_space: int | None = None
    new_broker_num: int | None = None
    new_product_id: str | None = None
    publicip_id: str | None = None
    tenant_ips: list[str] | None = None
    second_tenant_subnet_id: str | None = None
    new_spec_code: str | None = None


class ExtendedBody(msgspec.Struct, frozen=True):
    job_id: str  # [D] the task's id


def decode_extend(body: ExtendBody, instance: Instance) -> tuple[ExtendInstance, dict[str, Any]]:
    """What the instance is to have in the end, and what anybody may see of that."""
    _refuse_unmodelled(body)
    flavor = flavor_of(instance.product_id)
    if flavor is None or flavor.brokers_max == 1:
        raise InvalidInput("oper_type", "is not available for single-node instances")  # [D]
    kind = _kind(body)
    match kind:
        case "storage":
            params = _larger_disks(body, instance, flavor)
        case "horizontal":
            params = _more_brokers(body, instance, flavor)
        case "vertical":
            params = _larger_machines(body, instance, flavor)
    return params, _public_params(params)


def encode_extended(task_id: TaskId) -> ExtendedBody:
    return ExtendedBody(task_id)


def _refuse_unmodelled(body: ExtendBody) -> None:
    """What would be taken for granted without being there is refused, not ignored [I]."""
    if body.new_spec_code:
        raise InvalidInput("new_spec_code", "is of products that are not on offer; leave it out")
    if body.tenant_ips:
        raise InvalidInput("tenant_ips", "is not available here; leave it out")
    if body.second_tenant_subnet_id:
        raise InvalidInput("second_tenant_subnet_id", "is not available here; leave it out")


def _kind(body: ExtendBody) -> Literal["storage", "horizontal", "vertical"]:
    """Required [D]; on the oldest path it need not be there, and a size alone is for the disks."""
    if body.oper_type is None and body.new_storage_space and not body.new_product_id:
        return "storage"
    for kind in _KINDS:
        if body.oper_type == kind:
            return kind
    raise InvalidInput("oper_type", f"must be one of {', '.join(_KINDS)}")


def _larger_disks(body: ExtendBody, instance: Instance, flavor: Flavor) -> ExtendInstance:
    if instance.extend_count >= DISK_EXPANSIONS_MAX:
        raise ExpansionLimitReached(instance.id, DISK_EXPANSIONS_MAX)
    space, brokers = body.new_storage_space, instance.broker_count
    least = -(-(instance.storage_gb + DISK_STEP_GB * brokers) // DISK_STEP_GB) * DISK_STEP_GB
    most = flavor.storage_per_broker_max_gb * brokers
    if space is None or space % DISK_STEP_GB or not least <= space <= most:
        why = (
            f"must be a multiple of {DISK_STEP_GB} from {least} to {most} GB: it has"
            f" {instance.storage_gb}, and each of {brokers} brokers gets {DISK_STEP_GB} at least"
            if least <= most
            else f"can't grow any more: {instance.product_id} has {most} GB at most"
        )
        raise InvalidStorage("new_storage_space", why)
    return _params("storage", instance, storage_gb=space)


def _more_brokers(body: ExtendBody, instance: Instance, flavor: Flavor) -> ExtendInstance:
    brokers = body.new_broker_num
    if brokers is None or not instance.broker_count < brokers <= flavor.brokers_max:
        raise InvalidInput(
            "new_broker_num",
            f"must be more than the {instance.broker_count} there are and at most"
            f" {flavor.brokers_max} for {instance.product_id}",
        )
    storage_gb = instance.storage_gb * brokers // instance.broker_count
    # [D] mandatory; [O] Terraform leaves it out
    if body.new_storage_space not in (None, storage_gb):
        raise InvalidStorage(
            "new_storage_space",
            f"must be {storage_gb} or left out: the disk of each broker stays as it is",
        )
    return _params(
        "horizontal",
        instance,
        storage_gb=storage_gb,
        broker_count=brokers,
        new_addresses=_new_addresses(body.publicip_id, instance, brokers),
    )


def _new_addresses(text: str | None, instance: Instance, brokers: int) -> tuple[PublicAddress, ...]:
    """One for each new broker [O: Terraform checks that], or none."""
    if not text:
        return ()
    access, added = instance.public_access, brokers - instance.broker_count
    if access is None:
        raise InvalidPublicAccess("publicip_id", "needs public access, which is off")
    ids = [part.strip() for part in text.split(",")]
    if not all(ADDRESS_ID_FORM.fullmatch(part) for part in ids) or len(ids) != added:
        raise InvalidPublicAccess("publicip_id", f"must be {added} ids separated by commas")
    if len(access.address_ids) < instance.broker_count:
        raise InvalidPublicAccess("publicip_id", "needs an address on every broker there is")
    found = tuple(PublicAddress(part, pool_address(part)) for part in ids)
    if (
        len({*ids, *access.address_ids}) < brokers
        or len({*access.addresses, *(address.address for address in found)}) < brokers
    ):
        raise InvalidPublicAccess("publicip_id", "must name each address once, and new ones")
    return found


def _larger_machines(body: ExtendBody, instance: Instance, flavor: Flavor) -> ExtendInstance:
    """[D] The flavor can only grow; brokers and disks stay as they are."""
    product_id = body.new_product_id or ""
    wanted = flavor_of(product_id)
    if wanted is None or PRODUCT_FORM.fullmatch(product_id) is None:
        raise ProductNotFound(
            "new_product_id", f"must be a family such as c6, a dot, and one of {', '.join(FLAVORS)}"
        )
    is_larger = wanted.partitions_per_broker > flavor.partitions_per_broker
    if not is_larger or not wanted.brokers_min <= instance.broker_count <= wanted.brokers_max:
        raise ProductNotFound(
            "new_product_id",
            f"must be larger than {instance.product_id} and fit {instance.broker_count} brokers",
        )
    return _params("vertical", instance, product_id=product_id)


def _params(
    kind: Literal["storage", "horizontal", "vertical"], instance: Instance, **changes: Any
) -> ExtendInstance:
    same = ExtendInstance(
        kind=kind,
        storage_gb=instance.storage_gb,
        broker_count=instance.broker_count,
        product_id=instance.product_id,
    )
    return msgspec.structs.replace(same, **changes)


def _public_params(params: ExtendInstance) -> dict[str, Any]:
    """[I] no source shows the params of this task; the names are those of the request."""
    public: dict[str, Any] = {"oper_type": params.kind}
    if params.kind in ("storage", "horizontal"):
        public["new_storage_space"] = params.storage_gb
    if params.kind == "horizontal":
        public["new_broker_num"] = params.broker_count
    if params.kind == "vertical":
        public["new_product_id"] = params.product_id
    if params.new_addresses:
        public["publicip_id"] = ",".join(address.id for address in params.new_addresses)
    return public
