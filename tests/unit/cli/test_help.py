"""Every command says what it does and gives an example that it would take."""

import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from backroom.cli.app import app

ROOT = typer.main.get_command(app)


def leaves(command, path):
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from leaves(child, [*path, name])


LEAVES = list(leaves(ROOT, []))
WANTED = {
    "tasks": ["list", "show", "watch", "wait", "cancel", "retry", "delete", "export"],
    "instances": ["list", "show", "create", "delete", "restart", "extend", "public-ip"],
    "topics": ["list", "create", "delete"],
    "reassign": ["plan", "start"],
    "schedule": ["list", "cancel", "move"],
}


def example_of(path):
    done = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    _, found, example = words.partition("Example: ")
    assert found, f"{path} has no example"
    return example


def test_the_commands_are_there():
    found = {" ".join(path) for path, _ in LEAVES}

    assert {f"{group} {name}" for group, names in WANTED.items() for name in names} <= found


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=str)
def test_each_has_an_example_that_it_takes(path, command):
    example = example_of(path)
    _, called, arguments = example.partition(f"backroom {' '.join(path)}")
    assert called, example
    words = shlex.split(arguments.partition(" < ")[0].partition(" > ")[0].rstrip('")'))
    wanted = [parameter for parameter in command.params if parameter.name != "help"]
    known = {name for parameter in wanted for name in (*parameter.opts, *parameter.secondary_opts)}

    assert [
        word for word in words if word.startswith("-") and word != "-" and word not in known
    ] == []
    assert command.help


@pytest.mark.parametrize("group", WANTED)
def test_all_that_ask_a_server_take_the_same_options(group):
    for path, command in LEAVES:
        if path[0] != group:
            continue
        options = {name for parameter in command.params for name in parameter.opts}
        assert {"--endpoint", "--ak", "--sk", "--project-id", "--data", "--ca", "--lang"} <= options
        if path[1] in {"list", "show", "wait", "watch", "plan"}:
            assert {"--output", "-o", "--query"} <= options
            assert "--reason" not in options
        elif path[1] != "export":
            assert {"--reason", "--client-token"} <= options


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, shell))
    done = CliRunner().invoke(app, ["--show-completion"], prog_name="backroom")

    assert done.exit_code == 0
    assert "_BACKROOM_COMPLETE" in done.stdout
