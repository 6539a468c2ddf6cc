"""Workers that are killed, stopped, or cut off from the database: others go on, each step once."""

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

import pytest
from tests.support.clients import SEED, Crowd, chances
from tests.support.deployments import Deployment
from tests.support.networks import SUBNET, two_hosts
from tests.support.postgres_server import MISSING, Cluster, binaries
from tests.support.waiting import wait_until

from backroom.engine.rescuer import LEASE_S

pytestmark = pytest.mark.slow

TASKS = 6
TAKEN_OVER_WITHIN_S = LEASE_S + 2
# the others have just started: they must live for a lease themselves before they may rescue
TRUSTED_AND_TAKEN_OVER_S = 2 * LEASE_S + 30
WORKERS = ("w1", "w2", "w3")


def after_the_rescue(past, task_id):
    events = past.by_task[task_id]
    at = next(at for at, event in enumerate(events) if event.verb == "rescue")
    return events[at], events[at + 1 :]


@pytest.mark.timeout(120)
@pytest.mark.rule(6)
def test_task_goes_on_elsewhere_when_its_worker_is_killed(deploy):
    deployment = deploy()
    first = deployment.start_worker("w1")
    deployment.submit_many(TASKS)
    wait_until(deployment.kept.running)
    deployment.start_worker("w2")
    first.kill()
    deployment.kept.wait_for_the_end()
    past = deployment.judge()
    assert len(past.tasks) == TASKS
    assert Counter(event.verb for event in past.events)["rescue"] == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "rounds",
    [pytest.param(1, id="once"), pytest.param(6, id="often", marks=pytest.mark.long)],
)
@pytest.mark.rule(3)
def test_stopped_worker_writes_nothing_when_it_wakes_after_the_takeover(deploy, rounds):
    """SIGSTOP: it holds its tasks, its connections and all that it was about to do."""
    deployment = deploy(instances=4)
    kept, chance = deployment.kept, chances(SEED)
    workers = {name: deployment.start_worker(name) for name in ("w1", "w2")}
    lost = {}
    for number in range(rounds):
        sleeper, other = ("w1", "w2") if number % 2 else ("w2", "w1")
        deployment.wait_for_trust(other)
        for instance_id in kept.instances():
            deployment.submit_many(TASKS, instance_id)
        wait_until(lambda sleeper=sleeper: kept.running(sleeper))
        enough = kept.events() + chance.randint(0, 20)
        wait_until(lambda enough=enough: kept.events() >= enough, poll_s=0.001)
        workers[sleeper].process.send_signal(signal.SIGSTOP)
        held = kept.running(sleeper)
        wait_until(lambda sleeper=sleeper: not kept.running(sleeper))
        woken_at = deployment.now()
        workers[sleeper].process.send_signal(signal.SIGCONT)
        wait_until(lambda sleeper=sleeper, at=woken_at: deployment.beat(sleeper) > at)
        lost.update(dict.fromkeys(held, (sleeper, woken_at)))
        kept.wait_for_the_end()
    past = deployment.judge()
    assert len(lost) >= rounds
    for task_id, (sleeper, woken_at) in lost.items():
        rescue, later = after_the_rescue(past, task_id)
        assert rescue.detail == f"lost by {sleeper}"
        mine = [event for event in later if event.actor == sleeper]
        assert all(event.moment >= woken_at for event in mine)
    assert {task.state for task in past.tasks} == {"succeeded"}
    assert "lease lost" in deployment.log("w1").read_text() + deployment.log("w2").read_text()


@pytest.mark.timeout(180)
def test_worker_that_was_cut_off_is_replaced_and_writes_nothing_when_it_is_back(tmp_path):
    if binaries() is None:
        pytest.skip(MISSING)
    with two_hosts() as cable:
        cluster = Cluster(
            f"listen_addresses={cable.near.address}", prefix=cable.near.prefix, trusted=SUBNET
        )
        cluster.start()
        deployment = Deployment(tmp_path, cluster, "postgres", instances=4)
        try:
            cut_off(deployment, cluster, cable)
        finally:
            deployment.close()
            cluster.remove()


def cut_off(deployment, cluster, cable):
    kept = deployment.kept
    address = cluster.url("postgres", host=cable.near.address)
    far = deployment.start_worker("far", url=address, prefix=cable.far.prefix)
    deployment.start_worker("near", "--workers", "1")
    deployment.wait_for_trust("near")
    for instance_id in kept.instances():
        deployment.submit_many(TASKS, instance_id)
    wait_until(lambda: len(kept.running("far")) > 1)
    cable.pull()
    cut_at = deployment.now()
    held = kept.running("far")
    wait_until(lambda: not set(held) & set(kept.running("far")), TAKEN_OVER_WITHIN_S + 5)
    cable.plug()
    plugged_at = deployment.now()
    wait_until(lambda: deployment.beat("far") > plugged_at)
    kept.wait_for_the_end()
    assert far.stop() == 0
    past = deployment.judge()
    for task_id in held:
        rescue, later = after_the_rescue(past, task_id)
        assert (rescue.actor, rescue.detail) == ("near", "lost by far")
        took_s = (rescue.moment - cut_at).total_seconds()
        assert LEASE_S / 2 < took_s < TAKEN_OVER_WITHIN_S
        claims = [event for event in later if event.verb == "claim"]
        assert claims
        assert all(e.actor == "near" or e.moment >= plugged_at for e in later)
    assert {task.state for task in past.tasks} == {"succeeded"}


CRASHES = [
    pytest.param(6, 20, id="short"),
    pytest.param(200, 50, id="long", marks=pytest.mark.long),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("kills", "in_flight"), CRASHES)
def test_every_acknowledged_task_ends_well_whichever_process_is_killed(deploy, kills, in_flight):
    print(f"seed {SEED}")  # noqa: T201  pytest shows it where the test fails
    chaos = Chaos(deploy(instances=9), in_flight)
    with ThreadPoolExecutor(1) as thread:
        submitting = thread.submit(chaos.submit)
        try:
            for _ in range(kills):
                chaos.kill_one()
        finally:
            chaos.is_over.set()
        submitting.result()
    chaos.leave_one_dead()
    chaos.kept.wait_for_the_end(TRUSTED_AND_TAKEN_OVER_S)
    past = chaos.deployment.judge()
    verbs = Counter(event.verb for event in past.events)
    print(f"{chaos.killed}, {len(past.tasks)} tasks, {dict(verbs)}")  # noqa: T201
    assert len(chaos.deployment.client.acknowledged) >= kills
    assert verbs["rescue"] >= kills / 4, "the kills hit nothing: the test proves nothing"
    taken = [e for e in past.events if e.verb == "rescue" and e.detail != f"lost by {e.actor}"]
    assert taken, "nobody took anything over"


class Chaos:
    """Three workers and an API process; one after the other is killed, and soon starts again.

    One in five stays dead for some rounds. Meanwhile tasks are asked for and cancelled.
    """

    def __init__(self, deployment, in_flight):
        self.deployment = deployment
        self.kept = deployment.kept
        self.is_over = Event()
        self.killed = Counter()
        self._in_flight = in_flight
        self._chance = chances(SEED)
        self._crowd = Crowd(deployment.client, self.kept.instances(), chances(SEED))
        self._workers = {name: deployment.start_worker(name) for name in WORKERS}
        self._dead = {}

    def submit(self):
        while not self.is_over.wait(0.05):
            missing = self._in_flight - self.kept.unfinished()
            if missing > 0:
                self._crowd.submit(missing, self.kept.running())

    def kill_one(self):
        self._bury()
        enough = self.kept.events() + self._chance.randint(0, self._in_flight)
        with suppress(AssertionError):  # all lanes may be held by one that is dead
            wait_until(lambda: self.kept.events() >= enough, 2, poll_s=0.001)
        if self._chance.random() < 0.2:
            self._kill("api", self.deployment.api)
            self.deployment.start_api()
            return
        name = self._chance.choice([one for one in WORKERS if one not in self._dead])
        self._kill(name, self._workers[name])
        if not self._dead and self._chance.random() < 0.2:
            self._dead[name] = self._chance.randint(2, 8)
        else:
            self._workers[name] = self.deployment.start_worker(name)

    def _kill(self, name, served):
        served.kill()
        self.killed[name] += 1

    def _bury(self):
        """Dead for so many rounds more; then it starts again."""
        for name, rounds in list(self._dead.items()):
            self._dead[name] = rounds - 1
            if rounds <= 0:
                del self._dead[name]
                self._workers[name] = self.deployment.start_worker(name)

    def leave_one_dead(self):
        """The others must take over what it has."""
        name = next(one for one in WORKERS if one not in self._dead)
        wait_until(lambda: self.kept.running(name))
        self._workers[name].kill()
