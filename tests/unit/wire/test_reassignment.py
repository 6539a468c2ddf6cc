import pytest

from backroom.domain.errors import InvalidInput
from backroom.wire.reassignment import (
    AssignmentAsked,
    ReassignBody,
    ReassignmentAsked,
    decode_reassign,
)

MIB = 1024 * 1024


def asked(**body):
    return ReassignBody(
        reassignments=[
            ReassignmentAsked(topic="t", assignment=[AssignmentAsked(0, [2, 1])], brokers=[])
        ],
        **body,
    )


@pytest.mark.parametrize(
    ("throttle", "bytes_per_s"),
    [
        (None, None), (-1, None), (0, None), (1, MIB), (300, 300 * MIB), (1_000_000, 1_000_000),
        (10_000_000, 10_000_000),
    ],
)  # fmt: skip
def test_throttle_is_in_megabytes_or_in_bytes(throttle, bytes_per_s):
    assert decode_reassign(asked(throttle=throttle)).throttle_bytes_per_s == bytes_per_s


@pytest.mark.parametrize("throttle", [-2, 301, 999_999, 300 * MIB + 1])
def test_throttle_is_refused_when_it_could_mean_either(throttle):
    with pytest.raises(InvalidInput, match="throttle"):
        decode_reassign(asked(throttle=throttle))


def test_replicas_keep_their_order():
    (plan,) = decode_reassign(asked()).topics
    assert plan.assignment[0].replicas == (2, 1)
