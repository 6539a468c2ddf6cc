"""SIGTERM in the middle of steps: nothing is lost, leases are given back, others go on."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.support.clients import SEED, Client, Crowd, chances
from tests.support.deployments import fill, judge, kept_in_file
from tests.support.processes import serving
from tests.support.waiting import wait_until

from backroom.settings import Settings

pytestmark = pytest.mark.slow

INSTANCES = 4
IN_FLIGHT = 20
RESUMES_WITHIN_S = 2.0
STOPS = [pytest.param(4, id="short"), pytest.param(40, id="long", marks=pytest.mark.long)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stops", STOPS)
def test_stop_gives_leases_back_and_the_next_start_goes_on_at_once(tmp_path, stops):
    data, chance = tmp_path / "data", chances(SEED)
    asyncio.run(fill(Settings(data=data), INSTANCES))
    kept, close = kept_in_file(data)
    client = Client(data, 0)
    crowd = Crowd(client, kept.instances(), chances(SEED))
    given_back, ready_at, stopped_at = [], [], []
    for _ in range(stops):
        with serving(data, "--http", log=tmp_path / "log") as served:
            ready_at.append(datetime.now(UTC))
            client.port = served.port
            crowd.submit(max(1, IN_FLIGHT - kept.unfinished()), [])
            enough = kept.events() + chance.randint(0, IN_FLIGHT)

            def is_in_the_middle(enough=enough):
                if kept.events() >= enough and kept.running():
                    return True
                if kept.unfinished() == 0:  # all had ended before anybody looked
                    crowd.submit(IN_FLIGHT, [])
                return False

            wait_until(is_in_the_middle)
            held = kept.running()
            assert served.stop() == 0
        stopped_at.append(datetime.now(UTC))
        assert kept.running() == []
        given_back.append([one for one in held if one in kept.waiting()])
    with serving(data, "--http", log=tmp_path / "log") as served:
        ready_at.append(datetime.now(UTC))
        kept.wait_for_the_end()
        assert served.stop() == 0
    past = judge(kept, client.acknowledged)
    close()
    assert [event for event in past.events if event.verb == "rescue"] == []
    assert sum(map(len, given_back)) >= stops
    for tasks, since, began_at in zip(given_back, stopped_at, ready_at[1:], strict=True):
        for task_id in tasks:
            claims = [one.moment for one in past.by_task[task_id] if one.verb == "claim"]
            again = min(moment for moment in claims if moment > since)
            assert (again - began_at).total_seconds() < RESUMES_WITHIN_S


@pytest.mark.timeout(120)
def test_another_worker_goes_on_at_once_when_one_is_stopped(deploy):
    deployment = deploy(instances=INSTANCES)
    kept = deployment.kept
    leaving = deployment.start_worker("w1")
    for instance_id in kept.instances():
        deployment.submit_many(IN_FLIGHT // INSTANCES, instance_id)
    wait_until(lambda: len(kept.running("w1")) > 1)
    deployment.start_worker("w2")
    held = kept.running("w1")
    stopped_at = deployment.now()
    assert leaving.stop() == 0
    assert kept.running("w1") == []
    kept.wait_for_the_end()
    past = deployment.judge()
    assert [event for event in past.events if event.verb == "rescue"] == []
    resumed = [
        event
        for event in past.events
        if event.task_id in held and event.verb == "claim" and event.actor == "w2"
    ]
    assert resumed
    latest = max(event.moment for event in resumed)
    assert (latest - stopped_at).total_seconds() < RESUMES_WITHIN_S
