"""A task that comes alone is told of with its row, and claimed without a look."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import msgspec
import pytest
from tests.support.builders import (
    NOW,
    OTHER_PROJECT,
    PROJECT,
    W1,
    W2,
    after,
    instance_id,
    known_id,
    make_scheduled,
    make_task,
)
from tests.support.databases import PostgresDatabase
from tests.support.waiting import until

from backroom.domain import lifecycle
from backroom.domain.chain import GENESIS, ChainHead, first_broken
from backroom.domain.errors import QuotaReached
from backroom.domain.filter import EventFilter
from backroom.domain.task import QueueLimits, Receipt
from backroom.store.postgres_connection import Link, Postgres
from backroom.store.postgres_stores import EVENTS, READY, PostgresStores
from backroom.store.postgres_tasks import PostgresTaskStore
from backroom.store.rows import HEAD_START


@pytest.fixture
def database():
    made = PostgresDatabase()
    made.open()
    yield made
    made.close()


class Told:
    """A process's store; claims for a newcomer when it is told of one, as a worker does."""

    def __init__(self, postgres):
        self.newcomers, self.others = [], 0
        self.tasks = PostgresTaskStore(
            postgres, postgres, self._ready, lambda: None, on_new=self._new
        )

    def _ready(self):
        self.others += 1

    def _new(self):
        self.newcomers.append(self.tasks._newcomer)

    async def submits(self, *tasks):
        """What it was told by each of these, one after the other."""
        before = len(self.newcomers), self.others
        for task in tasks:
            await self.tasks.write(lifecycle.submit(task))
        return len(self.newcomers) - before[0], self.others - before[1]


@asynccontextmanager
async def told_of(database):
    postgres = Postgres(database.url)
    try:
        yield Told(postgres)
    finally:
        postgres.close()


@asynccontextmanager
async def worker(database, **given):
    """Another process that claims when it is told; its stores and claims."""
    claims = []

    def came():
        claims.append(asyncio.ensure_future(stores.tasks.claim(W1, 1, NOW)))

    stores = PostgresStores(database.url, database.vault, lambda: None, on_new=came, **given)
    async with stores.opened():
        yield stores, claims


async def test_other_process_claims_a_newcomer_without_a_look(database, monkeypatch):
    async with told_of(database) as told:
        looks, fetch = [], Link.fetch

        async def noted(link, statement, *values):
            looks.append(statement)
            return await fetch(link, statement, *values)

        task = make_task(
            1, reason="because\0of \x1a, 因为", internal=b"\x00\xff", before='{"a": 1}'
        )
        async with worker(database) as (stores, claims):
            monkeypatch.setattr(Link, "fetch", noted)
            await told.tasks.write(lifecycle.submit(task))
            await until(lambda: claims)
            (claimed,) = await claims[0]
            events = await stores.journal.events(EventFilter(project_id=PROJECT), 9)
        assert ["backroom_claim_unseen" in look for look in looks[:1]] == [True]
        assert not any("FROM lanes" in look for look in looks)
        assert [sealed.event.verb for sealed in events] == ["submit", "claim"]
        assert first_broken(ChainHead(0, GENESIS), events) is None
        assert claimed == await told.tasks.get(task.id)
        assert (claimed.worker_id, claimed.reason, claimed.internal) == (
            W1, task.reason, task.internal,
        )  # fmt: skip


async def test_claim_of_a_newcomer_is_never_before_its_submit(database):
    async with told_of(database) as told:
        task = make_task(1, after(1))
        await told.submits(task)
        told.tasks._newcomer = told.newcomers[0]
        (claimed,) = await told.tasks.claim(W1, 1, NOW)  # its clock is behind
        assert claimed.claimed_at == task.created_at


async def test_only_a_lane_that_had_nothing_to_do_has_a_newcomer(database):
    async with told_of(database) as told:
        assert await told.submits(make_task(1)) == (1, 0)
        assert await told.submits(make_task(1)) == (0, 1)


async def test_what_is_for_later_is_no_newcomer(database):
    async with told_of(database) as told:
        assert await told.submits(make_scheduled(1, after(60))) == (0, 1)


async def test_who_listens_hears_nothing_that_somebody_said(database):
    said = {
        name: f"said as {name}"
        for name in ("name", "user_name", "params", "reason", "request_id", "before")
    }
    heard = []
    listener = await asyncpg.connect(database.url)
    try:
        await listener.add_listener("backroom_ready", lambda *given: heard.append(given[-1]))
        async with told_of(database) as told:
            await told.submits(make_task(1, internal=b"said inside", **said))
        await until(lambda: heard)
    finally:
        await listener.close()
    assert instance_id(1) in heard[0]
    assert "said" not in heard[0]


@pytest.mark.parametrize(
    "forged",
    [
        {"lane": instance_id(2)},
        {"project_id": OTHER_PROJECT},
        {"instance_id": instance_id(2)},
        {"created_at": after(60), "updated_at": after(60)},
        {"id": known_id(9)},
    ],
)
async def test_notice_that_is_not_true_claims_nothing(database, forged):
    async with told_of(database) as told:
        await told.submits(make_task(1), make_task(2))
        told.tasks._newcomer = msgspec.structs.replace(told.newcomers[0], **forged)
        assert await told.tasks.claim(W1, 1, NOW) == []
        assert len(await told.tasks.claim(W2, 9, NOW)) == 2


async def test_task_behind_another_is_not_claimed_whatever_the_notice_says(database):
    first, second = make_task(1), make_task(1)
    async with told_of(database) as told:
        await told.submits(first, second)
        told.tasks._newcomer = msgspec.structs.replace(told.newcomers[0], id=second.id)
        assert await told.tasks.claim(W1, 1, NOW) == []
        (claimed,) = await told.tasks.claim(W2, 9, NOW)
        assert claimed.id == first.id


async def test_task_that_is_for_later_is_not_claimed_whatever_the_notice_says(database):
    later = make_scheduled(2, after(60))
    async with told_of(database) as told:
        await told.submits(make_task(1), later)
        forged = {name: getattr(later, name) for name in ("id", "instance_id", "lane")}
        told.tasks._newcomer = msgspec.structs.replace(told.newcomers[0], **forged)
        assert await told.tasks.claim(W1, 1, NOW) == []
        (claimed,) = await told.tasks.claim(W2, 9, NOW)
        assert claimed.id != later.id
        (begun,) = await told.tasks.claim(W2, 9, after(60))
        assert begun.id == later.id


@pytest.mark.parametrize("notice", ["", "[]", "{", '["a", "b"]', "[1, 2, 3, 4, 5]"])
async def test_notice_of_another_form_is_a_mere_wake_up(database, notice):
    async with told_of(database) as told:
        told.tasks.told(notice)
        assert (told.newcomers, told.others) == ([], 1)


async def test_submit_with_a_client_token_locks_its_instance_first(database):
    async with told_of(database) as told:
        await told.submits(make_task(1))
        other = await asyncpg.connect(database.url)
        try:
            await other.execute("BEGIN")
            await other.execute("SET LOCAL lock_timeout = '300ms'")
            await other.execute("SELECT 1 FROM streams FOR UPDATE")
            task = make_task(1)
            receipt = Receipt(
                project_id=PROJECT,
                token="token",
                digest=b"digest",
                task_id=task.id,
                instance_id=instance_id(1),
                until=after(60),
            )
            submission = msgspec.structs.replace(lifecycle.submit(task), receipt=receipt)
            writing = asyncio.ensure_future(told.tasks.write(submission))
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            async with asyncio.timeout(10):
                while await told.tasks._postgres.first(waits) != (1,):  # noqa: ASYNC110  the event is PostgreSQL's
                    await asyncio.sleep(0)
            await other.execute(  # would wait for the one that waits for us
                "INSERT INTO receipts (project_id, token, digest, task_id, instance_id, until)"
                " VALUES ($1, 'token', '', '', '', '')",
                PROJECT,
            )
            await other.execute("ROLLBACK")
            await writing
        finally:
            await other.close()
        assert await told.tasks.get(task.id) is not None


async def test_newcomer_overtakes_nobody_who_has_waited_for_a_minute(database):
    async with told_of(database) as told:
        early = make_task(1)
        assert await told.submits(early) == (1, 0)
        (claimed,) = await told.tasks.claim(W1, 1, NOW)
        await told.tasks.write(lifecycle.snooze(claimed, NOW, NOW))  # it had its turn, and waits
        late = after(HEAD_START.total_seconds())
        assert await told.submits(make_task(2, late)) == (1, 0)
        assert await told.submits(make_task(3, late + timedelta(seconds=1))) == (0, 1)


async def test_those_that_come_together_are_found_by_looking(database):
    async with told_of(database) as told:
        tasks = [make_task(number) for number in range(9)]
        await asyncio.gather(*(told.tasks.write(lifecycle.submit(task)) for task in tasks))
        assert told.newcomers == []
        claimed = await told.tasks.claim(W1, 9, NOW)
        assert {task.id for task in claimed} == {task.id for task in tasks}


async def test_claim_that_is_made_later_looks_itself(database):
    async with told_of(database) as told:
        await told.submits(make_task(1), make_task(2))
        assert len(await told.tasks.claim(W1, 9, NOW)) == 2


@pytest.mark.parametrize("is_given_back", [False, True])
async def test_newcomer_that_was_claimed_meanwhile_is_left_alone(database, is_given_back):
    async with told_of(database) as told:
        task = make_task(1)
        await told.submits(task)
        (claimed,) = await told.tasks.claim(W2, 1, NOW)
        if is_given_back:  # its lane is free again, and it is another version
            await told.tasks.write(lifecycle.snooze(claimed, NOW, NOW))
        kept = await told.tasks.get(task.id)
        told.tasks._newcomer = told.newcomers[0]
        assert await told.tasks.claim(W1, 1, NOW) == []
        assert await told.tasks.get(task.id) == kept
        assert not told.tasks._doubtful


async def test_writes_wait_while_a_newcomer_is_claimed(database, monkeypatch):
    async with told_of(database) as told:
        await told.submits(make_task(1))
        fetch, is_asked, may_go = Link.fetch, asyncio.Event(), asyncio.Event()

        async def slow(link, statement, *values):
            is_asked.set()
            await may_go.wait()
            return await fetch(link, statement, *values)

        monkeypatch.setattr(Link, "fetch", slow)
        told.tasks._newcomer = told.newcomers[0]
        claiming = asyncio.ensure_future(told.tasks.claim(W1, 1, NOW))
        await is_asked.wait()
        writing = asyncio.ensure_future(told.tasks.write(lifecycle.submit(make_task(2))))
        await asyncio.wait((writing,), timeout=0.1)
        assert not writing.done()
        may_go.set()
        assert len(await claiming) == 1
        await writing


async def test_no_room_is_no_claim_and_the_newcomer_is_forgotten(database):
    async with told_of(database) as told:
        await told.submits(make_task(1))
        told.tasks._newcomer = told.newcomers[0]
        assert await told.tasks.claim(W1, 0, NOW) == []
        assert told.tasks._newcomer is None


async def test_refused_submit_of_one_leaves_nothing(database):
    async with told_of(database) as told:
        assert await told.submits(make_task(1)) == (1, 0)
        second = make_task(1)
        limits = QueueLimits(instance=1, project=9)
        with pytest.raises(QuotaReached):
            await told.tasks.write(msgspec.structs.replace(lifecycle.submit(second), limits=limits))
        assert await told.tasks.get(second.id) is None
        (claimed,) = await told.tasks.claim(W1, 9, NOW)
        assert claimed.instance_id == instance_id(1)


async def test_process_without_a_worker_hears_of_events_alone(database):
    async with told_of(database) as told:
        async with worker(database, hears={EVENTS}) as (stores, claims):
            rung = stores.journal.rung
            await told.submits(make_task(1), make_task(2, after(-1)))
            await until(
                lambda: stores.journal.rung >= rung + 2
            )  # what else the first says came before
        assert claims == []


async def test_process_that_nobody_asks_hears_of_tasks_alone(database):
    async with told_of(database) as told, worker(database, hears={READY}) as (stores, claims):
        rung = stores.journal.rung
        await told.submits(make_task(1))
        await until(lambda: claims)
        assert stores.journal.rung == rung
        assert len(await claims[0]) == 1
