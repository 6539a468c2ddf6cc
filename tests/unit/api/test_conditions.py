import pytest

from backroom.api.conditions import matches, wait_s

TAG = b'"abc"'


@pytest.mark.parametrize(
    "given", [b'"abc"', b'W/"abc"', b"*", b'"x", "abc"', b'"x",W/"abc" ', b" * "]
)
@pytest.mark.parametrize("tag", [TAG, b'W/"abc"'])
def test_client_has_what_it_names(given, tag):
    assert matches(given, tag)


@pytest.mark.parametrize("given", [None, b"", b"abc", b'"abd"', b'"abc', b'"ABC"', b'w/"abc"'])
def test_client_has_something_else(given):
    assert not matches(given, TAG)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (b"wait=0", 0), (b"wait=7", 7), (b"Wait = 7", 7), (b'wait="7"', 7), (b"wait=50", 50),
        (b"wait=51", 50), (b"wait=999999999", 50), (b"respond-async, wait=3", 3),
        (b"wait=3;x=y", 3), (b"wait=x, wait=4", 4), (b"wait=1, wait=2", 1),
    ],
)  # fmt: skip
def test_wish_to_wait_is_understood(prefer, seconds):
    assert wait_s(prefer) == seconds


@pytest.mark.parametrize(
    "prefer",
    [None, b"", b"wait", b"wait=", b"wait=-1", b"wait=1.5", b"waits=1", b"return=minimal", b"\xff"],
)
def test_no_wish_to_wait(prefer):
    assert wait_s(prefer) is None
