"""What a start leaves alone: modules that only some commands, pages or settings need."""

import json
import subprocess
import sys

import pytest

SOME_PAGES = {"starlette", "jinja2", "backroom.console.application"}
SOME_SETTINGS = {"asyncpg", "opentelemetry", "yaml", "trustme", "importlib.metadata", "statistics"}
SOME_OUTPUT = {"rich", "jmespath"}
SERVER = {"granian", "apsw", "cryptography", "backroom.bootstrap"}
OTHER_COMMANDS = {
    f"backroom.cli.{name}"
    for name in (
        "audit", "database", "instances", "keys", "reassign", "schedule", "signature", "tasks",
        "topics",
    )
}  # fmt: skip
RUN = """
import atexit, json, sys
atexit.register(lambda: print("loaded", json.dumps(sorted(sys.modules)), file=sys.stderr))
from backroom.cli import main
sys.argv = ["backroom", *sys.argv[1:]]
main()
"""


def loaded_by(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert last.startswith("loaded "), done.stderr
    return set(json.loads(last.removeprefix("loaded "))), done


def test_import_of_the_kit_loads_nothing_that_some_tests_need():
    code = "import json, sys, backroom.testing.server; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    loaded = set(json.loads(done.stdout))

    assert "granian" in loaded
    assert not loaded & (SOME_PAGES | SOME_SETTINGS | SOME_OUTPUT | {"typer"})


def test_help_loads_no_command_and_no_server():
    loaded, done = loaded_by("--help")

    assert "Tasks: look, wait, cancel, retry, export." in done.stdout
    assert not loaded & (OTHER_COMMANDS | SERVER | SOME_OUTPUT | {"asyncio", "msgspec"})


def test_wrong_option_loads_only_the_group_it_was_for():
    loaded, done = loaded_by("tasks", "list", "--nope")

    assert done.returncode == 2
    assert "No such option: --nope" in done.stderr
    assert loaded & OTHER_COMMANDS == {"backroom.cli.tasks"}
    assert not loaded & (SERVER | SOME_OUTPUT)


def test_test_server_loads_only_what_its_first_answers_need():
    loaded, done = loaded_by("test-server", "--port", "0", "--json")

    assert json.loads(done.stdout)["endpoint"].startswith("http://")
    assert not loaded & (OTHER_COMMANDS | SOME_PAGES | SOME_SETTINGS | SOME_OUTPUT | {"typer"})


@pytest.mark.parametrize("typed", ["taks", "instanecs"])
def test_mistyped_group_is_told_its_neighbour(typed):
    _, done = loaded_by(typed)

    assert done.returncode == 2
    assert "Did you mean" in done.stderr
