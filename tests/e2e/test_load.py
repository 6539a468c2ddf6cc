"""Very many tasks: 100,000 that wait, and 1,000 that run when their worker is killed."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from tests.support.clients import Client
from tests.support.deployments import fill, flood, judge, kept_in_file
from tests.support.histories import violations
from tests.support.processes import serving
from tests.support.waiting import DEADLINE_S, wait_until

from backroom.engine.rescuer import LEASE_S
from backroom.operations.extend_instance import EXTEND_INSTANCE, ExtendInstance
from backroom.operations.modify_configs import MODIFY_CONFIGS, ModifyConfigs
from backroom.service import Order
from backroom.settings import Settings

pytestmark = pytest.mark.slow

QUICK = Order(operation=MODIFY_CONFIGS, params=ModifyConfigs(auto_create_topics=True), public={})
RESUMED_WITHIN_S = 5.0  # beside the lease, where another worker must wait for that


def lasting(seconds):
    """An order whose task takes so long, waiting with the lease in hand."""
    params = ExtendInstance(
        kind="storage", storage_gb=300 + seconds * 200, broker_count=3, product_id="c6.2u4g.cluster"
    )
    return Order(operation=EXTEND_INSTANCE, params=params, public={})


def memory_mb(pid):
    """Without the pages of the database file that are mapped: those are the system's cache."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def last_resumed_s(past, task_ids, since):
    """Seconds until the last of these tasks was claimed again."""
    again = [
        min(e.moment for e in past.by_task[one] if e.verb == "claim" and e.moment > since)
        for one in task_ids
    ]
    return (max(again) - since).total_seconds()


QUEUES = [
    pytest.param(20, 100, id="2000"),
    pytest.param(100, 1_000, id="100000", marks=pytest.mark.long),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("instances", "tasks_each"), QUEUES)
def test_queue_drains_and_a_fresh_instance_does_not_wait_for_it(tmp_path, instances, tasks_each):
    settings = Settings(data=tmp_path / "data")
    asyncio.run(fill(settings, instances))
    fresh, *crowded = asyncio.run(flood(settings, QUICK, tasks_each, spared=1))
    kept, close = kept_in_file(settings.data)
    queued = instances * tasks_each
    assert kept.unfinished() == queued
    with serving(settings.data, "--http", log=tmp_path / "log") as served:
        client = Client(settings.data, served.port)
        begun, memory_before_mb = monotonic(), memory_mb(served.process.pid)
        fresh_s, listed_s = [], []
        while kept.unfinished() > queued / 10:
            left = kept.unfinished()
            fresh_s.append(fresh_task_takes_s(client, fresh))
            listed_s.append(list_takes_s(client, crowded[0], tasks_each))
            wait_until(lambda left=left: kept.unfinished() <= left - queued / 20, 120)
        kept.wait_for_the_end()
        took_s, memory_after_mb = monotonic() - begun, memory_mb(served.process.pid)
        assert served.stop() == 0
    print(  # noqa: T201  the figures of this test
        f"{queued} tasks in {took_s:.0f} s, {queued / took_s:.0f}/s; a fresh one takes"
        f" {max(fresh_s):.2f} s, a list takes {max(listed_s):.2f} s;"
        f" {memory_before_mb:.0f} MB, then {memory_after_mb:.0f} MB"
    )
    assert violations(kept.past(), client.acknowledged) == []
    close()
    assert max(fresh_s) < 2
    assert max(listed_s) < 1
    assert memory_after_mb < memory_before_mb + 150


def fresh_task_takes_s(client, instance_id):
    """From its submit until it is seen to have succeeded; it has nothing to wait for."""
    begun = monotonic()
    status, said = client.switch_auto_topic(instance_id)
    assert status == 200, said
    wait_until(lambda: newest_status(client, instance_id) == "SUCCESS", poll_s=0.01)
    return monotonic() - begun


def newest_status(client, instance_id):
    status, said = client.list(instance_id)
    assert status == 200
    return json.loads(said)["tasks"][0]["status"]


def list_takes_s(client, crowded, tasks_each):
    begun = monotonic()
    status, said = client.list(crowded)
    assert status == 200
    assert int(json.loads(said)["task_count"]) == tasks_each
    return monotonic() - begun


RUNNING = [
    pytest.param(100, 15, id="100"),
    pytest.param(1_000, 60, id="1000", marks=pytest.mark.long),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("count", "seconds"), RUNNING)
def test_all_running_tasks_go_on_when_their_server_is_killed_and_started(tmp_path, count, seconds):
    settings = Settings(data=tmp_path / "data")
    asyncio.run(fill(settings, count - 1))
    asyncio.run(flood(settings, lasting(seconds)))
    kept, close = kept_in_file(settings.data)
    log = tmp_path / "log"
    with serving(settings.data, "--http", "--workers", "1000", log=log) as served:
        wait_until(lambda: len(kept.running()) == count)
        served.kill()
    killed_at = datetime.now(UTC)
    held = kept.running()
    with serving(settings.data, "--http", "--workers", "1000", log=log) as served:
        kept.wait_for_the_end(2 * seconds + DEADLINE_S)
        assert served.stop() == 0
    past = judge(kept, [])
    close()
    resumed_s = last_resumed_s(past, held, killed_at)
    print(f"{len(held)} tasks resumed after {resumed_s:.1f} s")  # noqa: T201
    assert len(held) == count
    assert resumed_s < RESUMED_WITHIN_S


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("count", "seconds"), [(100, 25), (1_000, 60)])
def test_all_running_tasks_go_on_elsewhere_when_their_worker_is_killed(deploy, count, seconds):
    deployment = deploy(instances=count - 1)
    kept = deployment.kept
    settings = Settings(data=deployment.api.data, database=deployment.url)
    first = deployment.start_worker("w1", "--workers", "1000")
    asyncio.run(flood(settings, lasting(seconds)))
    wait_until(lambda: len(kept.running("w1")) == count)
    deployment.start_worker("w2", "--workers", "1000")
    deployment.wait_for_trust("w2")
    first.kill()
    killed_at = deployment.now()
    held = kept.running("w1")
    kept.wait_for_the_end(2 * seconds + DEADLINE_S)
    past = judge(kept, [])
    resumed_s = last_resumed_s(past, held, killed_at)
    print(f"{len(held)} tasks resumed after {resumed_s:.1f} s")  # noqa: T201
    assert len(held) > count * 0.9
    assert resumed_s < LEASE_S + RESUMED_WITHIN_S
