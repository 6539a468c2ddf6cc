"""The examples of docs/howto/test-your-automation.md, as they are printed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.support.processes import BACKROOM

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = (HOWTO / "test-your-automation.md", HOWTO / "test-your-automation.zh-CN.md")
RUNS_WITHIN_S = 50
SCENARIO = "test_an_instance_is_created_and_gets_larger_disks_at_the_second_try"
SCENARIO_MOST_S = 1.0  # of what takes a quarter of an hour in the cloud


def blocks(page, language):
    text = page.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def with_commands():
    """The environment of somebody who has activated the one that Backroom is installed in."""
    folder = str(Path(BACKROOM).parent)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("language", ["python", "sh"])
def test_both_languages_have_the_same_examples(language):
    english, chinese = (blocks(page, language) for page in PAGES)

    assert english == chinese
    assert english


@pytest.mark.slow
def test_examples_of_python_pass_and_the_scenario_takes_less_than_a_second(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    example = tmp_path / "test_examples.py"
    example.write_text("\n\n".join(blocks(PAGES[0], "python")), "utf-8")
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-o",
            "junit_duration_report=call",
            f"--junit-xml={report}",
        ],
        cwd=tmp_path,
        env=with_commands()
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "backroom.testing.plugin"},
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314  pytest has just written it
    took_s = {case.get("name"): float(case.get("time")) for case in cases}
    assert len(took_s) == len(blocks(PAGES[0], "python"))
    assert took_s[SCENARIO] < SCENARIO_MOST_S


@pytest.mark.slow
def test_examples_of_the_shell_are_obeyed():
    if shutil.which("curl") is None:
        pytest.skip("install curl: the page's examples for the shell use it")
    (commands,) = blocks(PAGES[0], "sh")
    with subprocess.Popen(
        [BACKROOM, "test-server", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        told = json.loads(server.stdout.readline())
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            env=os.environ | told["env"],
            capture_output=True,
            text=True,
            timeout=RUNS_WITHIN_S,
            check=False,
        )
        server.stdin.close()

    assert done.returncode == 0, done.stderr
    assert '"after_s":900.0' in done.stdout
    assert '"idle":true' in done.stdout
