from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from huaweicloudsdkkafka.v2 import (
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
from backroom.wire import instances as wire

PROJECT = ProjectId("a" * 32)
INSTANCE = InstanceId("4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01")
NOW = datetime(2020, 3, 31, 1, 36, 27, 87_000, tzinfo=UTC)
WHO = Identity(PROJECT, UserId("b" * 32), "tester", Role.OPERATOR)


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
        state=state, created_at=stamp(NOW), updated_at=stamp(NOW), execute_at=None,
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
