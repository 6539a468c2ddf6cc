"""What a service leaves out of an answer is shown as empty."""

import json

import pytest
from tests.support.answering import answering
from tests.support.commands import command

TASK = "f" * 32
INSTANCE = "12345678-1234-1234-1234-123456789abc"
BARE = {"id": TASK, "status": "SUCCESS"}


@pytest.fixture
def asked():
    """Runs a command against a service with the official calls alone, which answers with this."""

    def run(body, *words):
        def reply(request):
            found = request.path.startswith("/v2")
            content = body if found and not request.path.endswith("/progress") else {}
            return 200 if found else 404, {}, json.dumps(content).encode()

        with answering(reply) as server:
            return command(
                *words, "-o", "wide", "--endpoint", server.endpoint, "--ak", "AK", "--sk", "sk",
                "--project-id", "p", LANG="C.UTF-8", LC_ALL="", BACKROOM_INSTANCE_ID=INSTANCE,
            )  # fmt: skip

    return run


@pytest.mark.parametrize("more", [{}, {"name": None, "created_at": None, "updated_at": None}])
def test_a_task_with_an_id_and_a_status_alone(asked, more):
    body = {"tasks": [BARE | more], "task_count": 1}
    assert asked(body, "tasks", "list").stdout.splitlines()[1].split() == [TASK, "SUCCESS"]
    shown = asked(body, "tasks", "show", TASK)
    assert shown.stdout.split() == ["TASK", TASK, "STATUS", "SUCCESS"]
    waited = asked(body, "tasks", "wait", TASK)
    assert waited.stdout == f"{TASK} succeeded after ?\n"


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ({}, []),
        ({"name": None, "status": None}, []),
        ({"status": "EXECUTING"}, ["TASK", "EXECUTING"]),
        ({"name": "restart"}, ["TASK", "restart"]),
        (None, []),
    ],
)
def test_a_task_of_an_instance_without_all_of_it(asked, task, line):
    done = asked({"instance_id": INSTANCE, "task": task}, "instances", "show", INSTANCE)
    assert done.exit_code == 0, done.refusal
    lines = [text.split() for text in done.stdout.splitlines()]
    assert [found for found in lines if found[0] == "TASK"] == ([line] if line else [])
