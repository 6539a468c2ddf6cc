"""`backroom audit` and `db` beside a running server, as people type them."""

import json
import os
import pty
import subprocess

import pytest
import requests
from tests.e2e.test_command_line import logged_in, refused
from tests.support.processes import BACKROOM, backroom, environment, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def ask_for_a_change(server, env):
    headers, path = logged_in(server, env)
    switch = f"{server.endpoint}{path.replace('/v2/', '/v1/')}/public-boundwidth"
    assert requests.post(switch, json={"publicip_id": "a"}, headers=headers, timeout=10).ok
    url = f"{server.endpoint}{path}/tasks"
    return lambda: requests.get(url, headers=headers, timeout=10).json()["tasks"][0]


def test_everything_beside_a_running_server_and_in_another_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    dump, bundle, key = tmp_path / "dump", tmp_path / "bundle", tmp_path / "key.pem"
    with serving(old, "--http") as server:
        env = environment(old)
        task = ask_for_a_change(server, env)
        wait_until(lambda: task()["status"] == "SUCCESS")
        assert backroom("audit", "verify", "--data", str(old)).stdout.endswith(": ok\n")
        assert backroom("db", "check", "--data", str(old)).stdout == "ok\n"
        exported = backroom("audit", "export", "--output", str(bundle), "--data", str(old))
        assert (exported.returncode, exported.stdout) == (0, "")
        key.write_text(backroom("audit", "key", "--data", str(old)).stdout)
        checked = backroom("audit", "verify", str(bundle), "--public-key", str(key))
        assert (checked.returncode, checked.stderr) == (0, "")
        ask_for_a_change(server, env)
        assert backroom("db", "export", "--output", str(dump), "--data", str(old)).returncode == 0
        assert "another process serves" in refused("db", "import", str(dump), "--data", str(old))
    assert backroom("db", "import", str(dump), "--data", str(new)).returncode == 0
    for name in ("secret.key", "user.sealed"):
        (new / name).write_bytes((old / name).read_bytes())
    with serving(new, "--http") as server:
        again = environment(new)
        assert again["CLOUD_SDK_SK"] == env["CLOUD_SDK_SK"]
        headers, path = logged_in(server, again)
        tasks = requests.get(f"{server.endpoint}{path}/tasks", headers=headers, timeout=10).json()
        assert tasks["task_count"] == "2"
        found = json.loads(backroom("audit", "verify", "--json", "--data", str(new)).stdout)
        assert found["ok"]


def test_progress_is_for_a_terminal_and_never_in_the_result(tmp_path):
    with serving(tmp_path, "--http", "--empty"):
        pass
    leader, follower = pty.openpty()
    done = subprocess.run(
        [BACKROOM, "audit", "verify", "--data", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=follower, text=True, check=True, timeout=20,
        env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    os.close(leader)
    assert "\x1b" not in done.stdout
    assert done.stdout.endswith("no events: ok\n")


@pytest.mark.parametrize(
    "command",
    [
        "audit verify", "audit export", "audit key", "db migrate", "db check", "db export",
        "db import",
    ],
)  # fmt: skip
def test_each_command_has_an_example(command):
    words = " ".join(backroom(*command.split(), "--help").stdout.split())
    assert f"Example: backroom {command}" in words
