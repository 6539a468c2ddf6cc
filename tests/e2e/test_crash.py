"""kill -9 at any moment: what was acknowledged ends well, in order, each step once."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from tests.support.clients import SEED, Client, Crowd, chances
from tests.support.deployments import fill, judge, kept_in_file
from tests.support.processes import serving
from tests.support.waiting import DEADLINE_S

from backroom.settings import Settings

pytestmark = pytest.mark.slow

CRASHES = [
    pytest.param(8, 3, 10, id="short"),
    pytest.param(200, 9, 50, id="long", marks=pytest.mark.long),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kills", "more_instances", "in_flight"), CRASHES)
@pytest.mark.rule(1)
def test_every_acknowledged_task_ends_well_whenever_the_server_is_killed(
    tmp_path, kills, more_instances, in_flight
):
    print(f"seed {SEED}")  # noqa: T201  pytest shows it where the test fails
    crashes = Crashes(tmp_path, more_instances, in_flight)
    for _ in range(kills):
        crashes.kill_somewhere()
    with crashes.serving() as served:
        crashes.kept.wait_for_the_end()
        assert served.stop() == 0
    past = judge(crashes.kept, crashes.client.acknowledged)
    crashes.close()
    verbs = Counter(event.verb for event in past.events)
    assert len(crashes.client.acknowledged) >= kills
    assert verbs["rescue"] >= kills / 4, "the kills hit nothing: the test proves nothing"
    print(f"{kills} kills, {len(past.tasks)} tasks, {dict(verbs)}")  # noqa: T201


class Crashes:
    """Starts a server again and again, keeps so many tasks in flight, and kills it."""

    def __init__(self, folder, more_instances, in_flight):
        self._data = folder / "data"
        self._log = folder / "log"
        asyncio.run(fill(Settings(data=self._data), more_instances))
        self.kept, self.close = kept_in_file(self._data)
        self.client = Client(self._data, 0)
        self._chance = chances(SEED)
        self._crowd = Crowd(self.client, self.kept.instances(), chances(SEED))
        self._in_flight = in_flight

    def serving(self):
        return serving(self._data, "--http", log=self._log)

    def kill_somewhere(self):
        """Start, submit from another thread, and kill -9 once so much more has happened.

        Every other time not before a task is seen running: the kill then falls into a step.
        """
        in_a_step, more = self._chance.random() < 0.5, self._chance.randint(0, self._in_flight)
        with self.serving() as served, ThreadPoolExecutor(1) as thread:
            self.client.port = served.port
            enough = self.kept.events() + more
            missing = max(1, self._in_flight - self.kept.unfinished())
            submitting = thread.submit(self._crowd.submit, missing, self.kept.running())
            until = monotonic() + DEADLINE_S
            while self.kept.events() < enough or (in_a_step and not self.kept.running()):
                assert monotonic() < until, "waited in vain"
                sleep(0.0005)  # finer than `wait_until`: a step takes a few milliseconds
            served.kill()
            submitting.result()
