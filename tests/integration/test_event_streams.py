"""Server-Sent Events: told by the journal, no polling."""

import asyncio

import pytest
from tests.support.clocks import settled
from tests.support.signer import HMAC_SHA256, Signer
from tests.support.streams import (
    Stream,
    claim,
    counted,
    end_and_delete,
    native,
    of_task,
    run,
    streams_of,
    submit,
    verbs,
)
from tests.support.world import WORKER, Caller, changed

from backroom.domain.account import Role
from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import EventFilter


@pytest.fixture
def world(watched_world):
    return watched_world


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


# whoever is no longer welcome


def streams_of_each(world, callers):
    return [Stream(caller, native(world, "/events")) for caller in callers]


async def pass_a_minute(world):
    for _ in range(60):
        world.clock.move(1)
        await settled()


def test_stream_ends_within_a_minute_when_its_key_is_revoked(world):
    async def watch():
        gone, stays = streams_of_each(world, (leaver, world.admin))
        assert await gone.events() == await stays.events()
        assert await world.backroom.accounts.revoke_key(None, leaver.signer.access_key)
        await pass_a_minute(world)
        await gone.end()
        await submit(world)
        assert verbs(await stays.events()) == ["submit"]
        assert await gone.events() == []
        await stays.leave()
        assert streams_of(world)._open == 0

    leaver = world.caller()
    world.do(watch())


def test_stream_on_which_much_happens_ends_too_when_its_key_is_revoked(world):
    async def watch():
        stream = Stream(leaver, native(world, "/events"))
        await settled()
        await world.backroom.accounts.revoke_key(None, leaver.signer.access_key)
        for _ in range(60):
            world.clock.move(1)
            await submit(world)
            await settled()
        await stream.end()
        assert len(await stream.events()) < 60

    leaver = world.caller()
    world.do(watch())


@pytest.mark.parametrize("change", ["role", "project"])
def test_stream_ends_when_its_key_is_another_ones(world, change):
    async def watch():
        stream = Stream(caller, native(world, "/events"))
        await settled()
        accounts, signer = world.backroom.accounts, caller.signer
        await accounts.revoke_key(None, signer.access_key)
        if change == "role":
            await accounts.add_key(
                None, signer.access_key, signer.secret_key, world.project_id, Role.VIEWER
            )
        else:
            key = changed(
                world.key, access_key=signer.access_key, project_id=elsewhere, is_generated=False
            )
            await world.backroom.account_store.add_access_key(key)
        await pass_a_minute(world)
        await stream.end()

    caller, elsewhere = world.caller(), world.other_project()
    world.do(watch())


@pytest.mark.parametrize("by", ["token", "temporary key"])
def test_stream_ends_within_a_minute_when_what_it_was_opened_with_has_expired(world, by):
    async def watch():
        world.clock.move(LIFETIMES_S[by] - 70)
        caller = fresh
        stream = Stream(caller, native(world, "/events"))
        await settled()
        await pass_a_minute(world)
        assert stream.status == 200
        await submit(world)
        assert verbs(await stream.events()) == ["submit"]
        await pass_a_minute(world)
        world.clock.move(10)
        await settled()
        await stream.end()

    world.user("ann", "correct horse")
    fresh = world.log_in("ann", "correct horse")
    if by == "temporary key":
        fresh = temporary(world, fresh)
    world.do(watch())


LIFETIMES_S = {"token": 24 * 3_600, "temporary key": 900}


def temporary(world, caller):
    identity = {"methods": ["token"], "token": {"duration_seconds": 900}}
    answer = caller.post("/v3.0/OS-CREDENTIAL/securitytokens", {"auth": {"identity": identity}})
    made = answer.json["credential"]
    signer = Signer(made["access"], made["secret"], HMAC_SHA256, made["securitytoken"])
    return Caller(world, signer)


# many at once


def test_all_streams_of_a_project_cost_one_query_when_something_happens(world):
    async def watch():
        task_id = await submit(world)
        paths = [native(world, "/events"), of_task(world, task_id)]
        paths.append(native(world, f"/instances/{world.instance.id}/events"))
        many = [Stream(world.admin, path) for path in paths for _ in range(10)]
        await settled()
        told = [await stream.events() for stream in many]
        assert {tuple(verbs(events)) for events in told} == {("submit",)}
        with counted(world.backroom.journal, "events") as looks:
            await claim(world)
            told = [await stream.events() for stream in many]
        assert {tuple(verbs(events)) for events in told} == {("claim",)}
        assert len(looks) == 1
        for stream in many:
            await stream.leave()

    world.do(watch())


@pytest.mark.parametrize("kept", [0, 1, 3, 1_000])
def test_streams_that_are_behind_miss_nothing_and_get_nothing_twice(world, monkeypatch, kept):
    """However few events are kept in memory, and however they come."""

    async def watch():
        monkeypatch.setattr("backroom.api.streams.BATCH", 2)
        monkeypatch.setattr("backroom.api.following.READ", 2)
        world.backroom.tails._kept = kept
        task_ids = [await submit(world) for _ in range(3)]
        paths = [native(world, "/events"), *(of_task(world, task_id) for task_id in task_ids)]
        streams = [Stream(world.admin, path) for path in paths]
        streams += [Stream(world.admin, f"{path}?after={n}") for n, path in enumerate(paths)]
        seen = [await stream.events() for stream in streams]
        slow = Stream(world.admin, paths[0])
        await settled()
        slow.reads.clear()
        for _ in task_ids:
            await run(world)
            await submit(world)
            for at, stream in enumerate(streams):
                seen[at] += await stream.events()
        slow.reads.set()
        everything = await world.backroom.journal.events(
            EventFilter(project_id=world.project_id), 10_000
        )
        sequences = [one.sequence for one in everything]
        assert [event["sequence"] for event in await slow.events()] == sequences
        assert [event["sequence"] for event in seen[0]] == sequences
        for at, task_id in enumerate(task_ids, 1):
            own = [one.sequence for one in everything if one.task_id == task_id]
            assert [event["sequence"] for event in seen[at]] == own
            behind = [sequence for sequence in own if sequence > at]
            assert [event["sequence"] for event in seen[len(paths) + at]] == behind
            await streams[at].end()
        for stream in (slow, streams[0], streams[len(paths)]):
            await stream.leave()
        assert world.backroom.tails._tails == {}

    world.do(watch())


def test_streams_end_when_the_database_is_away_and_the_next_one_begins_anew(world, monkeypatch):
    async def watch():
        many = [Stream(world.admin, native(world, "/events")) for _ in range(5)]
        await settled()
        with monkeypatch.context() as patch:
            patch.setattr(world.backroom.journal, "events", away)
            await submit(world)
            for stream in many:
                await stream.end()
        again = Stream(world.admin, native(world, "/events"))
        assert verbs(await again.events()) == ["submit"]
        await again.leave()

    async def away(*_):
        raise StoreUnavailable("away")

    world.do(watch())
