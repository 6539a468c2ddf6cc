"""Several processes on one PostgreSQL: a worker is killed, the database goes away or hangs."""

import json
import shutil
import signal
import threading
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from time import monotonic, sleep

import pytest
from tests.support.bodies import login_body
from tests.support.histories import read_past, violations
from tests.support.postgres_server import MISSING, Cluster, binaries
from tests.support.processes import backroom, environment, serving
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(binaries() is None, reason=MISSING)]

ANSWER_WITHIN_S = 2.0
SPARE_S = 0.5  # for the client, on a busy machine
TASKS = 6
NAME = "backroom"
BIND = {"publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", "public_boundwidth": 5}
UNBIND = {"publicip_id": "", "public_boundwidth": 0, "eip_address": ""}


@pytest.fixture(scope="module")
def cluster():
    made = Cluster()
    made.start()
    yield made
    made.remove()


@pytest.fixture
def url(cluster):
    cluster.sql("postgres", f"CREATE DATABASE {NAME}")
    yield cluster.url(NAME)
    cluster.sql("postgres", f"DROP DATABASE {NAME} WITH (FORCE)")


class Deployment:
    """One process with the API, and workers; each has a data folder of its own."""

    def __init__(self, folder, url, cluster):
        self._folder = folder
        self._url = url
        self._cluster = cluster
        self._stack = ExitStack()
        self.api = self._serve("api", "--role", "api", "--http")
        self._env = environment(self.api.data)
        self._token = self._login()
        self.acknowledged = []

    def _serve(self, name, *arguments):
        served = serving(self._folder / name, "--database", self._url, *arguments)
        return self._stack.enter_context(served)

    def add_worker(self, name):
        (self._folder / name).mkdir()
        shutil.copy(self.api.data / "secret.key", self._folder / name)
        return self._serve(name, "--role", "worker")

    def close(self):
        self._stack.close()

    def ask(self, method, path, body=None, headers=None):
        with closing(HTTPConnection("127.0.0.1", self.api.port, timeout=20)) as connection:
            connection.request(method, path, body and json.dumps(body), headers or {})
            answer = connection.getresponse()
            return answer, answer.read()

    def _login(self):
        login = login_body(
            self._env["BACKROOM_USER_NAME"],
            self._env["BACKROOM_USER_PASSWORD"],
            project={"id": self._env["BACKROOM_PROJECT_ID"]},
        )
        answer, _ = self.ask("POST", "/v3/auth/tokens", login)
        assert answer.status == 201
        return answer.headers["X-Subject-Token"]

    def submit(self, body):
        project, instance = self._env["BACKROOM_PROJECT_ID"], self._env["BACKROOM_INSTANCE_ID"]
        path = f"/v1/{project}/instances/{instance}/public-boundwidth"
        answer, _ = self.ask("POST", path, body, {"X-Auth-Token": self._token})
        if answer.status == 204:
            self.acknowledged.append(answer.headers["X-Request-Id"])
        return answer.status

    def submit_many(self, count):
        for number in range(count):
            assert self.submit(UNBIND if number % 2 else BIND) == 204

    def list(self):
        project, instance = self._env["BACKROOM_PROJECT_ID"], self._env["BACKROOM_INSTANCE_ID"]
        path = f"/v2/{project}/instances/{instance}/tasks"
        answer, body = self.ask("GET", path, headers={"X-Auth-Token": self._token})
        return answer.status, body

    def number(self, statement):
        return self._cluster.rows(NAME, statement)[0][0]

    def running(self):
        return self.number("SELECT count(*) FROM tasks WHERE state = 'running'")

    def has_ended(self):
        return not self.number("SELECT count(*) FROM tasks WHERE state IN ('waiting', 'running')")

    def wait_for_the_end(self):
        for _ in range(TASKS):  # each may take a while
            if self.has_ended():
                break
            left = self.number("SELECT sum(open) FROM chains")
            wait_until(lambda left=left: self.number("SELECT sum(open) FROM chains") < left)
        assert self.has_ended()

    def past(self):
        return read_past(lambda statement: self._cluster.rows(NAME, statement))


@pytest.fixture
def deployment(tmp_path, url, cluster):
    made = Deployment(tmp_path, url, cluster)
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_task_goes_on_elsewhere_when_its_worker_is_killed(deployment):
    first = deployment.add_worker("w1")
    deployment.submit_many(TASKS)
    wait_until(deployment.running)
    deployment.add_worker("w2")
    first.process.kill()
    first.process.wait()
    deployment.wait_for_the_end()
    past = deployment.past()
    assert violations(past, deployment.acknowledged) == []
    assert len(past.tasks) == TASKS
    assert Counter(event.verb for event in past.events)["rescue"] == 1


@pytest.mark.timeout(60)
def test_process_is_refused_when_it_has_another_key_file(deployment, tmp_path, url):
    other = tmp_path / "other"
    refused = backroom("serve", "--role", "worker", "--data", str(other), "--database", url)
    assert refused.returncode == 1
    assert "copy secret.key from the data folder of another process" in refused.stderr


@contextmanager
def asking_all_the_time(deployment):
    """Notes (status, seconds) of requests in the order they are sent."""
    answers, stop = [], threading.Event()

    def ask():
        while not stop.wait(0.05):
            begun = monotonic()
            status, _ = deployment.list()
            answers.append((status, monotonic() - begun))

    thread = threading.Thread(target=ask)
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
    pytest.param(hanging, 20, id="hanging-long", marks=pytest.mark.long),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("away", "seconds"), AWAY)
def test_steps_are_done_once_and_requests_are_answered_when_the_database_is_away(
    deployment, cluster, away, seconds
):
    for name in ("w1", "w2"):
        deployment.add_worker(name)
    deployment.submit_many(TASKS)
    wait_until(deployment.running)
    with asking_all_the_time(deployment) as answers:
        wait_until(lambda: answers)
        with away(cluster):
            begun = len(answers)
            sleep(seconds)  # what is away has no event to wait for
            meanwhile = answers[begun + 1 :]
        back = len(answers) + 1
        wait_until(lambda: any(status == 200 for status, _ in answers[back:]))
        deployment.wait_for_the_end()
    assert {status for status, _ in meanwhile} == {503}
    assert {status for status, _ in answers} == {200, 503}
    assert max(spent_s for _, spent_s in answers) < ANSWER_WITHIN_S + SPARE_S
    past = deployment.past()
    assert violations(past, deployment.acknowledged) == []
    assert len(past.tasks) == TASKS
