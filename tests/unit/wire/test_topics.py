from hypothesis import given
from hypothesis import strategies as st

from backroom.domain.errors import InvalidTopicName
from backroom.domain.placement import spread
from backroom.wire.configs import KNOWN
from backroom.wire.topics import NAME_FORM, CreateTopicBody, decode_create


@given(st.text(max_size=210))
def test_name_is_taken_or_refused_by_its_form(name):
    try:
        assert decode_create(CreateTopicBody(id=name)).name == name
    except InvalidTopicName:
        assert not NAME_FORM.fullmatch(name)
    else:
        assert 3 <= len(name) <= 200
        assert name.isascii()


def test_every_default_of_a_parameter_is_one_that_is_allowed():
    assert [name for name, known in KNOWN.items() if not known.allows(known.default)] == []
    assert not KNOWN["num.partitions"].allows("٣")


@given(
    st.text(min_size=1, max_size=9),
    st.sets(st.integers(0, 99), min_size=1, max_size=9),
    st.integers(1, 40),
    st.data(),
)
def test_replicas_are_spread_evenly_and_never_twice_on_a_broker(topic, brokers, count, data):
    factor = data.draw(st.integers(1, len(brokers)))
    placed = spread(topic, sorted(brokers), range(count), factor)
    assert len(placed) == count
    for replicas in placed:
        assert len(set(replicas)) == len(replicas) == factor
        assert set(replicas) <= brokers
    led = [sum(one[0] == broker for one in placed) for broker in brokers]
    assert max(led) - min(led) <= 1
    assert spread(topic, sorted(brokers), range(count), factor) == placed
