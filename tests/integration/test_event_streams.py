"""Server-Sent Events, and the wait for the end of a task: told by the journal, no polling."""

import asyncio

import pytest
from tests.support.clocks import MovedClock, settled
from tests.support.streams import Stream
from tests.support.world import ON_EACH_DATABASE, STARTED_AT, WORKER, ask, checked, world_on

from backroom.api.streams import EventStreams
from backroom.domain import lifecycle
from backroom.domain.account import Identity, Role
from backroom.engine.attempt import Attempt
from backroom.operations.public_ip import UNBIND_PUBLIC_IP, UnbindPublicIp
from backroom.service import Order

UNBIND = Order(operation=UNBIND_PUBLIC_IP, params=UnbindPublicIp(), public={})


@pytest.fixture(params=ON_EACH_DATABASE)
def world(request, tmp_path):
    with world_on(request.param, tmp_path, MovedClock(STARTED_AT)) as made:
        yield made


def identity(world):
    key = world.key
    return Identity(key.project_id, key.user_id, key.user_name, key.role)


async def submit(world):
    submitted = await world.backroom.service.submit(identity(world), world.instance.id, UNBIND)
    return submitted.task_id


async def claim(world):
    (task,) = await world.backroom.tasks.claim(WORKER, 1, world.clock.now())
    return Attempt(task, world.backroom.around)


async def run(world):
    """What is due, to its end."""
    running = asyncio.ensure_future((await claim(world)).run())
    await world.clock.pass_until(running.done)


async def end_and_delete(world, task_id):
    task = await world.backroom.tasks.get(task_id)
    cancelled = lifecycle.cancel(task, world.clock.now(), "tester")
    return cancelled, lifecycle.delete(cancelled.task, world.clock.now(), "tester")


def native(world, path=""):
    return f"/backroom/v1/{world.project_id}{path}"


def of_task(world, task_id):
    return native(world, f"/tasks/{task_id}/events")


def verbs(events):
    return [event["verb"] for event in events]


def streams_of(world):
    (route,) = (one for one in world.backroom.table.routes if one.operation == "ListTaskEvents")
    streams = route.handler.__self__._streams
    assert isinstance(streams, EventStreams)
    return streams


# streams


def test_stream_of_a_task_tells_each_event_when_it_happens_and_ends_with_the_task(world):
    async def watch():
        task_id = await submit(world)
        stream = Stream(world.admin, of_task(world, task_id))
        assert verbs(await stream.events()) == ["submit"]
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert "content-length" not in stream.headers
        attempt = await claim(world)
        (event,) = await stream.events()
        assert (event["verb"], event["actor"], event["task_id"]) == ("claim", WORKER, task_id)
        assert (event["from_state"], event["to_state"]) == ("waiting", "running")
        running = asyncio.ensure_future(attempt.run())
        await world.clock.pass_until(running.done)
        assert verbs(await stream.events())[-1] == "complete"
        await stream.end()
        assert streams_of(world)._open == 0

    world.do(watch())


def test_stream_goes_on_behind_the_last_event_without_loss_or_double(world):
    async def watch():
        task_id = await submit(world)
        await submit(world)
        await run(world)
        whole = Stream(world.admin, of_task(world, task_id))
        events = await whole.events()
        await whole.end()
        assert verbs(events)[0] == "submit"
        assert verbs(events)[-1] == "complete"
        for at, event in enumerate(events[:-1], 1):
            for resumed in (
                Stream(world.admin, of_task(world, task_id), last_event_id=str(event["sequence"])),
                Stream(world.admin, f"{of_task(world, task_id)}?after={event['sequence']}"),
                Stream(
                    world.admin, f"{of_task(world, task_id)}?after=0",
                    last_event_id=str(event["sequence"]),
                ),
            ):  # fmt: skip
                assert await resumed.events() == events[at:]
                await resumed.end()
        nothing = Stream(
            world.admin, of_task(world, task_id), last_event_id=str(events[-1]["sequence"])
        )
        await settled()
        assert nothing.status == 204

    world.do(watch())


def test_stream_that_is_cut_in_the_middle_is_gone_on_with(world):
    async def watch():
        task_id = await submit(world)
        stream = Stream(world.admin, of_task(world, task_id))
        seen = await stream.events()
        await stream.leave()
        assert streams_of(world)._open == 0
        await run(world)
        again = Stream(
            world.admin, of_task(world, task_id), last_event_id=str(seen[-1]["sequence"])
        )
        seen += await again.events()
        assert [event["sequence"] for event in seen] == sorted({e["sequence"] for e in seen})
        history = await world.backroom.tasks.history(task_id)
        assert verbs(seen) == [event.verb for event in history.events]

    world.do(watch())


def test_stream_ends_when_the_record_is_deleted(world):
    async def watch():
        task_id = await submit(world)
        stream = Stream(world.admin, of_task(world, task_id))
        assert verbs(await stream.events()) == ["submit"]
        await world.backroom.tasks.write(*await end_and_delete(world, task_id))
        assert verbs(await stream.events()) == ["cancel", "delete"]
        await stream.end()

    world.do(watch())


def test_stream_of_an_instance_and_of_the_project_go_on_behind_ends(world):
    async def watch():
        elsewhere = Stream(world.caller_elsewhere, f"/backroom/v1/{world.elsewhere}/events")
        project = Stream(world.admin, native(world, "/events"))
        instance = Stream(world.admin, native(world, f"/instances/{world.instance.id}/events"))
        task_id = await submit(world)
        await run(world)
        told = await project.events()
        assert told == await instance.events()
        assert {event["task_id"] for event in told} == {task_id}
        assert verbs(told)[-1] == "complete"
        await submit(world)
        assert verbs(await project.events()) == verbs(await instance.events()) == ["submit"]
        assert await elsewhere.events() == []
        for stream in (project, instance, elsewhere):
            await stream.leave()

    world.elsewhere = world.other_project()
    world.caller_elsewhere = world.caller(Role.ADMIN, world.elsewhere)
    world.do(watch())


def test_quiet_stream_says_every_15_seconds_that_it_lives(world):
    async def watch():
        stream = Stream(world.admin, native(world, "/events"))
        await settled()
        assert stream.texts == ["retry: 1000"]
        stream.texts.clear()
        for _ in range(14):
            world.clock.move(1)
            await settled()
        assert stream.texts == []
        world.clock.move(1)
        await settled()
        assert stream.texts == [": still here"]
        await submit(world)
        assert verbs(await stream.events()) == ["submit"]
        await stream.leave()

    world.do(watch())


def test_streams_end_when_the_server_stops(world):
    async def watch():
        stream = Stream(world.admin, native(world, "/events"))
        await settled()
        world.backroom.around.stopping.set()
        await stream.end()
        assert streams_of(world)._open == 0

    world.do(watch())


def test_only_so_many_streams_are_open_at_once(world):
    async def watch():
        streams_of(world)._most = 2
        path = native(world, "/events")
        some = [Stream(world.admin, path) for _ in range(2)]
        await settled()
        refused = Stream(world.admin, path)
        await settled()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        await some[0].leave()
        fits = Stream(world.admin, path)
        await settled()
        assert fits.status == 200
        for stream in (some[1], fits):
            await stream.leave()

    world.do(watch())


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30, "99999"])
def test_stream_from_nowhere_is_refused(world, last):
    path = native(world, "/events")
    headers = [("Accept", "text/event-stream"), ("Last-Event-ID", last)]
    assert world.admin.get(path, headers=headers).error == (400, "DMS.00400062")
    assert world.admin.get(f"{path}?after={last}").error == (400, "DMS.00400062")


def test_events_are_listed_page_by_page(world):
    async def made():
        task_id = await submit(world)
        await run(world)
        return task_id

    task_id = world.do(made())
    whole = world.admin.get(of_task(world, task_id)).json
    assert whole["last"] == whole["events"][-1]["sequence"]
    seen, after = [], 0
    while True:
        page = world.admin.get(f"{of_task(world, task_id)}?after={after}&limit=2").json
        if not page["events"]:
            assert page["last"] == after
            break
        seen, after = seen + page["events"], page["last"]
    assert seen == whole["events"]
    head = world.do(world.backroom.journal.head(world.project_id))
    assert (seen[-1]["sequence"], seen[-1]["hash"]) == (head.sequence, head.hash.hex())


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_events_of_somebody_elses_things_look_missing(world, accept):
    task_id = world.submit()
    stranger = world.caller(Role.ADMIN, world.other_project())
    headers = [("Accept", accept)]
    pairs = (
        (stranger.get(of_task(world, task_id), headers=headers),
         world.admin.get(of_task(world, "0" * 32), headers=headers), task_id),
        (stranger.get(native(world, f"/instances/{world.instance.id}/events"), headers=headers),
         world.admin.get(native(world, f"/instances/{'0' * 8}-0000-0000-0000-{'0' * 12}/events"),
                         headers=headers), ""),
    )  # fmt: skip
    for theirs, missing, shown in pairs:
        assert theirs.status == missing.status == 404
        asked = missing.without_request_id.replace(b"0" * 32, shown.encode() or b"0" * 32)
        assert theirs.without_request_id == asked
    assert stranger.get(native(world, "/events"), headers=headers).error == (401, "DMS.10240104")


# the wait for the end of a task


def waiting(world, task_id, *headers):
    """The show of a task by a client that wants to wait."""
    target = f"{world.tasks_path}/{task_id}"
    fields = [(name.encode(), value.encode()) for name, value in headers]
    return asyncio.ensure_future(asked(world, target, [*world.admin.proof("GET", target), *fields]))


async def asked(world, target, fields):
    application = world.backroom.application
    return checked(await ask(application, "GET", target.encode(), b"", fields, []), "GET")


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
