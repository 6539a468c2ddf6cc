"""The kept answer of an instance is always that of the instance as it is."""

import msgspec
from tests.support.builders import make_instance

from backroom.domain.instance import changed
from backroom.wire.instances import encode_instance, encode_shown


def test_kept_answer_is_what_would_be_encoded_now_when_the_instance_changes() -> None:
    instance = make_instance()
    for one in (instance, instance, changed(instance, name="another"), instance):
        assert encode_shown(one, None) == msgspec.json.encode(encode_instance(one, None))
