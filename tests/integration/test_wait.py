"""Prefer: wait, told by the journal when the task has ended or is another."""

import pytest
from tests.support.clocks import settled
from tests.support.streams import (
    claim,
    counted,
    end_and_delete,
    run,
    submit,
    waiting,
)


@pytest.fixture
def world(watched_world):
    return watched_world


def status_of(answer):
    return answer.json["tasks"][0]["status"]


def test_wait_is_over_as_soon_as_the_task_has_ended(world):
    async def show():
        task_id = await submit(world)
        answer = waiting(world, task_id, ("prefer", "wait=50"))
        await settled()
        assert not answer.done()
        begun_at = world.clock.now()
        await run(world)
        await settled()
        assert status_of(answer.result()) == "SUCCESS"
        assert answer.result().headers["preference-applied"] == "wait=50"
        assert "retry-after" not in answer.result().headers
        assert (world.clock.now() - begun_at).total_seconds() < 50
        again = waiting(world, task_id, ("prefer", "wait=50"))
        await settled()
        assert again.done()

    world.do(show())


def test_wait_is_over_when_its_time_is(world):
    async def show():
        task_id = await submit(world)
        answer = waiting(world, task_id, ("prefer", "respond-async, wait=3"))
        for _ in range(3):
            await settled()
            assert not answer.done()
            world.clock.move(1)
        await settled()
        assert status_of(answer.result()) == "CREATED"
        assert answer.result().headers["preference-applied"] == "wait=3"
        assert int(answer.result().headers["retry-after"]) >= 1

    world.do(show())


def test_wait_is_at_most_50_seconds(world):
    async def show():
        answer = waiting(world, await submit(world), ("prefer", "wait=3600"))
        for _ in range(50):
            await settled()
            assert not answer.done()
            world.clock.move(1)
        await settled()
        assert answer.result().headers["preference-applied"] == "wait=50"

    world.do(show())


def test_wait_with_an_entity_tag_is_over_at_the_first_change(world):
    async def show():
        task_id = await submit(world)
        tag = (await waiting(world, task_id)).headers["etag"]
        answer = waiting(world, task_id, ("prefer", "wait=50"), ("if-none-match", tag))
        await settled()
        world.clock.move(1)
        await settled()
        assert not answer.done()
        await claim(world)
        await settled()
        assert (answer.result().status, status_of(answer.result())) == (200, "CREATED")
        assert answer.result().headers["etag"] != tag
        same = waiting(
            world, task_id, ("prefer", "wait=2"), ("if-none-match", answer.result().headers["etag"])
        )
        for _ in range(2):
            await settled()
            world.clock.move(1)
        await settled()
        assert (same.result().status, same.result().body) == (304, b"")
        assert same.result().headers["preference-applied"] == "wait=2"

    world.do(show())


def test_wait_is_over_when_the_server_stops(world):
    async def show():
        answer = waiting(world, await submit(world), ("prefer", "wait=50"))
        await settled()
        world.backroom.around.stopping.set()
        await settled()
        assert status_of(answer.result()) == "CREATED"

    world.do(show())


@pytest.mark.parametrize(
    "prefer", ["wait=", "wait=x", "wait=-1", "waiting=3", ";", "return=minimal"]
)
def test_wish_that_nobody_understands_is_passed_over(world, prefer):
    task_id = world.submit()
    answer = world.admin.get(f"{world.tasks_path}/{task_id}", headers=[("Prefer", prefer)])
    assert answer.status == 200
    assert "preference-applied" not in answer.headers


def test_task_that_is_deleted_while_somebody_waits_is_missing(world):
    async def show():
        task_id = await submit(world)
        answer = waiting(world, task_id, ("prefer", "wait=50"))
        await settled()
        await world.backroom.tasks.write(*await end_and_delete(world, task_id))
        await settled()
        assert answer.result().error == (404, "DMS.00404001")

    world.do(show())


def test_only_so_many_wait_at_once_and_others_are_answered_at_once(world):
    async def show():
        task_id = await submit(world)
        handlers_of(world)._waiting_most = 2
        prefer = ("prefer", "wait=50")
        some = [waiting(world, task_id, prefer) for _ in range(2)]
        await settled()
        third = waiting(world, task_id, prefer)
        await settled()
        assert status_of(third.result()) == "CREATED"
        assert "preference-applied" not in third.result().headers
        assert not any(one.done() for one in some)
        some[0].cancel()  # its client has gone
        await settled()
        fits = waiting(world, task_id, prefer)
        await settled()
        assert not fits.done()
        await run(world)
        await settled()
        assert [status_of(one.result()) for one in (some[1], fits)] == ["SUCCESS"] * 2
        assert handlers_of(world)._waiting == 0

    world.do(show())


def handlers_of(world):
    (route,) = (one for one in world.backroom.table.routes if one.operation == "ShowBackgroundTask")
    return route.handler.__self__


def test_all_who_wait_cost_one_query_of_the_journal_when_something_happens(world):
    async def show():
        task_id, _ = await submit(world), await submit(world)
        answers = [waiting(world, task_id, ("prefer", "wait=50")) for _ in range(20)]
        await settled()
        with counted(world.backroom.journal, "events") as looks:
            records = counted(world.backroom.tasks, "record")
            with records as shown:
                await claim(world)  # of the same lane's head
                await settled()
        assert len(looks) == 1
        assert len(shown) == 20
        with counted(world.backroom.tasks, "record") as shown:
            await submit(world)  # another task
            await settled()
        assert shown == []
        for answer in answers:
            answer.cancel()

    world.do(show())
