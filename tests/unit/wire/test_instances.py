from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from huaweicloudsdkkafka.v2 import (
    CreateInstanceByEngineReq,
    KafkaClient,
    ListInstancesResponse,
    PortProtocolsEntity,
    ShowInstanceResp,
    ShowInstanceResponse,
)

from backroom.domain import errors
from backroom.domain.account import Identity, Role
from backroom.domain.filter import Page
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId
from backroom.domain.instance import Broker, Instance, InstanceFilter, InstanceStatus, PublicAccess
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, State, TaskRecord
from backroom.operations.create_instance import CreateInstance
from backroom.wire import instances as wire

PROJECT = ProjectId("a" * 32)
INSTANCE = InstanceId("4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01")
NOW = datetime(2020, 3, 31, 1, 36, 27, 87_000, tzinfo=UTC)
WHO = Identity(PROJECT, UserId("b" * 32), "tester", Role.OPERATOR)

ASKED = {
    "name": "kafka-test",
    "engine": "kafka",
    "engine_version": "2.7",
    "broker_num": 3,
    "storage_space": 300,
    "vpc_id": "1a28dcc5-c90d-421c-82bb-783f30f5b40a",
    "security_group_id": "0cc8fdb7-872a-49da-a062-88ccc39463b5",
    "subnet_id": "ebba7994-260d-42ab-bce1-39a08b365dc8",
    "available_zones": ["ae04cf9d61544df3806a3feeb401b204"],
    "product_id": "c6.2u4g.cluster",
    "storage_spec_code": "dms.physical.storage.ultra.v2",
}
SASL = {"ssl_enable": True, "access_user": "root-1", "password": "Secret_01"}


def create(**changes: object) -> tuple[Instance, CreateInstance, dict[str, object]]:
    body = msgspec.convert(ASKED | changes, wire.CreateBody)
    return wire.decode_create(body, WHO, INSTANCE, NOW)


def instance(**changes: object) -> Instance:
    made = {
        "id": INSTANCE, "project_id": PROJECT, "name": "kafka-test",
        "status": InstanceStatus.RUNNING, "user_id": WHO.user_id, "user_name": "tester",
        "created_at": NOW, "engine_version": "2.7", "broker_count": 3, "storage_gb": 600,
        "product_id": "s6.2u4g.cluster.small",
        "storage_spec_code": "dms.physical.storage.high.v2", "vpc_id": "v", "subnet_id": "s",
        "security_group_id": "g", "available_zones": ("z1", "z2", "z3"),
        "brokers": tuple(
            Broker(id=number, host=f"192.168.0.{number}", port=9092) for number in (1, 2, 3)
        ),
    }  # fmt: skip
    return Instance(**(made | changes))


def public(**changes: object) -> Instance:
    access = PublicAccess(
        address_ids=("e1", "e2"), addresses=("100.9.0.1", "100.9.0.2"), bandwidth_mbit_per_s=50
    )
    return instance(public_access=access, **changes)


def task(state: State = State.RUNNING, kind: Kind = Kind.BACKGROUND) -> TaskRecord:
    return TaskRecord(
        id=TaskId("c" * 32), project_id=PROJECT, instance_id=INSTANCE, kind=kind,
        name="bindInstancePublicIp", user_id=WHO.user_id, user_name="tester", params="{}",
        state=state, created_at=stamp(NOW), updated_at=stamp(NOW),
    )  # fmt: skip


def body(of: Instance, current: TaskRecord | None = None) -> dict[str, object]:
    return msgspec.json.decode(msgspec.json.encode(wire.encode_instance(of, current)))


def sdk(response: object, kind: str) -> object:
    answer = SimpleNamespace(text=msgspec.json.encode(response).decode())
    return KafkaClient().deserialize(answer, kind, None)


JSON_TYPES = {"str": str, "int": int, "bool": bool, "list[str]": list, "list[TagEntity]": list}


@pytest.mark.parametrize("model", [ShowInstanceResponse, ShowInstanceResp])
def test_every_key_of_the_official_model_is_there_with_its_json_type(model):
    seen = body(public(tags=(("k", "v"),), sasl_mechanisms=("PLAIN",)))
    for attribute, kind in model.openapi_types.items():
        value = seen[model.attribute_map[attribute]]
        assert type(value) is JSON_TYPES.get(kind, dict), attribute


def test_every_key_of_the_official_port_protocols_is_there():
    assert set(body(instance())["port_protocols"]) == set(
        PortProtocolsEntity.attribute_map.values()
    )


def test_body_has_no_null_even_before_there_are_brokers():
    seen = body(instance(status=InstanceStatus.CREATING, brokers=()))
    assert None not in seen.values()
    assert None not in seen["port_protocols"].values()


def test_official_sdk_reads_show_to_equal_values():
    shown = public(tags=(("k", "v"),), ssl_enabled=True, access_user="root")
    seen = body(shown)
    read = sdk(wire.encode_instance(shown, None), "ShowInstanceResponse")
    assert isinstance(read, ShowInstanceResponse)
    for attribute, key in ShowInstanceResponse.attribute_map.items():
        value = getattr(read, attribute)
        if key == "tags":
            assert [(tag.key, tag.value) for tag in value] == [("k", "v")]
        elif key == "port_protocols":
            assert value.to_dict() == seen[key]
        else:
            assert value == seen[key], key


def test_official_sdk_reads_list_to_equal_values():
    page = [instance(), public(name="other")]
    read = sdk(wire.encode_instances(page, 7), "ListInstancesResponse")
    assert isinstance(read, ListInstancesResponse)
    assert read.instance_num == 7
    assert [one.name for one in read.instances] == ["kafka-test", "other"]
    assert read.instances[0].connect_address == "192.168.0.1,192.168.0.2,192.168.0.3"
    assert read.instances[1].public_bandwidth == 50


def test_created_at_is_milliseconds_in_a_string():
    assert body(instance())["created_at"] == "1585618587087"


def test_sizes_and_flavor():
    seen = body(instance())
    assert seen["total_storage_space"] == 600
    assert seen["storage_space"] == 501
    assert seen["partition_num"] == "300"
    assert seen["specification"] == "kafka.2u4g.cluster.small"
    assert seen["product_id"] == "s6.2u4g.cluster.small"
    assert seen["resource_spec_code"] == "dms.platinum.s6"
    assert (seen["type"], seen["broker_num"], seen["node_num"]) == ("cluster", 3, 3)


def test_unknown_product_and_small_disk_are_still_shown():
    seen = body(instance(product_id="own", storage_gb=0, broker_count=1))
    assert (seen["specification"], seen["partition_num"]) == ("own", "0")
    assert (seen["storage_space"], seen["type"]) == (0, "single")


def test_addresses_while_creating_are_empty():
    seen = body(instance(brokers=()))
    assert seen["connect_address"] == ""
    assert seen["kafka_private_connect_address"] == ""
    assert seen["cross_vpc_info"] == ""
    assert seen["port"] == 9092


def test_addresses_of_a_plain_instance():
    brokers = (Broker(id=1, host="10.0.0.1", port=19092), Broker(id=2, host="10.0.0.2", port=19093))
    seen = body(instance(brokers=brokers))
    assert seen["connect_address"] == "10.0.0.1,10.0.0.2"
    assert seen["port"] == 19092
    assert seen["kafka_private_connect_address"] == "10.0.0.1:19092,10.0.0.2:19093"
    ports = seen["port_protocols"]
    assert ports["private_plain_address"] == seen["kafka_private_connect_address"]
    assert [name for name, value in ports.items() if value is True] == ["private_plain_enable"]
    assert seen["kafka_security_protocol"] == "PLAINTEXT"


def test_cross_vpc_info_has_each_broker_in_json_text():
    info = msgspec.json.decode(body(instance())["cross_vpc_info"])
    assert list(info) == ["192.168.0.1", "192.168.0.2", "192.168.0.3"]
    assert info["192.168.0.2"]["advertised_ip"] == "192.168.0.2"
    assert info["192.168.0.2"]["port"] == 9092
    assert len({broker["port_id"] for broker in info.values()}) == 3
    assert info == msgspec.json.decode(body(instance())["cross_vpc_info"])


def test_public_access_off():
    seen = body(instance())
    assert seen["enable_publicip"] is False
    assert seen["kafka_public_status"] == seen["public_access_enabled"] == "closed"
    assert seen["public_connect_address"] == seen["publicip_id"] == seen["publicip_address"] == ""
    assert seen["public_bandwidth"] == seen["public_boundwidth"] == 0


def test_public_access_on():
    seen = body(public())
    assert seen["enable_publicip"] is True
    assert seen["kafka_public_status"] == seen["public_access_enabled"] == "actived"
    assert seen["public_connect_address"] == "100.9.0.1:9094,100.9.0.2:9094"
    assert (seen["publicip_id"], seen["publicip_address"]) == ("e1,e2", "100.9.0.1,100.9.0.2")
    assert seen["public_bandwidth"] == seen["public_boundwidth"] == 50
    assert seen["port_protocols"]["public_plain_enable"] is True
    assert seen["port_protocols"]["public_plain_address"] == seen["public_connect_address"]


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("plain", [True, False])
def test_port_protocols_with_sasl(protocol, plain):
    seen = body(
        public(
            ssl_enabled=True, security_protocol=protocol, vpc_plaintext=plain, access_user="root"
        )
    )
    ports = seen["port_protocols"]
    word = protocol.lower()
    expected = {f"private_{word}_enable", f"public_{word}_enable"}
    assert {name for name, value in ports.items() if value is True} == expected | (
        {"private_plain_enable"} if plain else set()
    )
    assert ports[f"public_{word}_address"] == "100.9.0.1:9095,100.9.0.2:9095"
    assert seen["kafka_security_protocol"] == protocol
    assert seen["vpc_client_plain"] is plain
    assert (seen["ssl_enable"], seen["access_user"]) == (True, "root")


@pytest.mark.parametrize("status", InstanceStatus)
def test_status_is_the_wires(status):
    assert body(instance(status=status))["status"] == status.value


@pytest.mark.parametrize("state", [State.WAITING, State.RUNNING])
def test_task_is_shown_while_in_flight(state):
    assert body(instance(), task(state))["task"] == {
        "name": "bindInstancePublicIp",
        "status": "CREATED",
        "created_at": "2020-03-31T01:36:27.087Z",
    }


@pytest.mark.parametrize(
    "current",
    [None, *(task(state) for state in State if state.is_final), task(kind=Kind.SCHEDULED)],
)
def test_task_is_left_out_when_nothing_is_in_flight(current):
    assert "task" not in body(instance(), current)


def test_list_by_default():
    assert wire.decode_list({}, PROJECT) == (
        InstanceFilter(project_id=PROJECT, with_failed=False),
        Page(0, 10),
    )


def test_list_with_everything():
    query = {
        "engine": "Kafka", "name": "a", "exact_match_name": "true", "status": "RUNNING",
        "instance_id": str(INSTANCE).upper(), "include_failure": "true",
        "enterprise_project_id": "0", "offset": "3", "limit": "50", "unknown": "x",
    }  # fmt: skip
    assert wire.decode_list(query, PROJECT) == (
        InstanceFilter(
            project_id=PROJECT, name="a", name_is_exact=True, instance_id=INSTANCE,
            status="RUNNING", enterprise_project_id="0", with_failed=True,
        ),
        Page(3, 50),
    )  # fmt: skip


def test_list_of_failed_ones_has_them_and_of_others_status_is_legal():
    assert wire.decode_list({"status": "CREATEFAILED"}, PROJECT)[0].with_failed
    assert wire.decode_list({"status": "FROZEN"}, PROJECT)[0].status == "FROZEN"


def test_list_of_every_enterprise_project_has_no_filter():
    query = {"enterprise_project_id": "all_granted_eps"}
    assert wire.decode_list(query, PROJECT)[0].enterprise_project_id is None


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("engine", "rabbitmq", errors.UnsupportedEngine),
        ("status", "running", errors.InvalidInput),
        ("instance_id", "4fdd8f3d", errors.InvalidInstanceId),
        ("include_failure", "1", errors.InvalidInput),
        ("exact_match_name", "yes", errors.InvalidInput),
        ("offset", "-1", errors.InvalidInput),
        ("limit", "0", errors.InvalidInput),
        ("limit", "51", errors.InvalidInput),
        ("limit", "ten", errors.InvalidInput),
    ],
)
def test_list_refuses(name, value, error):
    with pytest.raises(error) as raised:
        wire.decode_list({name: value}, PROJECT)
    assert type(raised.value) is error
    assert raised.value.parameter == name


def test_body_has_every_field_of_the_official_request():
    assert set(CreateInstanceByEngineReq.attribute_map.values()) == set(
        wire.CreateBody.__struct_fields__
    )


def test_create_the_least():
    made, params, shown = create()
    assert made == Instance(
        id=INSTANCE, project_id=PROJECT, name="kafka-test", status=InstanceStatus.CREATING,
        user_id=WHO.user_id, user_name="tester", created_at=NOW, engine_version="2.7",
        broker_count=3, storage_gb=300, product_id="c6.2u4g.cluster",
        storage_spec_code="dms.physical.storage.ultra.v2", vpc_id=ASKED["vpc_id"],
        subnet_id=ASKED["subnet_id"], security_group_id=ASKED["security_group_id"],
        available_zones=("ae04cf9d61544df3806a3feeb401b204",),
    )  # fmt: skip
    assert (made.version, made.brokers) == (1, ())
    assert params == CreateInstance(broker_count=3, storage_gb=300, engine_version="2.7")
    assert shown == {
        "name": "kafka-test", "engine_version": "2.7", "product_id": "c6.2u4g.cluster",
        "broker_num": 3, "storage_space": 300,
        "storage_spec_code": "dms.physical.storage.ultra.v2",
        "available_zones": ["ae04cf9d61544df3806a3feeb401b204"], "ssl_enable": False,
    }  # fmt: skip


def test_create_with_everything():
    made, params, shown = create(
        **SASL, description="d\n", kafka_security_protocol="SASL_PLAINTEXT",
        sasl_enabled_mechanisms=["SCRAM-SHA-512", "PLAIN"], vpc_client_plain=True,
        retention_policy="produce_reject", enable_auto_topic=True, maintain_begin="22:00",
        maintain_end="02:00:00", enterprise_project_id="e", arch_type="x86",
        tags=[{"key": "键 1", "value": "值"}, {"key": "b"}], bss_param={}, unknown=1,
        tenant_ips=[], publicip_id="ignored when off", disk_encrypted_enable=False,
    )  # fmt: skip
    assert made.description == "d\n"
    assert (made.ssl_enabled, made.security_protocol) == (True, "SASL_PLAINTEXT")
    assert made.sasl_mechanisms == ("SCRAM-SHA-512", "PLAIN")
    assert (made.access_user, made.vpc_plaintext) == ("root-1", True)
    assert (made.retention_policy, made.auto_create_topics) == ("produce_reject", True)
    assert (made.maintain_begin, made.maintain_end) == ("22:00:00", "02:00:00")
    assert made.enterprise_project_id == "e"
    assert made.tags == (("键 1", "值"), ("b", ""))
    assert (params.access_user, params.password) == ("root-1", "Secret_01")
    assert shown["access_user"] == "root-1"


def test_create_shows_the_password_to_nobody():
    made, _, shown = create(**SASL)
    seen = (
        f"{made}{shown}{msgspec.json.encode(made)}{msgspec.convert(ASKED | SASL, wire.CreateBody)}"
    )
    assert SASL["password"] not in seen


def test_create_with_sasl_by_default():
    made, _, _ = create(**SASL)
    assert (made.security_protocol, made.sasl_mechanisms) == ("SASL_SSL", ("PLAIN",))
    assert made.vpc_plaintext is False


def test_create_without_sasl_ignores_user_and_password():
    made, params, _ = create(access_user="x", password="y", kafka_security_protocol="SASL_SSL")
    assert (made.access_user, params.access_user, params.password) == (None, None, None)
    assert (made.security_protocol, made.sasl_mechanisms) == (None, ())


@pytest.mark.parametrize(
    ("ports", "protocol", "plaintext"),
    [
        ({"private_plain_enable": True}, None, False),
        ({"private_sasl_ssl_enable": True}, "SASL_SSL", False),
        ({"private_sasl_plaintext_enable": True}, "SASL_PLAINTEXT", False),
        ({"private_sasl_ssl_enable": True, "private_plain_enable": True}, "SASL_SSL", True),
    ],
)
def test_create_with_port_protocol_overrules_the_older_switches(ports, protocol, plaintext):
    made, _, _ = create(**(SASL | {"ssl_enable": protocol is None}), port_protocol=ports)
    assert (made.security_protocol, made.vpc_plaintext) == (protocol, plaintext)
    assert made.ssl_enabled is (protocol is not None)


def test_create_takes_the_version_as_a_number():
    assert create(engine_version=2.7)[0].engine_version == "2.7"


@pytest.mark.parametrize("version", ["1.1.0", "2.3.0", "2.7", "3.x"])
def test_create_takes_version(version):
    assert create(engine_version=version)[1].engine_version == version


@pytest.mark.parametrize(
    ("product_id", "brokers", "least", "most"),
    [
        ("s6.2u4g.single.small", 1, 100, 10_000),
        ("c6.2u4g.single", 1, 100, 10_000),
        ("s6.2u4g.cluster.small", 30, 3_000, 300_000),
        ("c6.2u4g.cluster", 30, 3_000, 300_000),
        ("c6.4u8g.cluster", 3, 300, 60_000),
        ("c6.8u16g.cluster", 50, 5_000, 1_500_000),
        ("c6.12u24g.cluster", 50, 5_000, 1_500_000),
        ("kc1.16u32g.cluster", 3, 300, 90_000),
    ],
)
def test_create_bounds_storage_by_product_and_brokers(product_id, brokers, least, most):
    asked = {"product_id": product_id, "broker_num": brokers}
    for space in (least, most):
        assert create(**asked, storage_space=space)[0].storage_gb == space
    for space in (least - 100, most + 100, least + 50, None):
        with pytest.raises(errors.InvalidStorage):
            create(**asked, storage_space=space)


@pytest.mark.parametrize(
    ("product_id", "brokers"),
    [("c6.2u4g.single", 3), ("c6.2u4g.cluster", 2), ("c6.4u8g.cluster", 31),
     ("c6.8u16g.cluster", 51), ("c6.2u4g.cluster", None), ("c6.2u4g.cluster", -1)],
)  # fmt: skip
def test_create_bounds_brokers_by_product(product_id, brokers):
    with pytest.raises(errors.InvalidInput, match="broker_num"):
        create(product_id=product_id, broker_num=brokers, storage_space=10_000)


@pytest.mark.parametrize(
    ("changes", "error", "parameter"),
    [
        *(({"name": name}, errors.InvalidName, "name") for name in
          (None, "", "abc", "1abc", "a b c", "a" * 65, "käfka", "kafka\n")),
        ({"description": "d" * 1025}, errors.InvalidDescription, "description"),
        ({"engine": None}, errors.UnsupportedEngine, "engine"),
        ({"engine": "rabbitmq"}, errors.UnsupportedEngine, "engine"),
        *(({"engine_version": version}, errors.UnsupportedVersion, "engine_version") for version in
          (None, "2.7,3.x", "4.0", 3, "3.9.0")),
        *(({"product_id": product}, errors.ProductNotFound, "product_id") for product in
          ("c6", "c6.", "c6.2u4g", "c6.2u4g.cluster.big", "00300-30308-0--0")),
        ({"product_id": None}, errors.InvalidInput, "product_id"),
        ({"storage_spec_code": None}, errors.InvalidInput, "storage_spec_code"),
        ({"storage_spec_code": "ultra"}, errors.InvalidInput, "storage_spec_code"),
        *(({name: value}, errors.InvalidInput, name)
          for name in ("vpc_id", "subnet_id", "security_group_id")
          for value in (None, "", "x" * 65, "a\0b")),
        *(({"available_zones": zones}, errors.InvalidInput, "available_zones") for zones in
          (None, [], [""], ["a", "b"], ["a", "a", "a"])),
        ({"retention_policy": "keep"}, errors.InvalidInput, "retention_policy"),
        ({"arch_type": "RISC"}, errors.InvalidInput, "arch_type"),
        *((SASL | {"access_user": user}, errors.InvalidAccessUser, "access_user") for user in
          (None, "abc", "1abcd", "a" * 65, "a.bcd")),
        *((SASL | {"password": password}, errors.InvalidPassword, "password") for password in
          (None, "Short_1", "Long_1" * 6, "alllower1", "-Secret_01", "Secret_é1", "12345678")),
        (SASL | {"access_user": "Secret_01"}, errors.InvalidInput, "password"),
        (SASL | {"access_user": "S10_terceS", "password": "Secret_01S"},
         errors.InvalidPassword, "password"),
        (SASL | {"kafka_security_protocol": "PLAINTEXT"}, errors.InvalidInput,
         "kafka_security_protocol"),
        (SASL | {"sasl_enabled_mechanisms": ["GSSAPI"]}, errors.InvalidInput,
         "sasl_enabled_mechanisms"),
        (SASL | {"port_protocol": {}}, errors.InvalidInput, "port_protocol"),
        (SASL | {"port_protocol": {"private_sasl_ssl_enable": True,
                                   "private_sasl_plaintext_enable": True}},
         errors.InvalidInput, "port_protocol"),
        *((SASL | {"port_protocol": {name: True}}, errors.InvalidPublicAccess, "port_protocol")
          for name in ("public_plain_enable", "public_sasl_ssl_enable",
                       "public_sasl_plaintext_enable")),
        ({"enable_publicip": True}, errors.InvalidPublicAccess, "enable_publicip"),
        ({"ipv6_enable": True}, errors.InvalidInput, "ipv6_enable"),
        ({"disk_encrypted_enable": True}, errors.InvalidInput, "disk_encrypted_enable"),
        ({"connector_enable": True}, errors.InvalidInput, "connector_enable"),
        ({"tenant_ips": ["192.168.0.9"]}, errors.InvalidInput, "tenant_ips"),
        ({"bss_param": {"charging_mode": "prePaid"}}, errors.InvalidInput,
         "bss_param.charging_mode"),
        *(({"maintain_begin": begin, "maintain_end": end}, errors.InvalidMaintenanceWindow,
           "maintain_begin") for begin, end in
          (("02:00", None), (None, "06:00"), ("02:00", "07:00"), ("03:00", "07:00"),
           ("02:30", "06:30"), ("2:00", "6:00"), ("26:00", "06:00"))),
        ({"tags": [{"key": f"k{number}"} for number in range(21)]}, errors.InvalidInput, "tags"),
        ({"tags": [{"key": "k"}, {"key": "k"}]}, errors.InvalidInput, "tags"),
        *(({"tags": [{"key": key}]}, errors.InvalidInput, "tags.key") for key in
          (None, "", "k" * 129, " k", "k ", "_sys_k", "a/b")),
        *(({"tags": [{"key": "k", "value": value}]}, errors.InvalidInput, "tags.value")
          for value in ("v" * 256, "a\nb", "v ")),
    ],
)  # fmt: skip
def test_create_refuses(changes, error, parameter):
    with pytest.raises(errors.InvalidInput) as raised:
        create(**changes)
    assert isinstance(raised.value, error)
    assert raised.value.parameter == parameter
    assert raised.value.why
    password = changes.get("password")
    assert not password or password not in str(raised.value)


@pytest.mark.parametrize("zones", [["a"], ["a", "b", "c"], ["a", "b", "c", "d"]])
def test_create_takes_one_zone_or_three_and_more(zones):
    assert create(available_zones=zones)[0].available_zones == tuple(zones)


def test_create_by_an_identity_without_project_is_refused():
    nobody = Identity(None, WHO.user_id, "tester", Role.OPERATOR)
    with pytest.raises(errors.InvalidProjectId):
        wire.decode_create(msgspec.convert(ASKED, wire.CreateBody), nobody, INSTANCE, NOW)


def test_a_new_instance_can_be_shown_at_once():
    seen = body(create(**SASL)[0])
    assert (seen["status"], seen["connect_address"]) == ("CREATING", "")
    assert seen["port_protocols"]["private_sasl_ssl_enable"] is True
