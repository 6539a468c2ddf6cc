"""What can be known of the files in deploy/ without what runs them."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from backroom.cli.app import app

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALLED = "/opt/backroom/.venv/bin/backroom"
TOOLS = Path(sys.executable).parent

_SERVE = re.compile(r"backroom (serve [^\n;]*(?:\n +--[^\n;]+)*)")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )


def _serve_commands(text: str) -> list[list[str]]:
    values = {"%i": "8443", "${BACKROOM_HOST}": "127.0.0.1"}
    for name, value in values.items():
        text = text.replace(name, value)
    return [shlex.split(found) for found in _SERVE.findall(text)]


def test_dockerfile_is_as_the_linter_wants_it():
    linted = _run(TOOLS / "hadolint", "--no-color", DEPLOY / "Dockerfile")

    assert linted.stdout == ""
    assert linted.returncode == 0, linted.stderr


def test_container_runs_as_nobody_special_and_needs_the_word_for_generated_keys():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")

    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001"]
    assert "--i-know" not in re.findall(r"^CMD (.+)$", text, re.MULTILINE)[0]


def test_everything_that_the_dockerfile_copies_is_there_and_not_ignored():
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    copied = [source for line in lines for source in line.split()[:-1]]
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()

    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if f"!{source}" not in kept] == []


def test_compose_file_follows_the_specification():
    checked = _run(
        TOOLS / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        DEPLOY / "compose.yaml",
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_publishes_on_loopback_only():
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    published = re.findall(r'^ +- "([^"]*:\d+)"$', text, re.MULTILINE)

    assert published == ["127.0.0.1:8443:8443"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_is_as_systemd_wants_it(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there: install systemd")
    ours = (tmp_path / unit.name).resolve()
    ours.write_text(unit.read_text("utf-8").replace(INSTALLED, str(TOOLS / "backroom")), "utf-8")

    verified = _run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", ours)

    assert (verified.stdout + verified.stderr).strip() == ""
    assert verified.returncode == 0


@pytest.mark.parametrize(
    "file",
    [DEPLOY / "compose.yaml", DEPLOY / "Dockerfile", *UNITS],
    ids=lambda file: file.name,
)
def test_commands_take_options_that_exist(file):
    text = file.read_text("utf-8")
    if file.name == "Dockerfile":
        words = re.findall(r"^CMD \[(.+)\]$", text, re.MULTILINE)[0]
        text = "backroom " + words.replace(",", "").replace('"', "")
    commands = _serve_commands(text)

    assert commands
    for command in commands:
        serve = typer.main.get_command(app).commands["serve"]
        with serve.make_context("serve", command[1:]):  # raises on one that doesn't
            pass
