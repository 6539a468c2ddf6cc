"""Instances: how a client sees one and lists them.

Where each field and rule comes from, and how sure it is: docs/wire/instances.md.
"""

import functools
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from backroom.domain.errors import InvalidInput, InvalidInstanceId, UnsupportedEngine
from backroom.domain.filter import Page
from backroom.domain.ids import ProjectId
from backroom.domain.instance import Instance, InstanceFilter, InstanceStatus
from backroom.domain.task import FINAL, Kind, TaskRecord
from backroom.wire.flavors import FLAVORS, flavor_of
from backroom.wire.queries import whole_number
from backroom.wire.tasks import status_of
from backroom.wire.times import encode_epoch_ms

ENGINE: Final = "kafka"
PLAINTEXT: Final = "PLAINTEXT"
SASL_SSL: Final = "SASL_SSL"

LIST_LIMIT_DEFAULT: Final = 10  # [D]
LIST_LIMIT_MAX: Final = 50  # [D]
EVERY_ENTERPRISE_PROJECT: Final = "all_granted_eps"  # [O] Terraform sends it to other services
# [D] beside ours, those of tasks-api and the Terraform provider: a client may filter by them
OTHER_STATUSES: Final = ("STARTING", "DELETED", "FROZEN", "RECYCLE", "CONNECTOR_DELETING")

PORT_WHILE_CREATING: Final = 9092  # [D] example; clients read an int
PUBLIC_PORT_PLAIN: Final = 9094  # [D] PortProtocol
PUBLIC_PORT_SASL: Final = 9095  # [D] PortProtocol
RESERVED_GB_PER_BROKER: Final = 33  # [D] kept for logs and metadata, not for messages
PAY_PER_USE: Final = 1  # [D] charging_mode

ENCODED_MOST: Final = 256  # instances of which the answer is kept

UUID_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class TagBody(msgspec.Struct, frozen=True):
    key: str
    value: str


class TaskInFlightBody(msgspec.Struct, frozen=True):
    name: str
    status: str
    created_at: str


class PortProtocolsBody(msgspec.Struct, frozen=True, kw_only=True):
    private_plain_enable: bool
    private_plain_address: str
    private_plain_domain_name: str = ""
    private_sasl_ssl_enable: bool
    private_sasl_ssl_address: str
    private_sasl_ssl_domain_name: str = ""
    private_sasl_plaintext_enable: bool
    private_sasl_plaintext_address: str
    private_sasl_plaintext_domain_name: str = ""
    public_plain_enable: bool
    public_plain_address: str
    public_plain_domain_name: str = ""
    public_sasl_ssl_enable: bool
    public_sasl_ssl_address: str
    public_sasl_ssl_domain_name: str = ""
    public_sasl_plaintext_enable: bool
    public_sasl_plaintext_address: str
    public_sasl_plaintext_domain_name: str = ""


class InstanceBody(msgspec.Struct, frozen=True, kw_only=True):
    """Never a null: typed clients read "", 0, false and [] without care.

    A field with a default is a thing that instances of ours don't have or all have alike.
    """

    name: str
    engine: str = ENGINE
    engine_version: str
    description: str
    specification: str
    storage_space: int
    partition_num: str
    used_storage_space: int = 0
    dns_enable: bool = False
    connect_address: str
    port: int
    status: str
    instance_id: str
    resource_spec_code: str
    charging_mode: int = PAY_PER_USE
    vpc_id: str
    vpc_name: str = ""
    created_at: str
    subnet_name: str = ""
    subnet_cidr: str = ""
    user_id: str
    user_name: str
    access_user: str
    order_id: str = ""
    maintain_begin: str
    maintain_end: str
    enable_publicip: bool
    publicip_id: str
    publicip_address: str
    management_connect_address: str = ""
    ssl_enable: bool
    broker_ssl_enable: bool = False
    kafka_security_protocol: str
    sasl_enabled_mechanisms: tuple[str, ...]
    ssl_two_way_enable: bool = False
    cert_replaced: bool = False
    public_management_connect_address: str = ""
    enterprise_project_id: str
    is_logical_volume: bool = True  # [D] true for all but instances from before online expansion
    extend_times: int
    enable_auto_topic: bool
    type: str
    product_id: str
    security_group_id: str
    security_group_name: str = ""
    subnet_id: str
    available_zones: tuple[str, ...]
    available_zone_names: tuple[str, ...]
    total_storage_space: int
    public_connect_address: str
    public_connect_domain_name: str = ""
    storage_resource_id: str = ""
    storage_spec_code: str
    service_type: str = "advanced"  # [D] the only value
    storage_type: str = "hec"  # [D] the only value
    retention_policy: str
    kafka_public_status: str
    public_bandwidth: int
    enable_log_collection: bool = False
    new_auth_cert: bool = False
    cross_vpc_info: str
    public_cross_vpc_info: str = ""
    ipv6_enable: bool = False
    ipv6_connect_addresses: tuple[str, ...] = ()
    connector_enable: bool = False
    connector_node_num: int = 0
    connector_id: str = ""
    rest_enable: bool = False
    rest_connect_address: str = ""
    public_boundwidth: int  # [D] the wire's spelling, to go one day; ShowInstanceResponse
    message_query_inst_enable: bool = False
    vpc_client_plain: bool
    support_features: str = ""
    trace_enable: bool = False
    agent_enable: bool = False
    pod_connect_address: str = ""
    disk_encrypted: bool = False
    disk_encrypted_key: str = ""
    kafka_private_connect_address: str
    kafka_private_connect_domain_name: str = ""
    ces_version: str = "linux"  # [D] example
    public_access_enabled: str
    node_num: int
    port_protocols: PortProtocolsBody
    enable_acl: bool = False
    new_spec_billing_enable: bool = True  # [I] flavors of the c6 kind; false was for 100MB ones
    broker_num: int
    tags: tuple[TagBody, ...]
    dr_enable: bool = False
    task: TaskInFlightBody | msgspec.UnsetType = msgspec.UNSET  # [O] golangsdk results.go


class TagsBody(msgspec.Struct, frozen=True):
    tags: tuple[TagBody, ...]


class ClusterBrokerBody(msgspec.Struct, frozen=True):
    host: str
    port: int
    broker_id: str  # [D] the models of all SDKs; [P] Terraform fails on the number of the example
    health: bool


class ClusterMembersBody(msgspec.Struct, frozen=True):
    brokers: tuple[ClusterBrokerBody, ...]


class ClusterBody(msgspec.Struct, frozen=True):
    cluster: ClusterMembersBody


class InstanceListBody(msgspec.Struct, frozen=True):
    instances: tuple[InstanceBody, ...]
    instance_num: int


def encode_instance(instance: Instance, current: TaskRecord | None) -> InstanceBody:
    """`current` is the task at the head of the instance's lane; a final one is not shown."""
    return _body(instance, _encode_in_flight(current))


def encode_shown(instance: Instance, current: TaskRecord | None) -> bytes:
    """As `encode_instance`, as JSON."""
    return _encoded(instance, _encode_in_flight(current))


@functools.lru_cache(maxsize=ENCODED_MOST)
def _encoded(instance: Instance, task: TaskInFlightBody | msgspec.UnsetType) -> bytes:
    return msgspec.json.encode(_body(instance, task))


def _body(instance: Instance, task: TaskInFlightBody | msgspec.UnsetType) -> InstanceBody:
    access = instance.public_access
    bandwidth = 0 if access is None else access.bandwidth_mbit_per_s
    public_status = "closed" if access is None else "actived"
    flavor = flavor_of(instance.product_id)
    partitions_per_broker = 0 if flavor is None else flavor.partitions_per_broker
    reserved_gb = RESERVED_GB_PER_BROKER * instance.broker_count
    return InstanceBody(
        name=instance.name,
        engine_version=instance.engine_version,
        description=instance.description,
        specification=_specification(instance.product_id),
        storage_space=max(0, instance.storage_gb - reserved_gb),
        total_storage_space=instance.storage_gb,
        partition_num=str(partitions_per_broker * instance.broker_count),
        connect_address=",".join(broker.host for broker in instance.brokers),
        kafka_private_connect_address=_private_address(instance),
        port=instance.brokers[0].port if instance.brokers else PORT_WHILE_CREATING,
        port_protocols=_encode_port_protocols(instance),
        cross_vpc_info=_encode_cross_vpc(instance),
        status=instance.status.value,
        instance_id=instance.id,
        resource_spec_code=f"dms.platinum.{instance.product_id.partition('.')[0]}",
        product_id=instance.product_id,
        storage_spec_code=instance.storage_spec_code,
        type="single" if instance.broker_count == 1 else "cluster",
        broker_num=instance.broker_count,
        node_num=instance.broker_count,
        extend_times=instance.extend_count,
        vpc_id=instance.vpc_id,
        subnet_id=instance.subnet_id,
        security_group_id=instance.security_group_id,
        available_zones=instance.available_zones,
        available_zone_names=instance.available_zones,
        created_at=str(encode_epoch_ms(instance.created_at)),
        user_id=instance.user_id,
        user_name=instance.user_name,
        access_user=instance.access_user or "",
        ssl_enable=instance.ssl_enabled,
        kafka_security_protocol=_security_protocol(instance),
        sasl_enabled_mechanisms=instance.sasl_mechanisms,
        vpc_client_plain=instance.vpc_plaintext,
        maintain_begin=instance.maintain_begin,
        maintain_end=instance.maintain_end,
        retention_policy=instance.retention_policy,
        enable_auto_topic=instance.auto_create_topics,
        enterprise_project_id=instance.enterprise_project_id,
        enable_publicip=access is not None,
        publicip_id="" if access is None else ",".join(access.address_ids),
        publicip_address="" if access is None else ",".join(access.addresses),
        public_connect_address=_public_address(instance),
        public_bandwidth=bandwidth,
        public_boundwidth=bandwidth,
        kafka_public_status=public_status,
        public_access_enabled=public_status,
        tags=_tags(instance),
        task=task,
    )


def encode_instances(page: Sequence[Instance], total: int) -> InstanceListBody:
    """`total` counts all that match, whatever the page [O: Terraform pages until it]."""
    return InstanceListBody(tuple(encode_instance(instance, None) for instance in page), total)


def decode_list(query: Mapping[str, str], project_id: ProjectId) -> tuple[InstanceFilter, Page]:
    if query.get("engine", ENGINE).lower() != ENGINE:
        raise UnsupportedEngine("engine", f"must be {ENGINE}")
    status = query.get("status")
    if status is not None and status not in (*InstanceStatus, *OTHER_STATUSES):
        raise InvalidInput("status", f"must be one of {', '.join(InstanceStatus)}")
    wanted = InstanceFilter(
        project_id=project_id,
        name=query.get("name"),
        name_is_exact=_switch(query, "exact_match_name"),
        instance_id=_instance_id(query.get("instance_id")),
        status=status,
        enterprise_project_id=_enterprise_project(query.get("enterprise_project_id")),
        # [D] left out unless asked for; asking for the status asks for them, too [I]
        with_failed=_switch(query, "include_failure") or status == InstanceStatus.CREATE_FAILED,
    )
    page = Page(
        skip=whole_number(query, "offset", 0, least=0),
        limit=whole_number(query, "limit", LIST_LIMIT_DEFAULT, least=1, most=LIST_LIMIT_MAX),
    )
    return wanted, page


def _specification(product_id: str) -> str:
    """`kafka.2u4g.cluster` for `c6.2u4g.cluster` [D: ShowKafkaProductCores], else as it is."""
    flavor = product_id.partition(".")[2]
    return f"kafka.{flavor}" if flavor in FLAVORS else product_id


def _security_protocol(instance: Instance) -> str:
    return (instance.security_protocol or SASL_SSL) if instance.ssl_enabled else PLAINTEXT


def _private_address(instance: Instance) -> str:
    return ",".join(f"{broker.host}:{broker.port}" for broker in instance.brokers)


def _public_address(instance: Instance) -> str:
    """Empty without public access; each with its port: [O] Terraform refuses one without."""
    if instance.public_access is None:
        return ""
    port = PUBLIC_PORT_SASL if instance.ssl_enabled else PUBLIC_PORT_PLAIN
    return ",".join(f"{address}:{port}" for address in instance.public_access.addresses)


def _encode_port_protocols(instance: Instance) -> PortProtocolsBody:
    protocol = _security_protocol(instance)
    private, public = _private_address(instance), _public_address(instance)
    plain, sasl_ssl = protocol == PLAINTEXT, protocol == SASL_SSL
    sasl_plaintext = not plain and not sasl_ssl
    has_plain = plain or instance.vpc_plaintext
    has_public = instance.public_access is not None
    return PortProtocolsBody(
        private_plain_enable=has_plain,
        private_plain_address=private if has_plain else "",
        private_sasl_ssl_enable=sasl_ssl,
        private_sasl_ssl_address=private if sasl_ssl else "",
        private_sasl_plaintext_enable=sasl_plaintext,
        private_sasl_plaintext_address=private if sasl_plaintext else "",
        public_plain_enable=plain and has_public,
        public_plain_address=public if plain else "",
        public_sasl_ssl_enable=sasl_ssl and has_public,
        public_sasl_ssl_address=public if sasl_ssl else "",
        public_sasl_plaintext_enable=sasl_plaintext and has_public,
        public_sasl_plaintext_address=public if sasl_plaintext else "",
    )


def encode_tags(instance: Instance) -> TagsBody:
    return TagsBody(_tags(instance))


def encode_cluster(instance: Instance, alive: Collection[int]) -> ClusterBody:
    """`alive`: ids of the brokers that answer."""
    brokers = (
        ClusterBrokerBody(broker.host, broker.port, str(broker.id), broker.id in alive)
        for broker in instance.brokers
    )
    return ClusterBody(ClusterMembersBody(tuple(brokers)))


def _tags(instance: Instance) -> tuple[TagBody, ...]:
    return tuple(TagBody(key, value) for key, value in instance.tags)


def _encode_cross_vpc(instance: Instance) -> str:
    """JSON text by broker host [D: example]; empty until there are brokers.

    [O] Terraform's create waits until this isn't empty, its resize until it has all brokers.
    """
    if not instance.brokers:
        return ""
    hosts = {
        broker.host: {
            "advertised_ip": broker.host,
            "port": broker.port,
            "port_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{instance.id}/{broker.host}")),
        }
        for broker in instance.brokers
    }
    return msgspec.json.encode(hosts).decode()


def _encode_in_flight(current: TaskRecord | None) -> TaskInFlightBody | msgspec.UnsetType:
    if current is None or current.state in FINAL or current.kind != Kind.BACKGROUND:
        return msgspec.UNSET
    return TaskInFlightBody(
        name=current.name,
        status=status_of(current).value,
        created_at=current.created_at,
    )


def _switch(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise InvalidInput(name, "must be one of true, false")
    return value == "true"


def _instance_id(text: str | None) -> str | None:
    if text is None:
        return None
    if UUID_FORM.fullmatch(text) is None:
        raise InvalidInstanceId("instance_id", "must be a UUID")
    return text.lower()


def _enterprise_project(text: str | None) -> str | None:
    return None if text == EVERY_ENTERPRISE_PROJECT else text
