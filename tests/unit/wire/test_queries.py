import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.domain.errors import InvalidInput
from backroom.wire.queries import decode_query, whole_number


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(raw):
    try:
        query = decode_query(raw)
    except InvalidInput:
        return
    assert all(name.encode() is not None and "\0" not in value for name, value in query.items())


@given(st.text(max_size=12))
def test_a_number_is_ascii_digits_in_its_bounds_or_refused(text):
    try:
        number = whole_number({"limit": text}, "limit", 10, least=1, most=100)
    except InvalidInput:
        return
    assert 1 <= number <= 100
    assert int(text) == number
    assert text.isascii()


@pytest.mark.parametrize("count", [99, 100])
def test_a_hundred_parameters_are_read(count):
    assert len(decode_query(b"&".join(b"x%d=1" % n for n in range(count)))) == count


def test_an_empty_value_is_not_given():
    assert decode_query(b"start=&limit=5") == {"limit": "5"}
