"""The pytest plugin in runs of pytest of its own, as somebody else's project has it."""

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytestmark = pytest.mark.slow

RUNS_WITHIN_S = 50
PLUGIN = "backroom.testing.plugin"
STRICT = "filterwarnings = error"


@pytest.fixture
def run(tmp_path):
    """Runs these tests, with these options."""

    def run(text, *options, ini=""):
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}\n", "utf-8")
        (tmp_path / "test_them.py").write_text(text, "utf-8")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            # what else is installed here would take longer than the tests
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": PLUGIN},
            capture_output=True,
            text=True,
            timeout=RUNS_WITHIN_S,
            check=False,
        )

    return run


SEEDED = """
import pytest

SEED = {"instances": [{"name": "kafka-one"}]}

@pytest.mark.backroom(seed=SEED)
def test_one(backroom):
    assert list(backroom.instance_ids()) == ["kafka-one"]
    backroom.clock.freeze()
    backroom.transitions.after_s(900)

def test_two(backroom):
    assert backroom.instance_ids() == {}
    assert not backroom.clock.is_frozen
    assert backroom.endpoint.startswith("http://127.0.0.1:")
"""


def test_each_test_has_a_server_as_if_it_were_its_own(run):
    done = run(SEEDED, ini=STRICT)

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_one_server_serves_a_session(run):
    done = run(
        "import pytest\nseen = set()\n"
        "@pytest.mark.parametrize('n', range(5))\n"
        "def test_one(backroom, n):\n    seen.add(backroom.endpoint)\n    assert len(seen) == 1\n"
    )

    assert "5 passed" in done.stdout


def test_each_process_of_xdist_has_a_server(run):
    done = run(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(8))\n"
        "def test_one(backroom, n, capsys):\n"
        "    with capsys.disabled():\n        print(f'port={backroom.endpoint}')\n"
        "    backroom.seed({'instances': [{'name': 'kafka-one'}]})\n"
        "    assert list(backroom.instance_ids()) == ['kafka-one']\n",
        "-p", "xdist", "-n", "2",
    )  # fmt: skip

    assert "8 passed" in done.stdout, done.stdout


def test_tls_is_on_request(run):
    text = (
        "import pytest\n\n"
        "@pytest.mark.backroom(tls=True)\n"
        "def test_one(backroom):\n"
        "    assert backroom.endpoint.startswith('https://')\n"
        "    assert backroom.ca_path.exists()\n\n"
        "def test_two(backroom):\n"
        "    assert backroom.endpoint.startswith('{}://')\n"
    )

    assert "2 passed" in run(text.format("http")).stdout
    assert "2 passed" in run(text.format("https"), ini="backroom_tls = true").stdout


def test_an_unknown_word_in_the_marker_is_refused(run):
    text = "import pytest\n@pytest.mark.backroom(sed={})\ndef test_one(backroom):\n    pass\n"

    assert "knows no sed" in run(text).stdout


def test_a_failure_shows_the_tasks_that_the_test_made(run):
    done = run(
        "TASKS = [{'operation': 'extendInstance'}]\n"
        "SEED = {'instances': [{'name': 'kafka-one', 'tasks': TASKS}]}\n"
        "def test_one(backroom, backroom_client):\n"
        "    from huaweicloudsdkkafka import v2\n"
        "    instance_id = backroom.seed(SEED)['kafka-one']\n"
        "    backroom_client.modify_kafka_public_ip_access_switch(\n"
        "        v2.ModifyKafkaPublicIpAccessSwitchRequest(\n"
        "            instance_id=instance_id,\n"
        "            body=v2.ModifyKafkaPublicIPAccessSwitchReq(publicip_id='eip-1'),\n"
        "        )\n"
        "    )\n"
        "    assert False\n",
    )

    assert done.returncode == 1
    shown = done.stdout.partition("Backroom: tasks of this test")[2]
    assert "bindInstancePublicIp" in shown, done.stdout
    assert "complete  -> succeeded" in shown
    assert "extendInstance" not in shown  # the seed's


def test_without_the_sdk_its_client_is_skipped_with_what_to_do(run, tmp_path):
    (tmp_path / "huaweicloudsdkkafka.py").write_text(
        "raise ModuleNotFoundError('not here')\n", "utf-8"
    )
    done = run("def test_one(backroom_client):\n    pass\n", "-rs")

    assert "1 skipped" in done.stdout, done.stdout
    assert "pip install huaweicloudsdkkafka" in done.stdout


def test_pytest_loads_nothing_of_the_server_before_a_test_asks_for_it(run):
    done = run(
        "import sys\n"
        "def test_one():\n"
        "    heavy = {'granian', 'apsw', 'msgspec', 'backroom.bootstrap'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )

    assert "1 passed" in done.stdout, done.stdout


def test_pytest_finds_the_plugin_by_its_entry_point():
    assert [point.value for point in entry_points(group="pytest11", name="backroom")] == [PLUGIN]
