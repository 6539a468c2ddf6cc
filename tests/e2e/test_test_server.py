"""`backroom test-server` and `serve --emulator` as real processes."""

import json
import shutil
import signal
import subprocess

import pytest
from tests.support.calls import Calls
from tests.support.processes import BACKROOM, backroom, environment, serving
from tests.support.signer import Signer

from backroom.data_folder import DATABASE_FILE, KEY_FILE

pytestmark = pytest.mark.slow

ENDS_WITHIN_S = 20
EMULATOR = "/backroom/v1/emulator"


@pytest.fixture
def started():
    """Starts one with these arguments; what it printed first, and the process."""
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [BACKROOM, "test-server", "--port", "0", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process.stdout.readline(), process

    yield start
    for process in processes:
        with process:
            process.kill()


def test_one_line_has_all_that_a_client_needs_and_it_ends_with_its_input(started):
    line, process = started("--json")
    told = json.loads(line)
    call = Calls(told["endpoint"], Signer(told["ak"], told["sk"]))
    path = f"/v2/{told['project_id']}/instances/{told['instance_id']}"

    assert call("GET", path).json["status"] == "RUNNING"
    assert told["env"]["BACKROOM_ENDPOINT"] == told["endpoint"]
    assert told["ca_path"] is None
    assert call("GET", f"{EMULATOR}/transitions").json["default"] == "immediate"
    call.close()
    process.stdin.close()
    assert process.wait(ENDS_WITHIN_S) == 0
    assert process.stderr.read() == ""


def test_it_ends_when_it_is_told_to(started):
    _, process = started("--json", "--empty")
    process.send_signal(signal.SIGTERM)

    assert process.wait(ENDS_WITHIN_S) == 0


def test_with_tls_it_says_whom_to_trust(started):
    line, _ = started("--json", "--tls", "--empty")
    told = json.loads(line)

    assert told["endpoint"].startswith("https://")
    assert told["env"]["SSL_CERT_FILE"] == told["ca_path"]
    assert told["instance_id"] is None


def test_without_json_it_speaks_to_people(started):
    line, _ = started()

    assert line.startswith("ready http://127.0.0.1:")


def test_seed_transitions_and_time_are_flags(started, tmp_path):
    seed = tmp_path / "seed.yaml"
    seed.write_text("instances:\n  - name: kafka-seeded\n", "utf-8")
    line, _ = started(
        "--json", "--frozen", "--seed", str(seed), "--transition", "*=2reads",
        "--transition", "restartInstance=900s",
    )  # fmt: skip
    told = json.loads(line)
    call = Calls(told["endpoint"])

    assert call("GET", f"{EMULATOR}/clock").json["frozen"] is True
    assert call("GET", f"{EMULATOR}/transitions").json == {
        "default": {"after_s": None, "after_reads": 2},
        "operations": {"restartInstance": {"after_s": 900.0, "after_reads": None}},
    }
    call.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--transition", "nothing=5s"), "operations.nothing"),
        (("--transition", "*=soon"), "NAME=5s"),
        (("--seed", "no-such-file.yaml"), "No such file"),
    ],
)
def test_wrong_flags_are_refused_before_anything_starts(arguments, says):
    done = backroom("test-server", *arguments)

    assert done.returncode == 2
    assert says in done.stderr.replace("\n", "")


def test_a_seed_that_is_wrong_is_told_with_its_place(tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text('{"instances": [{"name": "kafka-one", "broker_count": "3"}]}', "utf-8")
    done = backroom("serve", "--emulator", "--data", str(tmp_path / "data"), "--seed", str(seed))

    assert done.returncode == 2
    assert "instances[0].broker_count" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("flag", ["--frozen", "--clock-speed=5", "--transition=*=5s"])
def test_flags_of_an_emulator_need_one(tmp_path, flag):
    done = backroom("serve", "--data", str(tmp_path / "data"), flag)

    assert done.returncode == 2
    assert "--emulator" in done.stderr


def test_an_emulator_keeps_off_the_records_of_a_server(tmp_path):
    with serving(tmp_path):
        pass
    done = backroom("serve", "--emulator", "--data", str(tmp_path))

    assert done.returncode == 1
    assert "choose another --data" in done.stderr


def test_an_emulator_keeps_off_what_a_server_added_to_its_folder(tmp_path):
    for flags in (("--emulator",), ()):
        with serving(tmp_path, *flags):
            pass
    done = backroom("serve", "--emulator", "--data", str(tmp_path))

    assert done.returncode == 1
    assert "choose another --data" in done.stderr


def test_an_emulator_keeps_off_another_database_with_the_same_key(tmp_path):
    real, emulated = tmp_path / "real", tmp_path / "emulated"
    with serving(real):
        pass
    with serving(emulated, "--emulator"):
        pass
    shutil.copy(real / KEY_FILE, emulated / KEY_FILE)
    database = f"sqlite:///{real / DATABASE_FILE}"
    done = backroom("serve", "--emulator", "--data", str(emulated), "--database", database)

    assert done.returncode == 1
    assert "choose another --data" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--role", "api"), ("--database", "postgresql://nobody@127.0.0.1:1/nothing")]
)
def test_an_emulator_is_one_process_on_sqlite(tmp_path, arguments):
    done = backroom("serve", "--emulator", "--data", str(tmp_path / "data"), *arguments)

    assert done.returncode == 1
    assert "an emulator is" in done.stderr


def test_an_emulator_on_a_file_is_reset_and_comes_back(tmp_path):
    for _ in range(2):
        with serving(tmp_path, "--emulator", "--http", "--transition", "*=immediate") as server:
            variables = environment(tmp_path)
            ak, sk = variables["CLOUD_SDK_AK"], variables["CLOUD_SDK_SK"]
            call = Calls(server.endpoint, Signer(ak, sk))
            path = f"/v2/{variables['BACKROOM_PROJECT_ID']}/instances"
            instance = f"{path}/{variables['BACKROOM_INSTANCE_ID']}"
            assert call("DELETE", instance).status == 204
            assert call("GET", instance).status == 404
            nobody = Calls(server.endpoint)
            assert nobody("POST", f"{EMULATOR}/reset").status == 401
            nobody.close()
            assert call("POST", f"{EMULATOR}/reset").status == 204
            assert call("GET", instance).json["status"] == "RUNNING"
            call.close()


def test_a_task_goes_on_after_a_restart_although_time_had_been_moved(tmp_path):
    with serving(tmp_path, "--emulator", "--http", "--frozen", "--transition", "*=2s") as server:
        variables = environment(tmp_path)
        signer = Signer(variables["CLOUD_SDK_AK"], variables["CLOUD_SDK_SK"])
        call = Calls(server.endpoint, signer)
        assert call("POST", f"{EMULATOR}/clock", {"advance_s": 86_400}).status == 200
        instances = f"/v2/{variables['BACKROOM_PROJECT_ID']}/instances"
        tasks = f"{instances}/{variables['BACKROOM_INSTANCE_ID']}/tasks"
        action = {"action": "restart", "instances": [variables["BACKROOM_INSTANCE_ID"]]}
        assert call("POST", f"{instances}/action", action).status == 200
        assert call("GET", tasks).json["tasks"][0]["status"] == "CREATED"
        call.close()
    with serving(tmp_path, "--emulator", "--http", "--transition", "*=immediate") as server:
        call = Calls(server.endpoint, signer)
        assert call("GET", tasks).json["tasks"][0]["status"] == "SUCCESS"
        call.close()
