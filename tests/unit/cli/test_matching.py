"""`--matching` does what was meant and confirmed, and nothing beyond it."""

import json
import re

import pytest
from tests.support.answering import answering
from tests.support.commands import command

from backroom.cli.session import Session

JSON = {"Content-Type": "application/json"}
BULK = "b" * 32
TASK = "a" * 32
ONE = "12345678-1234-1234-1234-123456789abc"
OTHER = "87654321-1234-1234-1234-123456789abc"


def record(task_id, matched=3, **more):
    return {
        "id": task_id, "name": "bulkDelete", "state": "succeeded", "kind": "bulk",
        "instance_id": ONE, "created_at": "2026-03-04T05:06:07.008Z",
        "ended_at": "2026-03-04T05:06:08.008Z", "error_code": None, "error_msg": None,
        "reason": None, "progress": {"percent": 100, "remaining_s": 0}, "attempts": [],
        "steps": [{"name": "delete", "state": "succeeded",
                   "output": {"done": matched, "skipped": 0, "reasons": []}}],
        "changed": None, "waits": None, "params": {"task_count": matched}, **more,
    }  # fmt: skip


class Played:
    """A Backroom with `found` tasks that match, `matched` of them when the bulk task is made."""

    def __init__(self, found=3, matched=3, names=("kafka-demo",), refusal=None):
        self.found = found
        self.matched = matched
        self.names = names
        self.refusal = refusal

    def __call__(self, asked):
        status, body = self._answer(asked)
        return status, JSON, json.dumps(body).encode()

    def _answer(self, asked):
        if asked.path == "/healthz":
            return 200, {"status": "ok"}
        if asked.method == "POST":
            refused = self.refusal and (400, {"error_code": "DMS.00400062",
                                              "error_msg": self.refusal})  # fmt: skip
            return refused or (202, {"task_id": BULK})
        if asked.path.startswith("/v2"):
            ids = dict(zip(self.names, (ONE, OTHER), strict=False))
            wanted = re.search(r"[?&]name=([\w-]*)", asked.target)
            found = [n for n in self.names if wanted is None or n == wanted.group(1)]
            listed = [{"instance_id": ids[name], "name": name} for name in found]
            return 200, {"instances": listed, "instance_num": len(listed)}
        if asked.path.endswith(f"/tasks/{BULK}"):
            return 200, record(BULK, self.matched)
        if asked.path.endswith(f"/tasks/{TASK}"):
            return 200, record(TASK, kind="background")
        return 200, {"tasks": [record(f"{n:032x}") for n in range(self.found)], "cursor": None}


class Run:
    """Of a command: its exit code, what it printed, and what it asked of the server."""

    def __init__(self, played, *words, **more):
        env = {"LANG": "C.UTF-8", "LC_ALL": "", "BACKROOM_INSTANCE_ID": "", "CLOUD_SDK_AK": "AK",
               "CLOUD_SDK_SK": "sk", "BACKROOM_PROJECT_ID": "p"}  # fmt: skip
        with answering(played) as server:
            done = command("tasks", *words, **env | {"BACKROOM_ENDPOINT": server.endpoint} | more)
        self.stdout, self.stderr = done.stdout, done.stderr + done.refusal
        self.code = done.exception.exit_code if done.refusal else done.exit_code
        self.asked = server.asked

    @property
    def bodies(self):
        return [json.loads(asked.body) for asked in self.asked if asked.method == "POST"]

    @property
    def searches(self):
        return [one for one in self.asked if one.method == "GET" and one.path.endswith("/tasks")]


@pytest.fixture
def _at_a_terminal(monkeypatch):
    monkeypatch.setattr(Session, "require_yes_in_a_pipe", lambda _self: None)


EMPTY = [
    ("--instance", ""), ("-i", " "), ("--state", ""), ("--state", "failed,"), ("--name", ""),
    ("--name", ","), ("--name", "a,,b"), ("--user", ""), ("--kind", ""), ("--text", ""),
    ("--from", ""), ("--to", ""),
]  # fmt: skip


@pytest.mark.parametrize("empty", EMPTY, ids="".join)
@pytest.mark.parametrize(
    "words",
    [("delete", "--matching", "--state", "failed", "--yes"), ("list",), ("export",)],
    ids=lambda words: words[0],
)
def test_a_filter_that_is_empty_is_refused_before_anything_is_asked(words, empty):
    run = Run(Played(), *words, *empty, BACKROOM_INSTANCE_ID=ONE)
    assert run.code == 2, run.stderr
    assert "is empty" in run.stderr
    assert empty[0].lstrip("-") in run.stderr
    assert run.asked == []


def test_an_instance_that_is_empty_is_never_the_only_one():
    with answering(Played()) as server:
        done = command(
            "instances", "delete", "", "--yes", "--endpoint", server.endpoint, "--ak", "AK",
            "--sk", "sk", "--project-id", "p",
        )  # fmt: skip
    assert done.exit_code == 2
    assert "is empty" in done.stderr
    assert [asked for asked in server.asked if asked.method != "GET"] == []


DELETE = ("delete", "--matching", "--state", "failed")


class TestScope:
    def test_no_instance_said_is_not_the_whole_project(self):
        run = Run(Played(names=("one", "two")), *DELETE, "--yes")
        assert run.code == 5
        assert "which instance?" in run.stderr
        assert "--all-instances" in run.stderr
        assert run.bodies == []

    def test_chinese(self):
        run = Run(Played(names=("one", "two")), *DELETE, "--yes", LANG="zh_CN.UTF-8")
        assert "--all-instances 表示整个项目" in run.stderr

    @pytest.mark.parametrize(
        ("words", "env", "instance_id"),
        [
            ((), {}, ONE),
            ((), {"BACKROOM_INSTANCE_ID": OTHER}, OTHER),
            (("-i", "kafka-demo"), {"BACKROOM_INSTANCE_ID": OTHER}, ONE),
            (("-i", OTHER), {}, OTHER),
            (("-A",), {"BACKROOM_INSTANCE_ID": OTHER}, None),
        ],
    )
    def test_it_is_what_the_help_says(self, words, env, instance_id):
        run = Run(Played(), *DELETE, "--yes", *words, **env)
        assert run.code == 0, run.stderr
        (body,) = run.bodies
        assert body["filter"].get("instance_id") == instance_id

    @pytest.mark.usefixtures("_at_a_terminal")
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("-A",), "of 3 tasks of all instances (state=failed, kind=background,scheduled)"),
            (("-i", "kafka-demo"), f"of 3 tasks of kafka-demo ({ONE}) (state=failed"),
            (("-i", OTHER), f"of 3 tasks of {OTHER} (state=failed"),
            ((), f"of 3 tasks of {ONE} (state=failed"),
            (("-A", "--lang", "zh"), "这会永久删除所有实例的 3 个任务"),
            (("-A", "--client-token", "t"), "of all matching tasks of all instances (state=failed"),
        ],
    )
    def test_the_question_tells_it(self, words, said):
        run = Run(Played(), *DELETE, *words, input="n\n")
        assert run.code == 1
        assert said in run.stderr
        assert run.bodies == []


class TestWhatWasConfirmed:
    @pytest.mark.usefixtures("_at_a_terminal")
    def test_no_more_is_done_than_was_counted(self):
        run = Run(Played(), *DELETE, "-A", input="y\n")
        assert run.code == 0, run.stderr
        assert [body["most"] for body in run.bodies] == [3]

    @pytest.mark.usefixtures("_at_a_terminal")
    def test_more_meanwhile_are_refused(self):
        refusal = "Invalid most parameter in the request. most is 3, and more tasks match."
        run = Run(Played(refusal=refusal), *DELETE, "-A", input="y\n")
        assert run.code == 5
        assert "more than the 3 tasks that were confirmed match now" in run.stderr

    def test_who_says_yes_counts_nothing(self):
        run = Run(Played(), *DELETE, "-A", "--yes")
        assert "most" not in run.bodies[0]
        assert run.searches == []


class TestRepeatable:
    @pytest.mark.usefixtures("_at_a_terminal")
    @pytest.mark.parametrize("sure", [("--yes",), ()], ids=["yes", "asked"])
    def test_a_run_with_a_token_asks_the_same_whatever_is_left(self, sure):
        words = (*DELETE, "-A", "--client-token", "tidy", *sure)
        runs = [Run(Played(found), *words, input="y\n") for found in (3, 0)]
        changes = [asked for run in runs for asked in run.asked if asked.method == "POST"]
        assert len(changes) == 2
        assert len({asked.headers["x-client-token"] for asked in changes}) == 1
        assert len({asked.body for asked in changes}) == 1
        assert [run.searches for run in runs] == [[], []]

    def test_without_one_each_run_has_its_own(self):
        runs = [Run(Played(), *DELETE, "-A", "--yes") for _ in range(2)]
        posts = [asked for run in runs for asked in run.asked if asked.method == "POST"]
        assert len({asked.headers["x-client-token"] for asked in posts}) == 2


class TestWhatIsTold:
    @pytest.mark.usefixtures("_at_a_terminal")
    def test_nothing_found_is_a_document_for_programs(self):
        run = Run(Played(found=0), *DELETE, "-A", "-o", "json")
        assert json.loads(run.stdout) == {
            "task_id": None, "matched": 0, "done": 0, "skipped": 0, "reasons": [],
        }  # fmt: skip
        assert (run.code, run.bodies) == (0, [])

    @pytest.mark.parametrize("more", [(), ("--no-wait",)], ids=["waited", "not waited"])
    def test_nothing_matched_is_told(self, more):
        run = Run(Played(matched=0), *DELETE, "-A", "--yes", *more)
        assert run.code == 0
        assert run.stderr.splitlines() == [f"task {BULK}", "nothing found"]

    def test_who_does_not_wait_gets_one_object(self):
        run = Run(Played(), *DELETE, "-A", "--yes", "--no-wait", "-o", "json")
        waited = Run(Played(), *DELETE, "-A", "--yes", "-o", "json")
        assert json.loads(run.stdout).keys() == json.loads(waited.stdout).keys()
        assert json.loads(run.stdout)["task_id"] == BULK
        assert json.loads(run.stdout)["matched"] == 3

    @pytest.mark.parametrize("more", [(), ("--no-wait",), ("-o", "json")], ids=str)
    def test_the_id_is_told_at_once(self, more):
        run = Run(Played(), *DELETE, "-A", "--yes", *more)
        assert run.stderr.splitlines()[0] == f"task {BULK}"


class TestIds:
    @pytest.mark.parametrize("action", ["cancel", "retry"])
    @pytest.mark.parametrize("more", [("-i", OTHER), ("-A",), ("--user", "ann")], ids=str)
    def test_what_would_be_passed_over_beside_ids_is_refused(self, action, more):
        run = Run(Played(), action, TASK, *more)
        assert (run.code, run.asked) == (2, [])

    def test_a_record_of_another_instance_is_not_deleted(self):
        run = Run(Played(), "delete", TASK, "-i", OTHER, "--yes")
        assert run.code == 5
        assert f"{TASK} is not a task of {OTHER}" in run.stderr
        assert "DELETE" not in {asked.method for asked in run.asked}
        assert Run(Played(), "delete", TASK, "-i", "kafka-demo", "--yes").code == 0

    @pytest.mark.parametrize("action", ["cancel", "retry", "delete"])
    @pytest.mark.parametrize("way", ["--wait", "--no-wait"])
    def test_all_three_wait_or_not(self, action, way):
        run = Run(Played(), action, "--matching", "-A", "--yes", way)
        assert run.code == 0, run.stderr
        assert ("done" in run.stdout) is (way == "--wait")
