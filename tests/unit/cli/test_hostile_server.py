"""Whatever answers, a command ends with one line and a code, never with a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.answering import DROP, answering
from tests.support.commands import command
from tests.support.secret_files import written
from tests.unit.cli.test_help import LEAVES

pytestmark = pytest.mark.slow

INSTANCE = "12345678-1234-1234-1234-123456789abc"
TASK = "f" * 32
LOCAL = {"serve", "env", "test-server", "doctor", "keys", "audit", "db", "signature"}
COMMANDS = [
    ("tasks", "list"),
    ("tasks", "list", "-i", INSTANCE, "--all"),
    ("tasks", "list", "-A", "-o", "json"),
    ("tasks", "show", TASK),
    ("tasks", "show", TASK, "-i", INSTANCE, "-o", "wide"),
    ("tasks", "show", TASK, "--full"),
    ("tasks", "wait", TASK, "-i", INSTANCE, "--timeout", "10ms", "--interval", "5ms"),
    ("tasks", "watch", "-i", INSTANCE, "--timeout", "10ms", "--interval", "5ms", "-o", "json"),
    ("tasks", "cancel", TASK),
    ("tasks", "cancel", "--matching", "-A", "--yes", "--timeout", "10ms"),
    ("tasks", "retry", TASK, "--wait", "--timeout", "10ms"),
    ("tasks", "retry", "--matching", "--state", "failed", "--yes", "--no-wait"),
    ("tasks", "retry", "--matching", "-A", "--yes", "--no-wait", "-o", "json"),
    ("tasks", "delete", TASK, "--yes", "-i", INSTANCE),
    ("tasks", "delete", "--matching", "--name", "x", "--yes", "-o", "json", "--timeout", "10ms"),
    ("tasks", "export"),
    ("tasks", "export", "--format", "csv"),
    ("instances", "list"),
    ("instances", "show", "kafka-demo"),
    ("instances", "show", INSTANCE, "-o", "yaml"),
    ("instances", "create", "kafka-x", "--wait", "--timeout", "10ms"),
    ("instances", "delete", INSTANCE, "--yes"),
    ("instances", "restart", "kafka-demo", "--wait", "--timeout", "10ms"),
    ("instances", "extend", INSTANCE, "--storage", "600"),
    ("instances", "public-ip", INSTANCE, "on"),
    ("topics", "list", "-i", INSTANCE),
    ("topics", "create", "orders", "-i", INSTANCE),
    ("topics", "delete", "orders", "--yes", "-i", INSTANCE),
    ("reassign", "plan", "--topic", "orders", "--brokers", "0", "-i", INSTANCE),
    ("reassign", "start", "--topic", "orders", "--brokers", "0", "-i", INSTANCE),
    ("schedule", "list", "-i", INSTANCE),
    ("schedule", "cancel", TASK),
    ("schedule", "move", TASK, "+2h"),
]
JSON = {"Content-Type": "application/json"}
ALIVE = (200, JSON, b'{"status": "ok"}')
GONE = (404, JSON, b"{}")
ANSWERS = {
    "html": (200, {"Content-Type": "text/html"}, b"<html><body>Welcome to nginx!</body></html>"),
    "html error": (502, {"Retry-After": "99"}, b"<html>\n<h1>502 Bad Gateway</h1>\n</html>"),
    "list": (200, JSON, b"[1, 2]"),
    "text": (200, JSON, b'"tasks"'),
    "null": (200, JSON, b"null"),
    "half": (200, JSON, b'{"tasks": [{"id": "1'),
    "cut off": (200, {**JSON, "Content-Length": "999", "Connection": "close"}, b'{"tasks": []}'),
    "nothing in it": (200, JSON, b"{}"),
    "empty": (200, JSON, b""),
    "no content": (204, {}, b""),
    "redirect": (302, {"Location": "https://example.com/\x1b[31mlogin"}, b""),
    "dropped": DROP,
    "no text": (200, JSON, b"\xff\xfe\x00"),
    "numbers": (200, JSON, json.dumps(dict.fromkeys(("tasks", "task_count", "jobs", "job_count",
        "instances", "instance_num", "topics", "total", "task_id", "events", "results",
        "instance_id", "reassignment_time", "partitions"), 5)).encode()),
    "hollow lists": (200, JSON, json.dumps({
        "tasks": [None], "task_count": "many", "jobs": [[]], "job_count": 1, "cursor": None,
        "instances": [{}], "instance_num": 1, "topics": ["x"], "total": 1, "events": [7],
        "results": [None], "partitions": [{"replicas": 3}],
    }).encode()),
    "an error of no code": (400, JSON, b'{"error_code": {"a": 1}, "error_msg": ["b\\u001b"]}'),
    "an error of the server": (500, {}, b""),
}  # fmt: skip


def asked(server, words, tmp_path):
    key = written(tmp_path / "sk", "secret-of-mine\n")
    return command(
        *words, "--endpoint", server.endpoint, "--ak", "AK", "--sk-file", key, "--project-id", "p",
        LANG="C.UTF-8", LC_ALL="", BACKROOM_INSTANCE_ID="",
    )  # fmt: skip


def check(done, words):
    code = getattr(done.exception, "exit_code", done.exit_code) if done.refusal else done.exit_code
    said = (words, done.exception, done.stdout, done.stderr, done.refusal)
    assert code in {0, 1, 3, 4, 5}, said
    assert "\n" not in done.refusal, said
    assert "\x1b" not in done.refusal + done.stdout + done.stderr, said
    assert "secret-of-mine" not in done.refusal + done.stdout + done.stderr, said
    return code


def answerer(answer, *, is_backroom):
    health = ALIVE if is_backroom else GONE
    return lambda asked: health if asked.path == "/healthz" else answer


def test_every_command_that_asks_a_server_is_here():
    asking = {tuple(path) for path, _ in LEAVES if path[0] not in LOCAL}
    assert asking == {words[:2] for words in COMMANDS}


@pytest.mark.parametrize("is_backroom", [True, False], ids=["backroom", "another"])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_line_and_a_code_whatever_is_answered(name, is_backroom, tmp_path):
    codes = {}
    with answering(answerer(ANSWERS[name], is_backroom=is_backroom)) as server:
        for words in COMMANDS:
            codes[words] = check(asked(server, words, tmp_path), words)

    reads = [words for words in COMMANDS if words[1] in {"list", "show", "plan", "export"}]
    assert {codes[words] for words in reads} == {5}, codes


@pytest.mark.parametrize("status", [200, 302, 404])
def test_a_server_that_says_the_same_to_everything(status, tmp_path):
    """Another program on the port, as it is asked for its health, too."""
    headers = {"Location": "https://u:p@h/\x1b[31m"}
    with answering(lambda _asked: (status, headers, b"<html>It works!</html>")) as server:
        for words in COMMANDS:
            check(asked(server, words, tmp_path), words)


NAMES = (
    "tasks", "task_count", "cursor", "jobs", "job_count", "instances", "instance_num", "topics",
    "total", "task_id", "events", "results", "instance_id", "id", "name", "status", "state",
    "created_at", "updated_at", "progress", "steps", "waits", "partitions", "replicas", "success",
)  # fmt: skip
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8)
    ),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=documents, words=st.sampled_from(COMMANDS), is_backroom=st.booleans())
def test_json_of_any_shape(tmp_path, body, words, is_backroom):
    answer = (200, JSON, json.dumps(body).encode())
    with answering(answerer(answer, is_backroom=is_backroom)) as server:
        check(asked(server, words, tmp_path), words)
