import json

import pytest

from backroom.cli.plain_call import plain_call
from backroom.settings import EmulatorSettings


@pytest.fixture
def seed(tmp_path):
    file = tmp_path / "seed.json"
    file.write_text(json.dumps({"instances": [{"name": "kafka-one"}]}))
    return str(file)


def test_what_programs_say_is_understood(seed):
    assert plain_call(["test-server"]) == (EmulatorSettings(), 0, False)
    assert plain_call(["test-server", "--json", "--port", "8443"]) == (
        EmulatorSettings(), 8443, True,
    )  # fmt: skip
    asked = plain_call(["test-server", "--seed", seed])
    assert [one.name for one in asked.emulator.seed.instances] == ["kafka-one"]


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["--tls"], ["--port"], ["--port", ""], ["--port", "65536"], ["--port", "-1"],
        ["--port", "\u0663"], ["--port=0"], ["--seed"], ["--seed", "/nowhere"], ["--seed", "\0"],
        ["more"], ["--json", "--frozen"],
    ],
)  # fmt: skip
def test_all_else_is_left_to_the_command_tree(words):
    assert plain_call(["test-server", *words]) is None


def test_seed_that_is_none_is_left_to_the_command_tree(tmp_path):
    file = tmp_path / "seed.json"
    file.write_text('{"instances": 7}')
    assert plain_call(["test-server", "--seed", str(file)]) is None


@pytest.mark.parametrize("words", [[], ["serve"], ["--port", "0"], ["tasks", "list"]])
def test_other_commands_are_left_to_the_command_tree(words):
    assert plain_call(words) is None
