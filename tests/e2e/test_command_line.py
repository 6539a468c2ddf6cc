"""The `backroom` command as people type it: real processes, exit codes, what is printed."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest
import requests
from tests.support.bodies import login_body
from tests.support.processes import BACKROOM, backroom, environment, serving
from tests.support.waiting import wait_until

from backroom.cli.environment import LANGUAGES

pytestmark = pytest.mark.slow

AWKWARD = 'it\'s a "data" $HOME `x` folder; \\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("command") / AWKWARD) as server:
        yield server


def at(server):
    return ("--data", str(server.data))


def refused(*arguments, code=1, **more):
    done = backroom(*arguments, **more)
    assert done.returncode == code, done.stdout
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


class TestServe:
    def test_it_prints_where_it_answers(self, served):
        assert served.endpoint.startswith("https://127.0.0.1:")
        url = f"{served.endpoint}/backroom/v1/openapi.json"
        assert requests.get(url, verify=str(served.authority), timeout=10).status_code == 200

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_stops_it_with_exit_code_0(self, tmp_path, number):
        with serving(tmp_path) as server:
            server.process.send_signal(number)
            assert server.process.wait(20) == 0
            assert server.process.stderr.read() == ""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port), timeout=5)

    def test_it_goes_on_where_it_stopped(self, tmp_path):
        with serving(tmp_path) as server:
            before = environment(tmp_path)
            assert server.stop() == 0
        with serving(tmp_path):
            after = environment(tmp_path)
        for name in ("CLOUD_SDK_AK", "CLOUD_SDK_SK", "BACKROOM_INSTANCE_ID"):
            assert before[name] == after[name]
        assert before["BACKROOM_USER_PASSWORD"] == after["BACKROOM_USER_PASSWORD"]

    def test_a_second_one_on_the_same_folder_is_refused(self, served):
        said = refused("serve", "--port", "0", *at(served))
        assert said == (
            f"backroom: another process serves {served.data}; "
            "stop it, or choose another folder with --data\n"
        )
        assert served.process.poll() is None

    def test_a_port_in_use_is_refused(self, served, tmp_path):
        said = refused("serve", "--port", str(served.port), "--data", str(tmp_path))
        assert said.startswith(f"backroom: 127.0.0.1:{served.port}: ")
        assert "choose another --port" in said

    def test_the_folder_of_one_that_was_killed_can_be_served_again(self, tmp_path):
        with serving(tmp_path) as server:
            server.process.kill()
            server.process.wait(20)
        with serving(tmp_path) as server:
            assert server.stop() == 0

    def test_generated_keys_stay_on_loopback(self, tmp_path):
        said = refused("serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path))  # noqa: S104  it must refuse
        assert "the generated keys are still there" in said
        assert "--i-know" in said

    def test_an_address_that_is_not_ours_is_refused(self, tmp_path):
        said = refused(
            "serve", "--host", "192.0.2.1", "--port", "0", "--i-know", "--data", str(tmp_path)
        )
        assert said.startswith("backroom: 192.0.2.1")

    def test_plain_http(self, tmp_path):
        with serving(tmp_path, "--http") as server:
            assert server.endpoint.startswith("http://127.0.0.1:")
            assert environment(tmp_path)["BACKROOM_ENDPOINT"] == server.endpoint
            url = f"{server.endpoint}/backroom/v1/openapi.json"
            assert requests.get(url, timeout=10).status_code == 200

    def test_empty_makes_no_instance(self, tmp_path):
        with serving(tmp_path, "--empty"):
            assert "BACKROOM_INSTANCE_ID" not in environment(tmp_path)

    def test_a_task_under_way_when_it_stops_is_finished_by_the_next_one(self, tmp_path):
        with serving(tmp_path, "--http") as server:
            headers, path = logged_in(server, environment(tmp_path))
            switch = f"{server.endpoint}{path.replace('/v2/', '/v1/')}/public-boundwidth"
            asked = requests.post(switch, json={"publicip_id": "a"}, headers=headers, timeout=10)
            assert asked.status_code == 204
            assert server.stop() == 0
        with serving(tmp_path, "--http") as server:

            def is_over():
                url = f"{server.endpoint}{path}/tasks"
                (task,) = requests.get(url, headers=headers, timeout=10).json()["tasks"]
                return task["status"] == "SUCCESS"

            assert wait_until(is_over)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--port", "65536"], "--port"),
            (["--port", "x"], "--port"),
            (["--workers", "0"], "--workers"),
            (["--role", "boss"], "--role"),
            (["--nonsense"], "--nonsense"),
            (["extra"], "extra"),
        ],
    )
    def test_a_wrong_flag_is_named(self, tmp_path, arguments, said):
        assert said in refused("serve", "--data", str(tmp_path), *arguments, code=2)
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_database_is_refused(self, tmp_path):
        said = refused("serve", "--database", "mysql://user:password@h/d", "--data", str(tmp_path))
        assert "mysql" in said
        assert "password" not in said

    def test_a_data_folder_that_can_not_be_made(self, tmp_path):
        taken = tmp_path / "file"
        taken.write_text("")
        said = refused("serve", "--port", "0", "--data", str(taken))
        assert str(taken) in said


def logged_in(server, env):
    login = login_body(
        env["BACKROOM_USER_NAME"],
        env["BACKROOM_USER_PASSWORD"],
        project={"name": env["BACKROOM_REGION"]},
    )
    answer = requests.post(f"{server.endpoint}/v3/auth/tokens", json=login, timeout=10)
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    return headers, f"/v2/{env['BACKROOM_PROJECT_ID']}/instances/{env['BACKROOM_INSTANCE_ID']}"


class TestEnv:
    NAMES: ClassVar = {
        "CLOUD_SDK_AK", "CLOUD_SDK_SK", "HUAWEICLOUD_SDK_REGION_KAFKA_CN_NORTH_4",
        "HUAWEICLOUD_SDK_IAM_ENDPOINT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS", "JAVA_TOOL_OPTIONS", "BACKROOM_ENDPOINT", "BACKROOM_REGION",
        "BACKROOM_PROJECT_ID", "BACKROOM_INSTANCE_ID", "BACKROOM_USER_NAME",
        "BACKROOM_USER_PASSWORD",
    }  # fmt: skip

    def test_a_shell_takes_it_as_it_is(self, served):
        """Whatever the folder is called, and over what was set before."""
        before = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "REQUESTS_CA_BUNDLE": "wrong"}
        script = 'eval "$("$0" env --data "$1")" && env -0'
        printed = subprocess.run(
            ["sh", "-euc", script, BACKROOM, str(served.data)],
            env=before, capture_output=True, check=True, timeout=20,
        ).stdout.decode()  # fmt: skip
        found = dict(line.split("=", 1) for line in printed.split("\0") if line)
        assert set(found) >= self.NAMES
        assert found["REQUESTS_CA_BUNDLE"] == str(served.authority)
        assert found["BACKROOM_ENDPOINT"] == served.endpoint
        assert found["HOME"] == "/nowhere"

    def test_each_language_says_the_same(self, served):
        shell = environment(served.data)
        assert set(shell) == self.NAMES
        for language, read in (("powershell", read_powershell), ("dotenv", read_dotenv)):
            printed = backroom("env", "--lang", language, *at(served)).stdout
            assert dict(map(read, printed.splitlines())) == shell
        assert set(LANGUAGES) == {"sh", "powershell", "dotenv"}

    def test_the_files_that_it_names_are_there_and_only_for_their_owner(self, served):
        env = environment(served.data)
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
            assert Path(env[name]).is_file()
        for path in served.data.rglob("*.key"):
            assert path.stat().st_mode & 0o077 == 0
        assert served.data.stat().st_mode & 0o077 == 0

    def test_java_takes_its_options(self, served):
        java = shutil.which("java")
        if java is None:
            pytest.skip("needs a Java")
        options = environment(served.data)["JAVA_TOOL_OPTIONS"]
        printed = subprocess.run(
            [java, "-XshowSettings:properties", "-version"],
            env={"JAVA_TOOL_OPTIONS": options, "PATH": os.environ["PATH"]},
            capture_output=True, text=True, check=True, timeout=30,
        ).stderr  # fmt: skip
        assert f"javax.net.ssl.trustStore = {served.data}/tls/truststore.p12" in printed

    def test_an_unknown_language_is_refused(self, served):
        assert "--lang" in refused("env", "--lang", "cobol", *at(served), code=2)

    def test_a_folder_that_nobody_served_is_refused(self, tmp_path):
        said = refused("env", "--data", str(tmp_path / "none"))
        assert f"backroom serve --data {tmp_path / 'none'}" in said
        assert list(tmp_path.iterdir()) == []

    def test_the_folder_may_be_told_by_the_environment(self, served):
        told = os.environ | {"BACKROOM_DATA": str(served.data)}
        assert backroom("env", env=told).stdout == backroom("env", *at(served)).stdout


def read_powershell(line):
    name, _, value = line.removeprefix("$env:").partition(" = ")
    assert value[0] == value[-1] == "'"
    return name, value[1:-1].replace("''", "'")


def read_dotenv(line):
    name, _, value = line.partition("=")
    assert value[0] == value[-1] == '"'
    plain, rest = "", value[1:-1]
    while rest:
        if rest[0] == "\\":
            rest = rest[1:]
        plain, rest = plain + rest[0], rest[1:]
    return name, plain


class TestKeys:
    def test_add_list_and_revoke_beside_a_running_server(self, served):
        project = environment(served.data)["BACKROOM_PROJECT_ID"]
        added = backroom("keys", "add", "--ak", "MYAK", "--sk", "-", "--project-id", project,
                         *at(served), input="my-long-secret\n")  # fmt: skip
        assert added.stdout == f"added MYAK (operator) in project {project}\n"
        listed = json.loads(backroom("keys", "list", "-o", "json", *at(served)).stdout)
        assert [row["access_key"] for row in listed][-1] == "MYAK"
        assert "my-long-secret" not in json.dumps(listed)
        table = backroom("keys", "list", *at(served)).stdout
        assert table.splitlines()[0].split()[:3] == ["ACCESS", "KEY", "ROLE"]
        picked = backroom("keys", "list", "--query", "[-1].role", *at(served)).stdout
        assert picked == "operator\n"
        assert "my-long-secret" not in table
        assert backroom("keys", "revoke", "MYAK", *at(served)).stdout == "revoked MYAK\n"
        assert "there is no key MYAK" in refused("keys", "revoke", "MYAK", *at(served))

    def test_a_secret_may_come_from_the_environment(self, served):
        project = environment(served.data)["BACKROOM_PROJECT_ID"]
        secret = os.environ | {"BACKROOM_NEW_SK": "from-the-environment"}
        done = backroom("keys", "add", "--ak", "ENVAK", "--project-id", project, "--role",
                        "viewer", *at(served), env=secret)  # fmt: skip
        assert done.stdout == f"added ENVAK (viewer) in project {project}\n"

    @pytest.mark.parametrize(
        ("ak", "sk", "project", "code", "said"),
        [
            ("A B", "long-enough-1", None, 1, "access_key"),
            ("", "long-enough-1", None, 2, "--ak"),
            ("OK", "short", None, 1, "secret_key"),
            ("OK", "", None, 2, "--sk"),
            ("OK", "long-enough-1", "f" * 32, 1, "project"),
            ("OK", "long-enough-1", "nonsense", 1, "project"),
        ],
    )
    def test_a_bad_key_is_refused(self, served, ak, sk, project, code, said):
        project = project or environment(served.data)["BACKROOM_PROJECT_ID"]
        before = backroom("keys", "list", *at(served)).stdout
        message = refused("keys", "add", "--ak", ak, "--sk", sk, "--project-id", project,
                          *at(served), code=code)  # fmt: skip
        assert said in message
        assert "long-enough-1" not in message
        assert backroom("keys", "list", *at(served)).stdout == before

    def test_a_name_that_is_taken_is_refused(self, served):
        env = environment(served.data)
        said = refused("keys", "add", "--ak", env["CLOUD_SDK_AK"], "--sk", "long-enough-1",
                       "--project-id", env["BACKROOM_PROJECT_ID"], *at(served))  # fmt: skip
        assert env["CLOUD_SDK_AK"] in said

    def test_env_takes_another_key_once_the_generated_one_is_revoked(self, tmp_path):
        with serving(tmp_path) as server:
            env = environment(tmp_path)
            backroom("keys", "add", "--ak", "OWN", "--sk", "long-enough-1", "--project-id",
                     env["BACKROOM_PROJECT_ID"], *at(server))  # fmt: skip
            backroom("keys", "revoke", env["CLOUD_SDK_AK"], *at(server))
            after = environment(tmp_path)
            assert (after["CLOUD_SDK_AK"], after["CLOUD_SDK_SK"]) == ("OWN", "long-enough-1")
            backroom("keys", "revoke", "OWN", *at(server))
            assert "backroom keys add" in refused("env", *at(server))


class TestHelp:
    def test_without_a_command_it_shows_what_there_is(self):
        done = backroom()
        assert done.returncode == 2
        for name in ("serve", "env", "keys", "signature"):
            assert name in done.stdout + done.stderr

    def test_version(self):
        assert backroom("--version").stdout.strip() == "0.1.0"

    @pytest.mark.parametrize(
        "command", ["serve", "env", "keys add", "keys list", "keys revoke", "signature explain"]
    )
    def test_each_command_has_an_example(self, command):
        printed = backroom(*command.split(), "--help")
        assert printed.returncode == 0
        words = " ".join(printed.stdout.split())
        assert "Example: " in words
        assert f"backroom {command}" in words.partition("Example: ")[2]

    def test_an_unknown_command_is_named(self):
        assert "nonsense" in refused("nonsense", code=2)


def test_what_is_printed_survives_a_shell(served):
    """The words of `env` for sh, taken apart as a shell does."""
    words = shlex.split(backroom("env", *at(served)).stdout)
    assert words[::2] == ["export"] * (len(words) // 2)
