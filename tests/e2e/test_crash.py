"""kill -9 at any moment: what was acknowledged ends well, in order, each step once."""

import asyncio
import json
import random
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from time import monotonic, sleep

import pytest
from tests.support.bodies import login_body
from tests.support.builders import make_instance
from tests.support.engine_world import SPEC
from tests.support.histories import read_past, violations
from tests.support.processes import environment, serving
from tests.support.waiting import DEADLINE_S, wait_until

from backroom.bootstrap import assemble
from backroom.first_start import prepare
from backroom.settings import DATABASE_FILE, Settings

pytestmark = pytest.mark.slow

ROUNDS = 8
MORE_INSTANCES = 3
TASKS_A_ROUND = 5
BIND = {"publicip_id": "1aea7aed-e7d8-40ea-b3de-6f3ee9d5db9f", "public_boundwidth": 5}
UNBIND = {"publicip_id": "", "public_boundwidth": 0, "eip_address": ""}


async def fill(data):
    """A first start that also makes some more instances; returns the ids of all."""
    backroom = assemble(Settings(data=data))
    with closing(backroom):
        await prepare(backroom)
        (project,) = await backroom.account_store.projects()
        for number in range(1, MORE_INSTANCES + 1):
            instance = make_instance(number, project_id=project.id)
            await backroom.platform.adopt_cluster(instance.id, SPEC)
            await backroom.instances.save(instance)


class Database:
    """What is kept, read from outside while the server lives or not."""

    def __init__(self, data):
        self._connection = sqlite3.connect(f"file:{data / DATABASE_FILE}?mode=ro", uri=True)
        self.execute = self._connection.execute
        self.close = self._connection.close

    def number(self, statement):
        return self.execute(statement).fetchone()[0]

    def events(self):
        return self.number("SELECT count(*) FROM events")

    def unfinished(self):
        return self.number("SELECT count(*) FROM tasks WHERE state IN ('waiting', 'running')")

    def running(self):
        return self.number("SELECT count(*) FROM tasks WHERE state = 'running'")

    def instances(self):
        return [row[0] for row in self.execute("SELECT id FROM instances")]


class Client:
    """Submits over HTTP until the server is gone, and notes what was acknowledged."""

    def __init__(self, data, instances, chance):
        self._env = environment(data)
        self._instances = instances
        self._chance = chance
        self._token = None
        self.acknowledged = []

    def submit(self, port, count):
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            try:
                self._token = self._token or self._login(connection)
                for _ in range(count):
                    self._submit_one(connection)
            except (HTTPException, OSError):
                return  # killed: what was on its way may be there or not

    def _login(self, connection):
        login = login_body(
            self._env["BACKROOM_USER_NAME"],
            self._env["BACKROOM_USER_PASSWORD"],
            project={"id": self._env["BACKROOM_PROJECT_ID"]},
        )
        body = json.dumps(login)
        connection.request("POST", "/v3/auth/tokens", body)
        answer = connection.getresponse()
        assert answer.read()
        assert answer.status == 201
        return answer.headers["X-Subject-Token"]

    def _submit_one(self, connection):
        instance_id = self._chance.choice(self._instances)
        body = json.dumps(self._chance.choice([BIND, UNBIND]))
        path = f"/v1/{self._env['BACKROOM_PROJECT_ID']}/instances/{instance_id}/public-boundwidth"
        connection.request("POST", path, body, {"X-Auth-Token": self._token})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204
        self.acknowledged.append(answer.headers["X-Request-Id"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [20260102])
def test_every_acknowledged_task_ends_well_whenever_the_server_is_killed(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311  a test that can be repeated
    asyncio.run(fill(tmp_path))
    with closing(Database(tmp_path)) as database:
        client = Client(tmp_path, database.instances(), chance)
        for _ in range(ROUNDS):
            kill_somewhere(tmp_path, database, client, chance)
        with serving(tmp_path, "--http") as served:
            while left := database.unfinished():
                wait_until(lambda left=left: database.unfinished() < left)
            assert served.stop() == 0
        past = read_past(database.execute)
    assert violations(past, client.acknowledged) == []
    verbs = Counter(event.verb for event in past.events)
    assert len(client.acknowledged) >= ROUNDS
    assert verbs["rescue"] >= 2, "the kills hit nothing: the test proves nothing"
    assert verbs["complete"] == len(past.tasks)


def kill_somewhere(data, database, client, chance):
    """Start, submit from another thread, and kill -9 once so much more has happened.

    Every other time not before a task is seen running: the kill then falls into a step.
    """
    with serving(data, "--http") as served, ThreadPoolExecutor(1) as thread:
        enough, in_a_step = database.events() + chance.randint(0, 10), chance.random() < 0.5
        submitting = thread.submit(client.submit, served.port, TASKS_A_ROUND)
        until = monotonic() + DEADLINE_S
        while database.events() < enough or (in_a_step and not database.running()):
            assert monotonic() < until, "waited in vain"
            sleep(0.0005)  # finer than `wait_until`: a step takes a few milliseconds
        served.process.kill()
        served.process.wait()
        submitting.result()
