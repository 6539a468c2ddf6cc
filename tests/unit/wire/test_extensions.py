import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.builders import make_instance

from backroom.domain.errors import InvalidInput, Refused
from backroom.operations.extend_instance import EXTEND_INSTANCE
from backroom.wire.extensions import ExtendBody, decode_extend
from backroom.wire.flavors import FLAVORS, flavor_of

INSTANCE = make_instance()
products = st.sampled_from([f"c6.{flavor}" for flavor in FLAVORS] + ["c6.1u1g.cluster", "", "x"])
numbers = st.none() | st.integers(-10, 60) | st.integers(-3, 320).map(lambda n: n * 100)
bodies = st.builds(
    ExtendBody,
    oper_type=st.sampled_from(["storage", "horizontal", "vertical", "node", None]),
    new_storage_space=numbers,
    new_broker_num=numbers,
    new_product_id=st.none() | products,
)


@given(bodies, products, st.integers(1, 50), st.integers(1, 300))
def test_whatever_is_accepted_grows_in_one_way_and_stays_within_the_product(
    body, product_id, brokers, hundreds
):
    sold = flavor_of(product_id)
    assume(sold is not None and sold.brokers_min <= brokers <= sold.brokers_max)
    instance = make_instance(product_id=product_id, broker_count=brokers, storage_gb=100 * hundreds)
    try:
        params, public = decode_extend(body, instance)
    except Refused:
        return
    before = (instance.storage_gb, instance.broker_count, instance.product_id)
    after = (params.storage_gb, params.broker_count, params.product_id)
    changes = [old != new for old, new in zip(before, after, strict=True)]
    expected = {
        "storage": [True, False, False],
        "horizontal": [True, True, False],
        "vertical": [False, False, True],
    }
    assert changes == expected[params.kind]
    assert params.storage_gb >= instance.storage_gb
    assert params.broker_count >= instance.broker_count
    flavor = flavor_of(params.product_id)
    assert params.broker_count <= flavor.brokers_max
    assert EXTEND_INSTANCE.prepare(instance, params).status == "EXTENDING"
    assert public["oper_type"] == params.kind
    msgspec.json.encode(public)


@pytest.mark.parametrize("total", [300, 400, 500, 1_000])
def test_disks_grow_by_a_hundred_for_each_broker_at_least(total):
    instance = make_instance(storage_gb=total)
    body = ExtendBody(oper_type="storage", new_storage_space=total + 300)
    assert decode_extend(body, instance)[0].storage_gb == total + 300
    short = ExtendBody(oper_type="storage", new_storage_space=total + 200)
    with pytest.raises(InvalidInput, match=str(total + 300)):
        decode_extend(short, instance)


def test_storage_of_new_brokers_is_their_share_even_where_that_is_no_whole_number():
    instance = make_instance(storage_gb=1_000)
    params, public = decode_extend(ExtendBody(oper_type="horizontal", new_broker_num=4), instance)
    assert params.storage_gb == public["new_storage_space"] == 1_333


def test_storage_that_is_no_multiple_of_a_hundred_gets_to_one():
    instance = make_instance(storage_gb=1_333, broker_count=4)
    body = ExtendBody(oper_type="storage", new_storage_space=1_800)
    assert decode_extend(body, instance)[0].storage_gb == 1_800
    with pytest.raises(InvalidInput, match="from 1800 to"):
        decode_extend(ExtendBody(oper_type="storage", new_storage_space=1_700), instance)


def test_empty_texts_are_as_if_they_were_absent():
    body = ExtendBody(
        oper_type="horizontal", new_broker_num=4, publicip_id="", tenant_ips=[],
        second_tenant_subnet_id="", new_spec_code="", new_product_id="",
    )  # fmt: skip
    assert decode_extend(body, INSTANCE)[0].broker_count == 4
