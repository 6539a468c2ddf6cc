"""The shell blocks of the README and the quick starts, obeyed in order in one shell.

A comment right before a block says what is special about it: `runs until stopped` (a server, which
is stopped at the end), or `not run: ` and why.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.processes import BACKROOM

ROOT = Path(__file__).parents[2]
QUICK_STARTS = sorted((ROOT / "docs" / "quick-start").glob("*.md"))
PAGES = [ROOT / "README.md", *(page for page in QUICK_STARTS if ".zh-CN." not in page.name)]
RUNS_WITHIN_S = 55
SERVER = "runs until stopped"
NOT_RUN = re.compile(r"not run: \w.+")
NOT_RUN_MOST = {"README": 2}  # these tests, and what needs a PostgreSQL server; elsewhere 1

_BLOCK = re.compile(r"(?:^<!-- (.*?) -->\n\n?)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OF_THE_TESTS = ("BACKROOM_", "CLOUD_SDK_", "HUAWEICLOUD_", "PYTEST_")


class UnknownMarker(Exception):
    pass


def blocks(text):
    """Marker and commands of each block; the marker is "" where there is none."""
    found = _BLOCK.findall(text)
    for marker, _ in found:
        if marker not in {"", SERVER} and NOT_RUN.fullmatch(marker) is None:
            raise UnknownMarker(marker)
    return found


def script(text):
    """What a reader would type, and the second shell where one is kept busy by a server."""
    lines = ["set -eu", "pids=", "trap 'kill $pids 2>/dev/null || true' EXIT"]
    for number, (marker, commands) in enumerate(blocks(text), 3):
        if marker == SERVER:
            (command,) = commands.splitlines()  # its port is any free one, not to meet others
            lines += [
                f'mkfifo "$HOME/{number}"',
                f'( exec {command} --port 0 ) > "$HOME/{number}" &',
                'pids="$pids $!"',
                f'exec {number}< "$HOME/{number}"',
                f"read -r word endpoint <&{number}",
                'test "$word" = ready',
            ]
        elif not marker:
            lines.append(commands)
    return "\n".join(lines)


@pytest.fixture
def tree(tmp_path):
    """This work tree in a place where nothing is in the way: links, and .venv is ours."""
    tree = tmp_path / "backroom"
    tree.mkdir()
    for found in ROOT.iterdir():
        if found.name not in {".venv", ".git", "data", "build"}:
            (tree / found.name).symlink_to(found)
    (tree / ".venv").symlink_to(Path(BACKROOM).parents[1])
    (tmp_path / "home").mkdir()
    return tree


def clean_environment(home):
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OF_THE_TESTS)}
    return kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shell_blocks_do_what_they_say(page, tree):
    done = subprocess.run(
        ["sh", "-c", script(page.read_text("utf-8"))],
        cwd=tree,
        env=clean_environment(tree.parent / "home"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_block_that_fails_is_seen(tree):
    text = "```sh\n.venv/bin/backroom tasks list --data ./nothing\n```\n"
    done = subprocess.run(["sh", "-c", script(text)], cwd=tree, capture_output=True, check=False)

    assert done.returncode != 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.zh-CN.md", *QUICK_STARTS])
def test_every_block_is_run_or_says_why_not(page):
    found = blocks(page.read_text("utf-8"))

    assert [commands for marker, commands in found if marker != SERVER]
    not_run = sum(marker.startswith("not run") for marker, _ in found)
    assert not_run <= NOT_RUN_MOST.get(page.name.partition(".")[0], 1)


@pytest.mark.parametrize("marker", ["runs", "not run", "not run: ", "skip"])
def test_an_unknown_marker_is_refused(marker):
    with pytest.raises(UnknownMarker):
        blocks(f"<!-- {marker} -->\n```sh\ntrue\n```\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_both_languages_have_the_same_blocks(page):
    twin = page.with_suffix(".zh-CN.md")

    assert blocks(page.read_text("utf-8")) == blocks(twin.read_text("utf-8"))
