"""What the ports don't say, and PostgreSQL's side must do."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace
from tests.support.builders import (
    NOW,
    OTHER_PROJECT,
    PROJECT,
    W1,
    after,
    instance_id,
    known_id,
    make_instance,
    make_step,
    make_task,
)
from tests.support.databases import PlainKeyVault, PostgresDatabase
from tests.support.postgres_server import DATABASES
from tests.support.waiting import until

from backroom.clock import SystemClock
from backroom.domain import lifecycle
from backroom.domain.chain import GENESIS, ChainHead, first_broken
from backroom.domain.errors import ClientTokenTaken, QuotaReached, StoreUnavailable
from backroom.domain.filter import EventFilter
from backroom.domain.instance import InstanceStatus, changed
from backroom.domain.stamps import stamp
from backroom.domain.task import Change, QueueLimits, Receipt
from backroom.store.postgres_connection import MOST, Postgres, migrate, migrations
from backroom.store.postgres_finder import PostgresTaskFinder
from backroom.store.postgres_instances import PostgresInstanceStore
from backroom.store.postgres_journal import PostgresJournal
from backroom.store.postgres_stores import OtherKey, PostgresStores
from backroom.store.postgres_tasks import PostgresTaskStore
from backroom.store.postgres_writer import piece_of
from backroom.store.vault import FileVault

PASSWORD = "never-to-be-shown"
NEVER_S = 30
REFUSING = f"postgresql://user:{PASSWORD}@127.0.0.1:1/name"  # nobody listens on port 1


@pytest.fixture
def database():
    made = PostgresDatabase()
    yield made
    made.close()


@pytest.fixture
def url():
    """Of a database without any schema."""
    cluster = DATABASES.cluster
    cluster.sql("postgres", "CREATE DATABASE bare")
    yield cluster.url("bare")
    cluster.sql("postgres", "DROP DATABASE bare WITH (FORCE)")


@asynccontextmanager
async def connected(url):
    made = Postgres(url)
    try:
        yield made
    finally:
        made.close()


async def test_processes_that_open_a_new_database_at_once_make_one_schema(url):
    async with connected(url) as one, connected(url) as other:
        await asyncio.gather(migrate(one), migrate(other), migrate(one))
        found = await one.fetch("SELECT number FROM schema_versions")
    assert [row[0] for row in found] == sorted(migrations())


async def test_newer_schema_is_refused(url):
    async with connected(url) as postgres:
        await migrate(postgres)
        await postgres.change("INSERT INTO schema_versions (number) VALUES (999)")
        with pytest.raises(StoreUnavailable, match="is at schema 999, this release knows only"):
            await migrate(postgres)


async def test_lanes_of_schema_2_have_their_turn_when_migrated(url):
    async with connected(url) as postgres:

        async def begin(link):
            await link.execute("CREATE TABLE schema_versions (number bigint PRIMARY KEY)")
            await link.execute(migrations()[2])
            await link.execute("INSERT INTO schema_versions VALUES (2)")
            await link.execute(
                "INSERT INTO lanes VALUES ('a', 1, '2026-01-02T03:04:05.678Z', NULL),"
                " ('b', 2, '2026-01-02T03:04:06.678Z', 'w')"
            )

        await postgres.run(begin)
        await migrate(postgres)
        found = await postgres.fetch("SELECT lane, turn_at = ready_at FROM lanes ORDER BY lane")
        assert [tuple(row) for row in found] == [("a", True), ("b", True)]


async def test_what_schema_3_wrote_goes_on(url):
    submitted, running, instance = make_task(1), make_task(2), make_instance(2)
    receipt = Receipt(
        project_id=PROJECT, token="t", digest=b"d" * 32, task_id=running.id,
        instance_id=running.instance_id, until=after(60),
    )  # fmt: skip
    restarting = changed(instance, status=InstanceStatus.RESTARTING)
    changes = [
        lifecycle.submit(submitted),
        replace(lifecycle.submit(running), receipt=receipt, instance=restarting),
        claim := lifecycle.claim(running, W1, NOW),
        record := lifecycle.record(claim.task, NOW, (make_step(0, output=b'"kept"'),)),
    ]
    async with connected(url) as postgres:

        async def begin(link):
            await link.execute("CREATE TABLE schema_versions (number bigint PRIMARY KEY)")
            for number in (2, 3):
                await link.execute(migrations()[number])
            await link.execute("INSERT INTO schema_versions VALUES (2), (3)")
            await link.execute(
                "INSERT INTO instances (id, project_id, name, status, enterprise_project_id,"
                " created_at, version, document) VALUES ($1, $2, $3, $4, $5, $6, 1, $7)",
                instance.id, PROJECT, instance.name, instance.status.value,
                instance.enterprise_project_id, stamp(instance.created_at),
                msgspec.json.encode(instance),
            )  # fmt: skip
            for change in changes:
                piece = piece_of([change])
                streams = msgspec.json.encode(piece.streams).decode()
                write = "SELECT refusals FROM backroom_write($1, $2, $3)"
                assert await link.fetchval(write, [piece.text], streams, piece.lanes) == [None]

        await postgres.run(begin)
        await migrate(postgres)
        tasks = PostgresTaskStore(postgres, postgres, lambda: None, lambda: None)
        assert await tasks.held(W1) == [await tasks.get(running.id)]
        assert (await tasks.history(running.id)).steps == record.steps
        assert await PostgresTaskFinder(postgres).receipt(PROJECT, "t", NOW) == receipt
        instances = PostgresInstanceStore(postgres)
        assert await instances.get(PROJECT, instance.id) == restarting
        shown = changed(restarting, status=InstanceStatus.RUNNING)
        ended = lifecycle.complete(record.task, NOW, (make_step(1),), None)
        await tasks.write(replace(ended, instance=shown))
        assert await instances.get(PROJECT, instance.id) == shown
        again = replace(receipt, task_id=make_task(3).id)
        with pytest.raises(ClientTokenTaken):
            await tasks.write(replace(lifecycle.submit(make_task(3)), receipt=again))
        (claimed,) = await tasks.claim(W1, 9, NOW)
        assert claimed.id == submitted.id
        await tasks.write(lifecycle.complete(claimed, NOW, (), None))
        events = await PostgresJournal(postgres, SystemClock()).events(
            EventFilter(project_id=PROJECT), 99
        )
    assert len(events) == 7
    assert first_broken(ChainHead(0, GENESIS), events) is None


@pytest.mark.parametrize("places", [(9, 0), (0, 9)])
async def test_claim_goes_past_a_lane_that_somebody_else_is_at(database, places):
    limit, spare = places
    tasks = database.open().tasks
    for number in (1, 2, 3):
        await tasks.write(lifecycle.submit(make_task(number)))
    link = await asyncpg.connect(database.url)
    try:
        async with link.transaction():
            await link.execute("SELECT 1 FROM lanes WHERE lane = $1 FOR UPDATE", instance_id(2))
            claimed = await tasks.claim(W1, limit, NOW, spare)
            assert {task.instance_id for task in claimed} == {instance_id(1), instance_id(3)}
    finally:
        await link.close()
    left = await tasks.claim(W1, limit, NOW, spare)
    assert [task.instance_id for task in left] == [instance_id(2)]


async def test_database_of_another_key_is_refused(url, tmp_path):
    ours, other = (FileVault(tmp_path / name) for name in ("ours", "other"))
    for _ in range(2):
        async with PostgresStores(url, ours, lambda: None).opened():
            pass
    with pytest.raises(OtherKey):
        async with PostgresStores(url, other, lambda: None).opened():
            pass


async def test_one_process_at_a_time_is_alone(url):
    vault = PlainKeyVault()
    both = [PostgresStores(url, vault, lambda: None) for _ in range(2)]
    inside = []

    async def be(stores):
        async with stores.alone():
            inside.append("in")
            await stores.accounts.projects()
            inside.append("out")

    async with both[0].opened(), both[1].opened():
        await asyncio.gather(*map(be, both * 2))
    assert inside == ["in", "out"] * 4


@pytest.mark.parametrize("url", [REFUSING, f"postgresql://user:{PASSWORD}@[::1/name"])
async def test_error_has_no_password_when_the_server_is_not_reached(url):
    begun = monotonic()
    with pytest.raises(StoreUnavailable) as raised:
        await Postgres(url).fetch("SELECT 1")
    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None
    assert monotonic() - begun < 2


async def test_error_has_no_values_when_a_statement_fails(database):
    database.open()
    async with connected(database.url) as postgres:
        with pytest.raises(StoreUnavailable) as raised:
            await postgres.fetch("SELECT $1::text::bigint", PASSWORD)
    assert PASSWORD not in str(raised.value)


async def test_call_is_given_up_in_time_and_the_next_one_works(database):
    database.open()
    async with connected(database.url) as postgres:
        with pytest.raises(StoreUnavailable, match="no answer within"):
            await postgres.run(lambda link: link.fetch(f"SELECT pg_sleep({NEVER_S})"), 0.05)
        assert (await postgres.first("SELECT 1"))[0] == 1


async def test_broken_connections_are_replaced(database):
    database.open()
    async with connected(database.url) as postgres:
        await asyncio.gather(*(postgres.fetch("SELECT pg_sleep(0.01)") for _ in range(4)))
        DATABASES.cluster.sql(
            database.name,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()",
        )
        await until(lambda: all(link.is_closed() for link in postgres._idle))
        assert (await postgres.first("SELECT 1"))[0] == 1


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_transaction_is_begun_again_after_a_deadlock(database, state):
    database.open()
    goes = []

    async def work(link):
        goes.append(link.get_server_pid())
        if len(goes) < 3:
            await link.execute(f"DO $$BEGIN RAISE SQLSTATE '{state}'; END$$")
        return "done"

    async with connected(database.url) as postgres:
        assert await postgres.run(work) == "done"
    assert len(goes) == 3


async def test_writes_that_wait_share_a_commit(database):
    tasks = database.open().tasks
    await asyncio.gather(*(tasks.write(lifecycle.submit(make_task(n))) for n in range(50)))
    commits = DATABASES.cluster.sql(database.name, "SELECT count(DISTINCT xmin::text) FROM events")
    assert int(commits) <= 5


async def test_project_takes_as_many_as_its_limit_when_many_come_at_once(database):
    both = [database.open() for _ in range(2)]
    limits = QueueLimits(instance=100, project=7)

    def submit(number):
        change = lifecycle.submit(make_task(number))
        return Change(task=change.task, event=change.event, limits=limits)

    outcomes = await asyncio.gather(
        *(one.tasks.write(submit(n)) for n in range(10) for one in both), return_exceptions=True
    )
    assert Counter(type(one) for one in outcomes) == {type(None): 7, QuotaReached: 13}
    assert {str(one) for one in outcomes if one} == {"unfinished tasks of the project: 7"}
    events = await both[0].journal.events(EventFilter(project_id=PROJECT), 100)
    assert len(events) == 7
    assert first_broken(ChainHead(0, GENESIS), events) is None


@pytest.mark.rule(8)
async def test_other_process_is_woken_when_a_lane_may_be_ready(database):
    one, other = database.open(), database.open()
    before, rung = len(other.woken), other.journal.rung
    await one.tasks.write(lifecycle.submit(make_task(1)))
    await until(lambda: len(other.woken) > before and other.journal.rung > rung)
    (task,) = await other.tasks.claim(W1, 1, NOW)
    before, rung = len(one.woken), one.journal.rung
    await other.tasks.write(lifecycle.snooze(task, NOW, NOW))
    await until(lambda: len(one.woken) > before and one.journal.rung > rung)


async def test_beat_lands_when_all_other_connections_are_busy(database):
    database.open()
    async with connected(database.url) as busy, connected(database.url) as beats:
        tasks = PostgresTaskStore(busy, beats, lambda: None, lambda: None)
        sleepers = [
            asyncio.ensure_future(busy.run(lambda link: link.fetch("SELECT pg_sleep(30)"), 30))
            for _ in range(MOST)
        ]
        await until(lambda: len(busy._pids) == MOST)
        await tasks.beat(W1, NOW)
        assert not any(one.done() for one in sleepers)
        for one in sleepers:
            one.cancel()
        await asyncio.gather(*sleepers, return_exceptions=True)


def fetched(postgres, monkeypatch):
    """Grows by each statement that is fetched from now on."""
    asked, fetch = [], postgres.fetch

    async def noted(statement, *values):
        asked.append(statement)
        return await fetch(statement, *values)

    monkeypatch.setattr(postgres, "fetch", noted)
    return asked


async def test_tasks_that_are_looked_at_together_share_a_statement(database, monkeypatch):
    database.open()
    made = [make_task(number) for number in range(9)]
    async with connected(database.url) as postgres:
        tasks = PostgresTaskStore(postgres, postgres, lambda: None, lambda: None)
        for task in made:
            await tasks.write(lifecycle.submit(task))
        asked = fetched(postgres, monkeypatch)
        found = await asyncio.gather(*(tasks.get(task.id) for task in made), tasks.get(known_id(1)))
    assert [one and one.id for one in found] == [*(task.id for task in made), None]
    assert len(asked) == 1


async def test_instances_that_are_looked_at_together_share_a_statement(database, monkeypatch):
    database.open()
    made = [make_instance(number) for number in range(9)]
    async with connected(database.url) as postgres:
        instances = PostgresInstanceStore(postgres)
        for instance in made:
            await instances.save(instance)
        asked = fetched(postgres, monkeypatch)
        found = await asyncio.gather(
            *(instances.get(PROJECT, instance.id) for instance in made),
            instances.get(OTHER_PROJECT, made[0].id),
            instances.get(PROJECT, instance_id(99)),
        )
    assert found == [*made, None, None]
    assert len(asked) == 1


async def test_claim_does_not_wait_for_another_one_of_the_same_worker_and_second(database):
    tasks = database.open().tasks
    for number in (1, 2):
        await tasks.write(lifecycle.submit(make_task(number)))
    await tasks.claim(W1, 1, NOW)
    other = await asyncpg.connect(database.url)
    async with asyncio.timeout(NEVER_S), other.transaction():  # as by a claim before its commit
        await other.execute("SELECT 1 FROM workers WHERE id = $1 FOR UPDATE", W1)
        (taken,) = await tasks.claim(W1, 1, after(0.3))
    await other.close()
    assert taken.instance_id == instance_id(2)
    await tasks.write(lifecycle.submit(make_task(3)))
    await tasks.claim(W1, 1, after(1.4))
    assert await tasks.dead_workers(after(1.4)) == []


async def test_held_waits_for_a_claim_that_may_be_on_its_way(database):
    database.open()
    async with connected(database.url) as postgres:
        tasks = PostgresTaskStore(postgres, postgres, lambda: None, lambda: None)
        lost = await postgres.connect()
        tasks._doubtful.add(lost.name)
        with pytest.raises(StoreUnavailable, match="still on its way"):
            await tasks.held(W1)
        await lost.close()
        async with asyncio.timeout(10):
            while tasks._doubtful:
                try:
                    assert await tasks.held(W1) == []
                except StoreUnavailable:
                    continue


async def test_claim_that_the_server_refused_to_commit_is_in_no_doubt(database):
    tasks = database.open().tasks
    await tasks.write(lifecycle.submit(make_task(1)))
    DATABASES.cluster.sql(
        database.name,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'no'; END$$;"
        "CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON attempts"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    try:
        with pytest.raises(StoreUnavailable):
            await tasks.claim(W1, 1, NOW)
    finally:
        DATABASES.cluster.sql(database.name, "DROP FUNCTION refuse CASCADE")
    assert await tasks.held(W1) == []
    assert len(await tasks.claim(W1, 1, NOW)) == 1


async def test_claim_leaves_out_a_lane_that_somebody_has_locked(database):
    tasks = database.open().tasks
    for number in (1, 2):
        await tasks.write(lifecycle.submit(make_task(number)))
    locker = await asyncpg.connect(database.url)
    async with locker.transaction():
        await locker.execute("SELECT 1 FROM lanes WHERE lane = $1 FOR UPDATE", instance_id(1))
        (taken,) = await tasks.claim(W1, 9, NOW)
    await locker.close()
    assert taken.instance_id == instance_id(2)
