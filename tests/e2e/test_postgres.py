"""Several processes on one PostgreSQL: the database goes away or hangs, a key is another."""

import json
import signal
import threading
from collections import Counter
from contextlib import closing, contextmanager
from time import sleep
from typing import NamedTuple

import pytest
from tests.support.clients import BIND, KeptAlive
from tests.support.processes import backroom
from tests.support.waiting import wait_until

from backroom.operations.catalogue import CATALOGUE

pytestmark = pytest.mark.slow

ANSWER_WITHIN_S = 2.0  # docs/howto/scale-out.md promises it; of the request, connected already
WORKERS = ("w1", "w2")
TASKS = 6
INTERNAL_ERROR = "DMS.00500000"  # [D] of the official error codes


@pytest.mark.timeout(60)
def test_process_is_refused_when_it_has_another_key_file(deploy, tmp_path, cluster, database):
    deploy()
    url = cluster.url(database)
    other = tmp_path / "other"
    refused = backroom("serve", "--role", "worker", "--data", str(other), "--database", url)
    assert refused.returncode == 1
    assert "copy secret.key from the data folder of another process" in refused.stderr


class Answer(NamedTuple):
    status: int
    body: bytes
    spent_s: float

    @property
    def code(self):
        return json.loads(self.body)["error_code"]


@contextmanager
def asking_all_the_time(client, ask):
    """Notes the answers to `ask`, by this client alone, in the order they were asked for."""
    answers, stop = [], threading.Event()

    def go_on():
        while not stop.wait(0.05):
            status, body = ask()
            answers.append(Answer(status, body, client.spent_s))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


@contextmanager
def stopped(cluster):
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


@contextmanager
def crashed(cluster):
    cluster.stop(signal.SIGQUIT)
    try:
        yield
    finally:
        cluster.start()


@contextmanager
def hanging(cluster):
    cluster.signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        cluster.signal_all(signal.SIGCONT)


AWAY = [
    pytest.param(stopped, 3, id="stopped"),
    pytest.param(crashed, 3, id="crashed"),
    pytest.param(hanging, 3, id="hanging"),
    pytest.param(stopped, 20, id="stopped-long", marks=pytest.mark.long),
    pytest.param(crashed, 20, id="crashed-long", marks=pytest.mark.long),
    pytest.param(hanging, 20, id="hanging-long", marks=pytest.mark.long),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("away", "seconds"), AWAY)
@pytest.mark.rule(7)
def test_steps_are_done_once_and_requests_are_answered_when_the_database_is_away(
    deploy, cluster, away, seconds
):
    deployment = deploy(instances=3)
    kept = deployment.kept
    for name in WORKERS:
        deployment.start_noting_worker(name)
    for instance_id in kept.instances():
        deployment.submit_many(TASKS, instance_id)
    wait_until(kept.running)
    looking, submitting = (KeptAlive(deployment.api.data, deployment.api.port) for _ in range(2))
    with (
        closing(looking),
        closing(submitting),
        asking_all_the_time(looking, looking.list) as looks,
        asking_all_the_time(submitting, lambda: submitting.switch_public_access(BIND)) as submits,
    ):
        wait_until(lambda: looks and submits)
        with away(cluster):
            begun = [len(answers) + 1 for answers in (looks, submits)]
            sleep(seconds)  # what is away has no event to wait for
            meanwhile = [*looks[begun[0] :], *submits[begun[1] :]]
        back = len(looks) + 1
        wait_until(lambda: any(answer.status == 200 for answer in looks[back:]))
    kept.wait_for_the_end()
    assert {(answer.status, answer.code) for answer in meanwhile} == {(503, INTERNAL_ERROR)}
    assert {answer.status for answer in looks} == {200, 503}
    assert {answer.status for answer in submits} == {204, 503}
    assert max(answer.spent_s for answer in (*looks, *submits)) < ANSWER_WITHIN_S
    deployment.client.acknowledged += submitting.acknowledged
    past = deployment.judge()
    assert deployment.step_runs(*WORKERS) == each_step_once(past.tasks)
    assert {task.state for task in past.tasks} == {"succeeded"}
    assert [event for event in past.events if event.verb == "rescue"] == []


def each_step_once(tasks):
    return Counter((task.id, step.name) for task in tasks for step in CATALOGUE[task.name].steps)


@pytest.mark.timeout(120)
def test_nothing_is_lost_when_the_database_is_restarted_again_and_again(deploy, cluster):
    deployment = deploy(instances=3)
    for name in WORKERS:
        deployment.start_noting_worker(name)
    for instance_id in deployment.kept.instances():
        deployment.submit_many(TASKS, instance_id)
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGINT):
        before = deployment.kept.unfinished()
        cluster.stop(how)
        cluster.start()
        wait_until(lambda before=before: deployment.kept.unfinished() < before)
    deployment.kept.wait_for_the_end()
    past = deployment.judge()
    assert {task.state for task in past.tasks} == {"succeeded"}
    assert deployment.step_runs(*WORKERS) == each_step_once(past.tasks)
