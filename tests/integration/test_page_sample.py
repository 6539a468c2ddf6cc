"""The Python sample of the vendor's page, word for word, against a real server over TLS.

The page is not ours to keep: it is read from beside the project, where there is a copy.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processes import environment, with_environment

PAGE = Path(__file__).parents[3] / "shared" / "contract" / "show-background-task.zh.txt"
FIRST_LINE = "# coding: utf-8"
LAST_LINE = "        print(e.error_msg)"
EXAMPLES = Path(__file__).parents[2] / "examples" / "python"
RUNS_WITHIN_S = 30
WRONG = {  # what a machine may have set before, in which our values must win
    "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
    "CURL_CA_BUNDLE": "/nowhere/ca.pem",
    "SSL_CERT_FILE": "/nowhere/ca.pem",
    "NODE_EXTRA_CA_CERTS": "/nowhere/ca.pem",
    "HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://127.0.0.1:1",
    "HUAWEICLOUD_SDK_REGION_KAFKA_CN_NORTH_4": "https://127.0.0.1:1",
    "CLOUD_SDK_AK": "WRONG",
    "CLOUD_SDK_SK": "WRONG",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample():
    if not PAGE.exists():
        pytest.skip(f"needs the page's text as {PAGE.name} in ../shared/contract")
    lines = PAGE.read_text("utf-8").splitlines()
    return "\n".join(lines[lines.index(FIRST_LINE) : lines.index(LAST_LINE) + 1])


@pytest.fixture(scope="module")
def env(served, tmp_path_factory):
    """As after the shell evaluated `backroom env`; a home without the SDK's files."""
    home = str(tmp_path_factory.mktemp("home"))
    return with_environment(served.data, **WRONG, HOME=home)


@pytest.fixture(scope="module")
def task_id(env):
    """A task that has ended, made with the official SDK."""
    return run([str(EXAMPLES / "bind_public_ip.py")], env).stdout.strip()


def run(arguments, env, exit_code=0):
    done = subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    return done


def filled(sample, env, project_id, task_id):
    wanted = {
        "<YOUR REGION>": env["BACKROOM_REGION"],
        "{project_id}": project_id,
        "{instance_id}": env["BACKROOM_INSTANCE_ID"],
        "{task_id}": task_id,
    }
    for placeholder, value in wanted.items():
        assert sample.count(placeholder) == 1
        sample = sample.replace(placeholder, value)
    return sample


def test_the_environment_overrides_what_was_set_before(served):
    ours = environment(served.data)
    assert set(WRONG) - set(ours) == {"CURL_CA_BUNDLE"}  # only looked at without the first
    for name, value in ours.items():
        assert value != WRONG.get(name)


@pytest.mark.parametrize("is_given", [True, False], ids=["project id given", "looked up at IAM"])
def test_the_sample_prints_the_stored_record(sample, env, task_id, is_given):
    project_id = env["BACKROOM_PROJECT_ID"] if is_given else ""
    printed = json.loads(run(["-c", filled(sample, env, project_id, task_id)], env).stdout)
    assert printed["task_count"] == "1"
    (task,) = printed["tasks"]
    assert task["id"] == task_id
    assert task["name"] == "bindInstancePublicIp"
    assert task["status"] == "SUCCESS"
    assert task["user_name"] == env["BACKROOM_USER_NAME"]
    assert json.loads(task["params"])["enable_public_ip"] is True
    shown = run([str(EXAMPLES / "show_background_task.py"), task_id], env).stdout
    assert json.loads(shown) == printed


def test_the_sample_prints_an_official_error(sample, env):
    missing = "0" * 32
    printed = run(["-c", filled(sample, env, env["BACKROOM_PROJECT_ID"], missing)], env).stdout
    status, request_id, code, message = printed.splitlines()
    assert (status, code) == ("404", "DMS.00404001")
    assert len(request_id) == 32
    assert missing in message


def test_with_its_placeholders_left_in_the_sample_prints_what_is_wrong(sample, env):
    region = sample.replace("<YOUR REGION>", env["BACKROOM_REGION"])
    status, _, code, _ = run(["-c", region], env).stdout.splitlines()
    assert (status, code) == ("400", "DMS.00400002")


def test_with_a_wrong_secret_the_sample_prints_the_servers_canonical_request(sample, env, task_id):
    text = filled(sample, env, env["BACKROOM_PROJECT_ID"], task_id)
    wrong = env | {"CLOUD_SDK_SK": "not-the-secret"}
    status, _, code, message = run(["-c", text], wrong).stdout.splitlines()
    assert (status, code) == ("401", "APIGW.0301")
    assert "verify aksk signature fail, canonicalRequest:GET|/v2/" in message
    assert run(["-c", text], env).stdout.startswith("{")  # one failure locks nothing
