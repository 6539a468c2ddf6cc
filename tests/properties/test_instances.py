from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.api.exchange import Request
from backroom.domain.account import Identity, Role
from backroom.domain.errors import InvalidInput
from backroom.domain.ids import InstanceId, ProjectId, UserId
from backroom.domain.instance import Broker, Instance, InstanceStatus, PublicAccess
from backroom.wire.flavors import FLAVORS
from backroom.wire.instance_requests import (
    SASL_MECHANISMS,
    SASL_PROTOCOLS,
    STORAGE_SPEC_CODES,
    CreateBody,
    decode_create,
)
from backroom.wire.instances import (
    InstanceBody,
    decode_list,
    encode_instance,
    encode_instances,
)

WHO = Identity(ProjectId("a" * 32), UserId("b" * 32), "tester", Role.OPERATOR)
INSTANCE = InstanceId("4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
TYPES = msgspec.structs.fields(CreateBody)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
good = {
    "name": "kafka-test", "engine": "kafka", "engine_version": "2.7", "broker_num": 3,
    "storage_space": 300, "vpc_id": "v", "security_group_id": "g", "subnet_id": "s",
    "available_zones": ["z"], "product_id": "c6.2u4g.cluster",
    "storage_spec_code": STORAGE_SPEC_CODES[0], "ssl_enable": True, "access_user": "root",
    "password": "Secret_01",
}  # fmt: skip
names = st.sampled_from(CreateBody.__struct_fields__)
# any JSON; a good body with one to three fields of any JSON; one with fields of the right type
arbitrary = st.dictionaries(names | st.text(), json_values, max_size=12)
nearly_good = st.dictionaries(names, json_values, max_size=3).map(lambda some: good | some)
well_typed = st.sampled_from(TYPES).flatmap(
    lambda field: st.from_type(field.type).map(
        lambda value: good | {field.encode_name: msgspec.to_builtins(value)}
    )
)


def decoded(asked: dict[str, Any]) -> tuple[Instance, Any, dict[str, Any]] | None:
    request = Request(
        method="POST", raw_path=b"/", raw_query=b"", headers=[], request_id="r",
        body=msgspec.json.encode(asked),
    )  # fmt: skip
    try:
        return decode_create(request.json(CreateBody), WHO, INSTANCE, NOW)
    except InvalidInput:
        return None


@settings(deadline=None, max_examples=400)
@given(arbitrary | nearly_good | well_typed)
def test_create_of_any_json_object_is_done_or_refused(asked):
    made = decoded(asked)
    if made is None:
        return
    instance, params, shown = made
    assert (instance.version, instance.status) == (1, InstanceStatus.CREATING)
    assert params.broker_count == instance.broker_count == shown["broker_num"]
    assert (params.password is None) == (instance.access_user is None)
    assert "password" not in shown
    assert msgspec.json.decode(msgspec.json.encode(instance), type=Instance) == instance
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown


def test_the_good_body_is_good():
    assert decoded(good) is not None


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["engine", "name", "instance_id", "status", "include_failure", "exact_match_name",
             "enterprise_project_id", "offset", "limit"]
        ),
        st.sampled_from(["true", "kafka", "0", "7", str(INSTANCE), "RUNNING"]) | st.text(),
    )
)  # fmt: skip
def test_list_query_of_any_texts_is_read_or_refused(query):
    try:
        wanted, page = decode_list(query, ProjectId("a" * 32))
    except InvalidInput:
        return
    assert wanted.project_id == "a" * 32
    assert page.skip >= 0
    assert 1 <= page.limit <= 50


text = st.text(max_size=20)
hosts = st.integers(0, 255).map("10.0.0.{}".format)
brokers = st.lists(
    st.builds(Broker, id=st.integers(0, 99), host=hosts, port=st.integers(1, 65535)), max_size=5
).map(tuple)
texts = st.lists(text, max_size=4).map(tuple)
instances = st.builds(
    Instance,
    id=st.uuids().map(str), project_id=text, name=text, status=st.sampled_from(InstanceStatus),
    user_id=text, user_name=text,
    created_at=st.integers(0, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)),
    engine_version=text, broker_count=st.integers(0, 50), storage_gb=st.integers(0, 1_500_000),
    product_id=text | st.sampled_from([f"c6.{flavor}" for flavor in FLAVORS]),
    storage_spec_code=text, vpc_id=text, subnet_id=text, security_group_id=text,
    available_zones=texts, description=text, access_user=st.none() | text,
    ssl_enabled=st.booleans(), security_protocol=st.none() | st.sampled_from(SASL_PROTOCOLS),
    sasl_mechanisms=st.lists(st.sampled_from(SASL_MECHANISMS)).map(tuple),
    vpc_plaintext=st.booleans(), tags=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    brokers=brokers,
    public_access=st.none() | st.builds(
        PublicAccess, address_ids=texts, addresses=texts,
        bandwidth_mbit_per_s=st.integers(1, 2000),
    ),
    extend_count=st.integers(0, 20),
)  # fmt: skip


@settings(deadline=None)
@given(instances)
def test_what_is_shown_survives_json_and_has_no_null(instance):
    shown = encode_instance(instance, None)
    text_form = msgspec.json.encode(shown)
    assert msgspec.json.decode(text_form, type=InstanceBody) == shown
    plain = msgspec.json.decode(text_form)
    assert None not in plain.values()
    assert None not in plain["port_protocols"].values()
    assert int(plain["created_at"]) >= 0
    assert plain["enable_publicip"] is (instance.public_access is not None)


@settings(deadline=None)
@given(instances)
def test_a_list_shows_what_show_shows(instance):
    listed = encode_instances([instance], 9)
    assert listed.instances == (encode_instance(instance, None),)
    assert listed.instance_num == 9
