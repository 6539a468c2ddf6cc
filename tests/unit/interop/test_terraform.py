"""What the harness concludes from the server's own counts, here as they were recorded."""

import pytest
from interop import terraform
from interop.terraform import Counted

BEFORE = """\
# HELP backroom_request_seconds Answered requests by call and status.
# TYPE backroom_request_seconds histogram
backroom_request_seconds_bucket{le="0.001",operation="ShowInstance",status="200"} 2.0
backroom_request_seconds_bucket{le="+Inf",operation="ShowInstance",status="200"} 4.0
backroom_request_seconds_count{operation="ShowInstance",status="200"} 4.0
backroom_request_seconds_sum{operation="ShowInstance",status="200"} 0.25
backroom_request_seconds_count{operation="ListInstances",status="200"} 9.0
backroom_request_seconds_sum{operation="ListInstances",status="200"} 0.5
backroom_request_seconds_count{operation="ShowMetrics",status="200"} 5.0
backroom_request_seconds_sum{operation="ShowMetrics",status="200"} 3.0
backroom_tasks{name="createInstance",state="running"} 7.0
"""
SHOWN = 'count{operation="ShowInstance",status="200"}'
GONE = """\
backroom_request_seconds_count{operation="ShowInstance",status="404"} 1.0
backroom_request_seconds_sum{operation="ShowInstance",status="404"} 0.0
"""


def test_looks_at_an_instance_are_counted_whatever_was_answered():
    assert terraform.counted("") == Counted(0, 0, 0.0)
    assert terraform.counted(BEFORE) == Counted(requests=13, shows=4, answering_s=0.75)
    assert terraform.counted(BEFORE + GONE) == Counted(requests=14, shows=5, answering_s=0.75)


@pytest.mark.parametrize(
    ("after", "is_enough"),
    [
        (BEFORE, False),
        (BEFORE.replace(f"{SHOWN} 4.0", f"{SHOWN} 5.0"), False),
        (BEFORE + GONE, False),
        (BEFORE.replace(f"{SHOWN} 4.0", f"{SHOWN} 5.0") + GONE, True),
        (BEFORE.replace("} 9.0", "} 99.0"), False),
        (BEFORE.replace(f"{SHOWN} 4.0", f"{SHOWN} 6.0"), True),
    ],
)
def test_a_command_must_have_looked_twice(after, is_enough):
    asked = terraform.counted(after) - terraform.counted(BEFORE)
    if is_enough:
        terraform.require_looks("destroy", asked)
        return
    with pytest.raises(AssertionError, match="destroy looked too seldom"):
        terraform.require_looks("destroy", asked)


def test_the_note_says_what_was_counted_and_nothing_else():
    asked = {"apply": Counted(requests=21, shows=3, answering_s=0.26)}
    note = terraform.times({"plan": 7.2, "apply": 328.0}, asked)
    assert "plan 7 s, apply 328 s, destroy 0 s" in note
    assert "To apply it answered 21 requests in 0.3 s, 3 of them for the instance itself." in note
    assert "To destroy" not in note
    assert "second look" not in note
