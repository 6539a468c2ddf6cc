"""Whatever is told to an emulator: it obeys or refuses, and never breaks."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.world import make_world

from backroom.domain.errors import InvalidInput
from backroom.domain.seed import Seed
from backroom.domain.transition import TransitionPlan
from backroom.settings import EmulatorSettings
from backroom.wire.emulator import parse_transitions
from backroom.wire.seed import decode_seed

EMULATOR = "/backroom/v1/emulator"
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0, -1, 1, 10_000, 1e300, -1e300, 2**63]
)  # fmt: skip
values = st.none() | st.booleans() | numbers | st.text(max_size=20)
afters = st.dictionaries(st.sampled_from(["after_s", "after_reads", "after"]), values)
transitions = st.sampled_from(["immediate", "simulated", "soon"]) | afters | values
names = st.sampled_from(["createInstance", "restartInstance", "no"])
objects = {
    "clock": st.dictionaries(st.sampled_from(["advance_s", "frozen", "speed", "sped"]), values),
    "transitions": st.fixed_dictionaries(
        {}, optional={"default": transitions, "operations": st.dictionaries(names, transitions)}
    ),
    "reset": st.dictionaries(st.just("to"), st.sampled_from(["start", "empty", "no"]) | values),
    "idle": st.none(),
}
fields = ("name", "id", "broker_count", "topics", "tasks", "product_id", "engine_version", "keys")
seed_values = values | st.sampled_from(["kafka-one", "c6.2u4g.cluster", 3]) | st.lists(
    st.dictionaries(st.sampled_from(["name", "operation", "replicas", "ago_s"]), values), max_size=3
)  # fmt: skip
seed_parts = st.lists(st.dictionaries(st.sampled_from(fields), seed_values), max_size=3)
seeds = st.dictionaries(
    st.sampled_from(["instances", "projects", "keys", "other"]), seed_parts | values
)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("emulated"), emulator=EmulatorSettings(is_open=True))
    world.do(world.backroom.emulator.begin(None))
    yield world
    world.close()


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    st.sampled_from(sorted(objects)).flatmap(lambda name: st.tuples(st.just(name), objects[name])),
)
def test_controls_obey_or_refuse(emulated, method, told):
    name, body = told
    emulated.nobody.call(method, f"{EMULATOR}/{name}", json.dumps(body).encode())


@given(seeds)
def test_seeds_are_taken_or_refused(emulated, seed):
    answer = emulated.nobody.post(f"{EMULATOR}/seed", seed)

    assert answer.status in (204, 400, 409)


@given(st.binary() | st.text().map(str.encode) | seeds.map(lambda seed: json.dumps(seed).encode()))
def test_any_bytes_are_a_seed_or_refused(content):
    with suppress(InvalidInput):
        assert isinstance(decode_seed(content), Seed)


@given(st.lists(st.text(alphabet="createInstance*=0123456789.esrad-", max_size=30)))
def test_any_flags_are_transitions_or_refused(texts):
    with suppress(InvalidInput):
        assert isinstance(parse_transitions(texts), TransitionPlan)
