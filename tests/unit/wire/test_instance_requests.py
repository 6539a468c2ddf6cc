from datetime import UTC, datetime

import msgspec
import pytest
from huaweicloudsdkkafka.v2 import CreateInstanceByEngineReq
from tests.support.bodies import CREATE_BODY

from backroom.domain import errors
from backroom.domain.account import Identity, Role
from backroom.domain.ids import InstanceId, ProjectId, UserId
from backroom.domain.instance import Instance, InstanceStatus
from backroom.operations.create_instance import CreateInstance
from backroom.wire import instance_requests as wire
from backroom.wire.instances import encode_instance

PROJECT = ProjectId("a" * 32)
INSTANCE = InstanceId("4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01")
NOW = datetime(2020, 3, 31, 1, 36, 27, 87_000, tzinfo=UTC)
WHO = Identity(PROJECT, UserId("b" * 32), "tester", Role.OPERATOR)

ASKED = CREATE_BODY
SASL = {"ssl_enable": True, "access_user": "root-1", "password": "Secret_01"}


def create(**changes: object) -> tuple[Instance, CreateInstance, dict[str, object]]:
    body = msgspec.convert(ASKED | changes, wire.CreateBody)
    return wire.decode_create(body, WHO, INSTANCE, NOW)


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
    assert params == CreateInstance(
        broker_count=3, storage_gb=300, engine_version="2.7", product_id="c6.2u4g.cluster"
    )
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
    seen = msgspec.to_builtins(encode_instance(create(**SASL)[0], None))
    assert (seen["status"], seen["connect_address"]) == ("CREATING", "")
    assert seen["port_protocols"]["private_sasl_ssl_enable"] is True
