"""The commands that ask a server: real processes, ours and one with the official calls alone."""

import csv
import io
import itertools
import json
import os
import re
import resource
import subprocess
from dataclasses import dataclass

import pytest
import yaml
from tests.support.commands import command
from tests.support.official_only import official_only
from tests.support.processes import BACKROOM, backroom, environment, serving
from tests.support.terminals import terminal

from backroom.cli import matching
from backroom.cli.session import Session

pytestmark = pytest.mark.slow

FOREIGN = dict.fromkeys(
    ("LC_ALL", "LC_MESSAGES", "BACKROOM_ENDPOINT", "BACKROOM_PROJECT_ID", "BACKROOM_INSTANCE_ID",
     "CLOUD_SDK_AK", "CLOUD_SDK_SK", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), ""
)  # fmt: skip
NUMBERS = itertools.count()
FIRST_OUTPUT_CPU_S = 0.3  # of a whole command; what a person waits for on a machine that is free


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("asked"), "--http") as server:
        yield server


@pytest.fixture(scope="module")
def cloud(served):
    """The environment of somebody who uses the real service."""
    with official_only(served.endpoint) as front:
        yield {
            **environment(served.data),
            "BACKROOM_ENDPOINT": front.endpoint,
            "LANG": "C.UTF-8",
        }


@dataclass
class Done:
    stdout: str
    stderr: str


@pytest.fixture
def ask(served):
    """Runs a command in this process, against the server; `code` is what it must exit with."""

    def asked(*arguments, code=0, env=None, **more):
        env = env or {"LANG": "C.UTF-8", "BACKROOM_DATA": str(served.data)}
        done = command(*arguments, **more, **(FOREIGN | env))
        said = f"backroom: {done.refusal}\n" if done.refusal else ""
        found = getattr(done.exception, "exit_code", done.exit_code) if said else done.exit_code
        assert found == code, (arguments, done.stdout, done.stderr, done.refusal)
        return Done(done.stdout, done.stderr + said)

    return asked


def bound(ask, *more, address=None):
    """The id of a new task that takes a second."""
    address = address or f"eip-{next(NUMBERS)}"
    done = ask("instances", "public-ip", "kafka-demo", "on", "--address", address,
               "--query", "[0].task_id", *more)  # fmt: skip
    return done.stdout.strip()


def restarted(ask):
    """The id of a new task that takes some seconds, once all before it have ended."""
    ask("tasks", "wait", bound(ask))
    done = ask("instances", "restart", "kafka-demo", "--query", "[0].task_id")
    return done.stdout.strip()


def queued(ask):
    """Tasks one behind the other: the last one begins some seconds later."""
    return [bound(ask) for _ in range(6)]


class TestTasks:
    def test_a_change_tells_its_task_and_waiting_tells_its_end(self, ask):
        task_id = bound(ask, "--reason", "für 测试")
        done = ask("tasks", "wait", task_id)

        assert done.stdout.startswith(f"bindInstancePublicIp {task_id} succeeded after ")
        record = json.loads(ask("tasks", "show", task_id, "--full", "-o", "json").stdout)
        assert (record["state"], record["reason"]) == ("succeeded", "für 测试")
        assert task_id in ask("tasks", "list", "-i", "kafka-demo").stdout
        shown = ask("tasks", "show", task_id, "--full").stdout
        assert "attach_address" in shown
        assert "für 测试" in shown

    def test_watch_has_a_line_for_each_change(self, ask):
        task_id = restarted(ask)
        lines = ask("tasks", "watch", task_id).stdout.splitlines()

        assert lines[-1].startswith(f"restartInstance {task_id} succeeded after")
        assert any("running restart_brokers" in line for line in lines)

    def test_watch_for_programs(self, ask):
        task_id = bound(ask)
        lines = [
            json.loads(line)
            for line in ask("tasks", "watch", task_id, "-o", "json").stdout.splitlines()
        ]

        assert {line["task_id"] for line in lines} == {task_id}
        assert lines[-1]["state"] == "succeeded"

    def test_watching_everything_until_time_is_up(self, ask):
        task_id = restarted(ask)
        done = ask("tasks", "watch", "--timeout", "9s")

        assert f"{task_id} succeeded" in done.stdout

    def test_several_at_once_and_as_json(self, ask):
        ids = [bound(ask), bound(ask)]
        outcomes = json.loads(ask("tasks", "wait", *ids, "-o", "json").stdout)

        assert [outcome["task_id"] for outcome in outcomes] == ids
        assert {outcome["state"] for outcome in outcomes} == {"succeeded"}

    def test_time_is_up(self, ask):
        task_id = restarted(ask)
        done = ask("tasks", "wait", task_id, "--timeout", "100ms", code=4)

        assert f"backroom tasks wait {task_id}" in done.stderr
        ask("tasks", "wait", task_id)

    def test_cancel_retry_and_delete(self, ask):
        first, *_, second = queued(ask)
        cancelled = json.loads(
            ask("tasks", "cancel", second, "--reason", "no", "-o", "json").stdout
        )
        assert cancelled[0]["task_id"] == second
        done = ask("tasks", "wait", second, code=3)
        assert f"{second} was cancelled" in done.stdout
        again = ask("tasks", "retry", second, "--wait").stdout
        assert "succeeded" in again
        ask("tasks", "wait", first)
        assert "already succeeded" in ask("tasks", "cancel", first, code=5).stderr
        assert ask("tasks", "delete", second, code=2).stdout == ""
        assert ask("tasks", "delete", second, "--yes").stdout == f"deleted {second}\n"
        assert "DMS.00404001" in ask("tasks", "show", second, "--full", code=5).stderr

    def test_cancel_and_wait_is_a_success(self, ask):
        ask("tasks", "cancel", queued(ask)[-1], "--wait")

    def test_a_change_with_the_same_token_is_made_once(self, ask):
        ids = {bound(ask, "--client-token", "deploy-42", address="one") for _ in range(2)}
        assert len(ids) == 1
        ask("tasks", "wait", *ids)

    def test_search_pages_and_formats(self, ask):
        queued(ask)
        everything = json.loads(ask("tasks", "list", "-A", "--all", "-o", "json").stdout)
        assert len(everything) >= 2
        found = ask("tasks", "list", "-A", "--limit", "1")
        assert len(found.stdout.splitlines()) == 2
        assert "--all" in found.stderr
        as_yaml = yaml.safe_load(ask("tasks", "list", "-A", "--all", "-o", "yaml").stdout)
        assert [task["id"] for task in as_yaml] == [task["id"] for task in everything]
        none = ask("tasks", "list", "-A", "--text", "nobody wrote this")
        assert (none.stdout, none.stderr) == ("", "nothing found\n")

    @pytest.mark.parametrize("form", ["json", "csv"])
    def test_export(self, ask, tmp_path, form):
        file = tmp_path / "tasks"
        done = ask("tasks", "export", "--format", form, "--output", str(file))
        text = file.read_text("utf-8")
        rows = (
            [json.loads(line) for line in text.splitlines()]
            if form == "json"
            else list(csv.DictReader(io.StringIO(text)))
        )

        everything = json.loads(ask("tasks", "list", "-A", "--all", "-o", "json").stdout)
        assert [row["id"] for row in rows] == [task["id"] for task in everything]
        assert done.stdout == ""
        assert "is there already" in ask("tasks", "export", "--output", str(file), code=1).stderr


class TestMatching:
    """Many tasks by one bulk task."""

    def test_cancel_retry_and_delete(self, ask):
        mine = f"many-{next(NUMBERS)}-"
        first, *others = [bound(ask, address=f"{mine}{number}") for number in range(6)]
        chosen = ("--matching", "-i", "kafka-demo", "--text", mine, "--yes")
        waiting = (*chosen, "--state", "waiting")
        done = ask("tasks", "cancel", *waiting, "--reason", "für 测试")
        assert "bulkCancel" in done.stdout
        count = int(re.search(r"(\d+) of \1 done, 0 skipped", done.stdout).group(1))
        assert count >= len(others) - 2
        cancelled = (*chosen, "--state", "cancelled")
        again = json.loads(ask("tasks", "retry", *cancelled, "-o", "json").stdout)
        assert (again["name"], again["state"]) == ("bulkRetry", "succeeded")
        assert (again["matched"], again["done"], again["skipped"]) == (count, count, 0)
        gone = ask("tasks", "delete", *cancelled, "--no-wait", "--query", "task_id").stdout
        ask("tasks", "wait", gone.strip())
        left = ask("tasks", "list", "-i", "kafka-demo", "--text", mine, "--state", "cancelled",
                   "-o", "json")  # fmt: skip
        assert json.loads(left.stdout) == []
        ask("tasks", "wait", first)

    def test_nothing_found_does_nothing(self, ask, monkeypatch):
        monkeypatch.setattr(Session, "require_yes_in_a_pipe", lambda _self: None)
        before = ask("tasks", "list", "-A", "--kind", "bulk", "--all", "-o", "json").stdout
        done = ask("tasks", "delete", "--matching", "-A", "--text", "nobody wrote this")
        assert (done.stdout, done.stderr) == ("", "nothing found\n")
        assert ask("tasks", "list", "-A", "--kind", "bulk", "--all", "-o", "json").stdout == before

    def test_the_same_run_with_its_token_is_one_task_whatever_is_left(self, ask):
        ask("tasks", "wait", bound(ask, address="tidied"))
        tidy = ("tasks", "delete", "--matching", "-i", "kafka-demo", "--text", "tidied", "--yes",
                "--client-token", "tidy-1", "-o", "json")  # fmt: skip
        first, again = (json.loads(ask(*tidy).stdout) for _ in range(2))
        assert first == again
        assert (first["matched"], first["done"]) == (1, 1)
        other = json.loads(ask(*tidy[:-3], "tidy-2", "-o", "json").stdout)
        assert (other["matched"], other["done"], other["reasons"]) == (0, 0, [])
        assert "nothing found" in ask(*tidy[:-3], "tidy-3").stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("cancel", "--matching"), "--all-instances"),
            (("cancel", "--matching", "a" * 32, "-A"), "not both"),
            (("cancel", "a" * 32, "--state", "waiting"), "--matching"),
            (("cancel", "a" * 32, "-i", "kafka-demo"), "--instance"),
            (("retry", "a" * 32, "-i", "kafka-demo"), "--instance"),
            (("delete", "--matching", "-i", "", "--state", "failed", "--yes"), "--instance"),
            (("delete", "--matching", "-A", "--name", ",", "--yes"), "--name"),
            (("cancel",), "--matching"),
            (("cancel", "--matching", "--state", "failed", "--yes"), "waiting or running"),
            (("retry", "--matching", "--state", "running", "--yes"), "failed or cancelled"),
            (("delete", "--matching", "-A"), "--yes"),
        ],
    )
    def test_what_is_wrong_usage(self, ask, words, said):
        assert said in ask("tasks", *words, code=2).stderr

    def test_too_many_are_refused(self, ask, monkeypatch):
        ask("tasks", "wait", *(bound(ask) for _ in range(2)))
        monkeypatch.setattr(matching, "BULK_MOST", 1)
        monkeypatch.setattr(Session, "require_yes_in_a_pipe", lambda _self: None)
        said = ask("tasks", "delete", "--matching", "-A", "--state", "succeeded", code=5).stderr
        assert "more than 1 tasks match" in said
        assert "--from" in said

    def test_it_asks_with_the_number(self, served, ask):
        task_id = bound(ask, address="asked-for")
        ask("tasks", "wait", task_id)
        command = (BACKROOM, "tasks", "delete", "--matching", "--text", "asked-for",
                   "-i", "kafka-demo", "--data", str(served.data))  # fmt: skip
        with terminal(*command) as seen:
            seen.read_until("[y/N]")
            assert "the records of 1 tasks of kafka-demo (" in seen.text
            assert "text=asked-for" in seen.text
            seen.type("n\n")
            assert seen.end() == 1
        with terminal(*command) as seen:
            seen.read_until("[y/N]")
            seen.type("y\n")
            assert seen.end() == 0
            assert "1 of 1 done, 0 skipped" in seen.text
        assert "DMS.00404001" in ask("tasks", "show", task_id, "--full", code=5).stderr


class TestInstances:
    def test_from_making_to_deleting(self, ask):
        made = ask("instances", "create", "kafka-two", "--brokers", "3", "--wait")
        assert "createInstance" in made.stdout
        assert ask("instances", "show", "kafka-two", "--query", "status").stdout == "RUNNING\n"
        ask("instances", "extend", "kafka-two", "--storage", "600", "--wait")
        assert (
            ask("instances", "show", "kafka-two", "--query", "total_storage_space").stdout
            == "600\n"
        )
        assert "which instance?" in ask("topics", "list", code=5).stderr
        assert "--yes" in ask("instances", "delete", "kafka-two", code=2).stderr
        ask("instances", "delete", "kafka-two", "--yes", "--wait")
        assert "kafka-two" not in ask("instances", "list").stdout

    def test_restart(self, ask):
        done = ask("instances", "restart", "kafka-demo", "--wait")
        assert "restartInstance" in done.stdout

    def test_what_the_server_refuses(self, ask):
        said = ask("instances", "extend", "kafka-demo", "--storage", "100", code=5).stderr
        assert said.startswith("backroom: DMS.00400500")
        assert "there is no instance called nope" in ask("instances", "show", "nope", code=5).stderr

    def test_what_is_wrong_usage(self, ask):
        assert "--timeout" in ask("instances", "restart", "x", "--timeout", "soon", code=2).stderr
        assert "--query" in ask("instances", "list", "--query", "[", code=2).stderr
        assert "--lang" in ask("instances", "list", "--lang", "fr", code=2).stderr
        assert "--sk" in ask("instances", "list", "--ak", "x", code=2).stderr


class TestTopics:
    def test_from_making_to_moving_to_deleting(self, ask):
        ask("topics", "create", "orders", "--partitions", "3", "--replicas", "1")
        assert "orders" in ask("topics", "list", "--query", "[].name").stdout.splitlines()
        plan = ask("reassign", "plan", "--topic", "orders", "--brokers", "0,1")
        assert "it would take about" in plan.stdout
        assert plan.stdout.splitlines()[0].split() == ["TOPIC", "PARTITION", "LEADER", "REPLICAS"]
        done = ask("reassign", "start", "--topic", "orders", "--brokers", "0", "--wait")
        assert "kafkaReassignment" in done.stdout
        moved = json.loads(
            ask("reassign", "plan", "--topic", "orders", "--brokers", "0", "-o", "json").stdout
        )
        assert {tuple(row["replicas"]) for row in moved["partitions"]} == {(0,)}
        deleted = ask("topics", "delete", "orders", "--yes", "-o", "json")
        assert json.loads(deleted.stdout) == [{"id": "orders", "success": True}]

    def test_a_schedule(self, ask):
        ask("topics", "create", "later", "--partitions", "1", "--replicas", "1")
        made = ask("reassign", "start", "--topic", "later", "--brokers", "1", "--at", "+1h",
                   "--query", "[0].task_id")  # fmt: skip
        task_id = made.stdout.strip()
        assert task_id in ask("schedule", "list").stdout
        moved = ask("schedule", "move", task_id, "2030-01-02T03:04:05Z").stdout
        assert moved == f"moved {task_id} to 2030-01-02T03:04:05Z\n"
        assert "2030-01-02T03:04:05" in ask("schedule", "list").stdout
        assert "--at" in ask("reassign", "start", "--topic", "later", "--brokers", "1", "--at",
                             "2020-01-01", code=2).stderr  # fmt: skip
        ask("schedule", "cancel", task_id)
        assert ask("schedule", "list", "--query", "[0].status").stdout == "CANCELLED\n"


class TestAgainstTheRealServicesCalls:
    def test_reading_works_by_official_calls_alone(self, ask, cloud):
        task_id = bound(ask)
        assert "kafka-demo" in ask("instances", "list", env=cloud).stdout
        assert "RUNNING" in ask("instances", "show", env=cloud).stdout
        assert ask("topics", "list", env=cloud, code=0).stderr in ("", "nothing found\n")
        ask("schedule", "list", env=cloud)
        assert task_id in ask("tasks", "list", env=cloud).stdout
        done = ask("tasks", "wait", task_id, "--interval", "200ms", env=cloud)
        assert f"{task_id} succeeded" in done.stdout
        assert "SUCCESS" in ask("tasks", "show", task_id, env=cloud).stdout
        watched = ask("tasks", "watch", task_id, "-o", "json", env=cloud).stdout
        assert json.loads(watched)["status"] == "SUCCESS"

    def test_changes_find_their_task_there_too(self, ask, cloud):
        done = ask("instances", "public-ip", "kafka-demo", "on", "--wait", env=cloud)
        assert "bindInstancePublicIp" in done.stdout

    def test_an_extension_has_progress(self, ask, cloud):
        size = int(ask("instances", "show", "--query", "total_storage_space").stdout)
        done = ask("instances", "extend", "kafka-demo", "--storage", str(size + 300), "--wait",
                   env=cloud)  # fmt: skip
        assert "extendInstance" in done.stdout

    @pytest.mark.parametrize(
        "command",
        [
            ("tasks", "cancel", "a" * 32), ("tasks", "retry", "a" * 32), ("tasks", "export"),
            ("tasks", "list", "--text", "x"), ("tasks", "show", "a" * 32, "--full"),
            ("tasks", "delete", "--matching", "-A", "--yes"),
        ],
    )  # fmt: skip
    def test_what_needs_the_native_api_says_so(self, ask, cloud, command):
        assert "has no native API of Backroom" in ask(*command, env=cloud, code=5).stderr

    def test_in_chinese(self, ask, cloud):
        chinese = {**cloud, "LANG": "zh_CN.UTF-8"}
        assert "没有 Backroom 的原生 API" in ask("tasks", "export", env=chinese, code=5).stderr


class TestConnections:
    def test_tls_with_the_ca_of_the_data_folder_and_of_the_environment(self, tmp_path, ask):
        with serving(tmp_path) as server:
            ask("instances", "list", "--data", str(tmp_path))
            ask("instances", "list", env=environment(tmp_path))
            env = environment(tmp_path)
            del env["REQUESTS_CA_BUNDLE"], env["SSL_CERT_FILE"]
            said = ask("instances", "list", env=env, code=5).stderr
            assert "not trusted" in said
            assert "--ca" in said
            ask("instances", "list", "--ca", str(server.authority), env=env)

    def test_a_wait_survives_a_restart_of_the_server(self, tmp_path, ask):
        with serving(tmp_path, "--http") as first:
            made = ask("instances", "restart", "kafka-demo", "--query", "[0].task_id",
                       "--data", str(tmp_path))  # fmt: skip
            task_id = made.stdout.strip()
            waiting = subprocess.Popen(
                [BACKROOM, "tasks", "watch", task_id, "--data", str(tmp_path)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "LANG": "C.UTF-8"},
            )  # fmt: skip
            assert waiting.stdout.readline().startswith("restartInstance")
            first.stop()
        with serving(tmp_path, "--http", "--port", str(first.port)):
            out, err = waiting.communicate(timeout=40)
        assert waiting.returncode == 0, (out, err)
        assert f"{task_id} succeeded" in out

    def test_a_wrong_key_is_refused_with_a_hint(self, served, ask):
        project = environment(served.data)["BACKROOM_PROJECT_ID"]
        said = ask("instances", "list", "--endpoint", served.endpoint, "--ak", "NOPE", "--sk", "-",
                   "--project-id", project, input="secret-of-mine\n", code=5).stderr  # fmt: skip
        assert "APIGW.0301" in said
        assert "Check the key" in said
        assert "secret-of-mine" not in said

    def test_the_first_output_comes_fast(self, served):
        env = {**os.environ, **environment(served.data)}

        def spent_s():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert backroom("tasks", "list", env=env).returncode == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(spent_s() for _ in range(5)) < FIRST_OUTPUT_CPU_S


class TestOnATerminal:
    def test_a_bar_and_then_the_outcome(self, served, ask):
        task_id = restarted(ask)
        with terminal(BACKROOM, "tasks", "wait", task_id, "--data", str(served.data)) as seen:
            text = seen.read_until("restart_brokers")
            assert task_id[:8] in text
            assert "%" in text
            assert "━" in text
            seen.read_until(f"{task_id} succeeded after")
            assert seen.end() == 0

    def test_one_bar_for_all(self, served, ask):
        ids = queued(ask)[-2:]
        with terminal(
            BACKROOM, "tasks", "wait", *ids, "--compact", "--data", str(served.data)
        ) as seen:
            seen.read_until("0/2")
            assert seen.end() == 0
            assert f"{ids[1]} succeeded" in seen.text

    def test_ctrl_c_stops_the_watching_not_the_task(self, served, ask):
        task_id = restarted(ask)
        with terminal(BACKROOM, "tasks", "watch", task_id, "--data", str(served.data)) as seen:
            seen.read_until("restart_brokers")
            seen.type("\x03")
            seen.read_until(f"backroom tasks watch {task_id}")
            assert seen.end() == 130
            assert "Traceback" not in seen.text
        assert "succeeded" in ask("tasks", "wait", task_id).stdout

    def test_a_table_is_coloured_and_cut(self, served, ask):
        ask("tasks", "wait", bound(ask))
        with terminal(
            BACKROOM, "tasks", "list", "-A", "--data", str(served.data), columns=60
        ) as seen:
            assert seen.end() == 0
            assert all(len(line) <= 60 for line in seen.text.splitlines())
            assert "…" in seen.text
        with terminal(
            BACKROOM, "tasks", "list", "-A", "--data", str(served.data), columns=200
        ) as seen:
            assert seen.end() == 0
            assert "\x1b[32msucceeded\x1b[0m" in seen.raw

    def test_deleting_asks(self, served, ask):
        task_id = bound(ask)
        ask("tasks", "wait", task_id)
        command = (BACKROOM, "tasks", "delete", task_id, "--data", str(served.data))
        with terminal(*command) as seen:
            seen.read_until("[y/N]")
            seen.type("n\n")
            assert seen.end() == 1
            assert "nothing was changed" in seen.text
        with terminal(*command) as seen:
            seen.read_until("[y/N]")
            seen.type("y\n")
            assert seen.end() == 0
            assert f"deleted {task_id}" in seen.text
