"""Tasks for later: list, reschedule, cancel, delete, and what happens when their time comes."""

from datetime import timedelta

import pytest
from tests.support.world import STARTED_AT

from backroom.domain import lifecycle
from backroom.domain.account import Role

KEYS = [
    "id",
    "name",
    "user_name",
    "user_id",
    "params",
    "status",
    "created_at",
    "updated_at",
    "schedule_at",
]


@pytest.fixture
def scheduled(world):
    """A task for two hours later."""
    return world.submit(execute_at=STARTED_AT + timedelta(hours=2))


def rows(world, query=""):
    answer = world.admin.get(world.scheduled_path + query)
    assert answer.status == 200
    return answer.json["jobs"]


def change(world, task_id, query):
    world.clock.move(seconds=1)
    return world.admin.put(f"{world.scheduled_path}/{task_id}?{query}")


def test_list_answers_jobs_and_their_count_as_a_number(world, scheduled):
    answer = world.admin.get(world.scheduled_path)
    assert list(answer.json) == ["job_count", "jobs"]
    assert answer.json["job_count"] == 1
    assert isinstance(answer.json["job_count"], int)
    (row,) = answer.json["jobs"]
    assert list(row) == KEYS
    assert all(isinstance(value, str) and value for value in row.values())
    assert row["id"] == scheduled
    assert row["status"] == "CREATED"
    assert row["schedule_at"] == "2026-03-04T07:06:07.008Z"


def test_list_is_empty_without_scheduled_tasks(world):
    assert world.admin.get(world.scheduled_path).body == b'{"job_count":0,"jobs":[]}'


def test_list_pages_newest_first(world):
    ids = [world.submit(execute_at=STARTED_AT + timedelta(hours=n)) for n in range(1, 13)]
    for query, expected in (
        ("", ids[:1:-1]),
        ("?start=0&limit=3", ids[:-4:-1]),
        ("?start=2&limit=3", ids[-2:-5:-1]),
        ("?offset=10", ids[1::-1]),
        ("?begin_time=20260304050608", []),
    ):
        assert [row["id"] for row in rows(world, query)] == expected
    assert world.admin.get(f"{world.scheduled_path}?limit=1").json["job_count"] == 12


def test_scheduled_and_background_tasks_are_two_lists(world, scheduled):
    background = world.submit()
    assert [row["id"] for row in rows(world)] == [scheduled]
    assert world.newest()["id"] == background
    for task_id, path in ((scheduled, world.tasks_path), (background, world.scheduled_path)):
        world.clock.move(seconds=1)
        assert world.admin.delete(f"{path}/{task_id}").error == (404, "DMS.00404001")
    assert world.admin.get(f"{world.tasks_path}/{scheduled}").error == (404, "DMS.00404001")
    assert change(world, background, "status=CANCELLED").error == (404, "DMS.00404001")


def test_when_its_time_comes_it_starts_a_background_task_and_that_is_its_success(world, scheduled):
    world.clock.move(hours=2, milliseconds=-1)
    assert world.run_round() == 0
    world.clock.move(milliseconds=1)
    assert world.run_round() == 1
    (row,) = rows(world)
    assert row["status"] == "SUCCESS"
    started = world.newest()
    assert started["id"] != scheduled
    assert started["status"] == "CREATED"
    assert started["params"] == row["params"]
    assert (started["user_id"], started["name"]) == (row["user_id"], row["name"])
    world.run_until_idle()
    assert world.newest()["status"] == "SUCCESS"
    assert world.shown_instance()["publicip_id"] == "eip-1"


def test_it_fails_when_the_instance_is_gone_by_then(world, scheduled):
    assert world.admin.delete(world.instance_path).status == 204
    world.run_until_idle()
    (row,) = rows(world)
    assert row["status"] == "FAILED"


def test_reschedule_moves_it(world, scheduled):
    answer = change(world, scheduled, "execute_at=20260304090000")
    assert answer.status == 204
    (row,) = rows(world)
    assert row["schedule_at"] == "2026-03-04T09:00:00.000Z"
    assert row["status"] == "CREATED"
    assert row["updated_at"] > row["created_at"]
    world.clock.move(hours=3)
    assert world.run_round() == 0
    world.clock.move(hours=1)
    assert world.run_round() == 1


def test_reschedule_may_say_that_it_is_still_to_run(world, scheduled):
    assert change(world, scheduled, "execute_at=20260304090000&status=null").status == 204


def test_reschedule_ignores_a_body(world, scheduled):
    path = f"{world.scheduled_path}/{scheduled}?execute_at=20260304090000"
    assert world.admin.put(path, body=b"{}").status == 204


def test_cancel_ends_it_at_once(world, scheduled):
    assert change(world, scheduled, "status=CANCELLED").status == 204
    (row,) = rows(world)
    assert row["status"] == "CANCELLED"
    world.clock.move(hours=5)
    assert world.run_round() == 0
    assert world.admin.get(world.tasks_path).json["task_count"] == "0"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=null",
        "status=",
        "status=cancelled",
        "status=SUCCESS",
        "status=CANCELLED&execute_at=20260304090000",
        "execute_at=20260304050607",  # now, but for its milliseconds
        "execute_at=20200101000000",
        "execute_at=1772615167008",  # the milliseconds of a request's body
        "execute_at=2026-03-04T09:00:00Z",
        "execute_at=20260230000000",
        "execute_at=20260304240000",
        "execute_at=20260304090060",
        "execute_at=2026030409000",
        "execute_at=202603040900000",
        "execute_at=%2B2026030409000",
        "execute_at=%EF%BC%92%EF%BC%90260304090000",  # full-width digits
        "execute_at=20260304090000&execute_at=20260304090000",
    ],
)
def test_a_change_that_makes_no_sense_is_refused(world, scheduled, query):
    world.clock.move(seconds=-1)
    before = world.dump()
    assert change(world, scheduled, query).error == (400, "DMS.00400062")
    assert world.dump() == before


@pytest.mark.parametrize("query", ["status=CANCELLED", "execute_at=20260304090000"])
@pytest.mark.parametrize("how", ["cancelled", "started"])
def test_what_has_ended_can_not_be_changed(world, scheduled, how, query):
    if how == "cancelled":
        change(world, scheduled, "status=CANCELLED")
    else:
        task = world.do(world.backroom.tasks.get(scheduled))
        world.do(
            world.backroom.tasks.write(
                lifecycle.reschedule(task, world.clock.now(), world.clock.now(), "tester")
            )
        )
        world.run_until_idle()
    before = world.dump()
    refused = change(world, scheduled, query)
    assert refused.error == (400, "DMS.00400800")
    assert scheduled in refused.message
    assert world.dump() == before


def test_one_that_waits_can_not_be_deleted(world, scheduled):
    before = world.dump()
    path = f"{world.scheduled_path}/{scheduled}"
    assert world.admin.delete(path).error == (400, "DMS.00400017")
    assert world.dump() == before


@pytest.mark.parametrize("how", ["cancelled", "succeeded", "failed"])
def test_one_that_has_ended_can_be_deleted(world, scheduled, how):
    if how == "cancelled":
        change(world, scheduled, "status=CANCELLED")
    else:
        if how == "failed":
            assert world.admin.delete(world.instance_path).status == 204
        world.run_until_idle()
    path = f"{world.scheduled_path}/{scheduled}"
    assert world.admin.delete(path).status == 204
    world.clock.move(seconds=1)
    assert world.admin.delete(path).error == (404, "DMS.00404001")
    assert change(world, scheduled, "status=CANCELLED").error == (404, "DMS.00404001")


def test_a_viewer_changes_nothing(world, scheduled):
    viewer = world.caller(Role.VIEWER)
    before = world.dump()
    path = f"{world.scheduled_path}/{scheduled}"
    assert viewer.put(f"{path}?status=CANCELLED").error == (403, "DMS.00403002")
    assert viewer.delete(path).error == (403, "DMS.00403002")
    assert world.dump() == before


class Racing:
    """A store in which somebody else is always first, once."""

    def __init__(self, tasks, meanwhile):
        self._tasks = tasks
        self._meanwhile = meanwhile

    def __getattr__(self, name):
        return getattr(self._tasks, name)

    async def write(self, *changes):
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        await self._tasks.write(*changes)


@pytest.fixture
def race(world, monkeypatch):
    def set_up(decide):
        tasks = world.backroom.tasks

        async def meanwhile(task_id):
            await tasks.write(decide(await tasks.get(task_id), world.clock.now()))

        def start(task_id):
            racing = Racing(tasks, lambda: meanwhile(task_id))
            monkeypatch.setattr(world.backroom.service.reschedule.__self__, "_tasks", racing)

        return start

    return set_up


def later(task, now):
    return lifecycle.reschedule(task, now, now + timedelta(hours=9), "somebody else")


def cancelled(task, now):
    return lifecycle.cancel(task, now, "somebody else")


@pytest.mark.parametrize("query", ["status=CANCELLED", "execute_at=20260304090000"])
def test_a_change_that_meets_another_is_decided_anew(world, scheduled, race, query):
    race(later)(scheduled)
    assert change(world, scheduled, query).status == 204
    (row,) = rows(world)
    expected = ("CANCELLED", "14:06") if "CANCELLED" in query else ("CREATED", "09:00")
    assert (row["status"], row["schedule_at"][11:16]) == expected


@pytest.mark.parametrize("query", ["status=CANCELLED", "execute_at=20260304090000"])
def test_a_change_that_meets_a_cancellation_is_refused(world, scheduled, race, query):
    race(cancelled)(scheduled)
    assert change(world, scheduled, query).error == (400, "DMS.00400800")


def test_of_two_who_delete_the_same_task_the_second_finds_none(world, scheduled, race):
    change(world, scheduled, "status=CANCELLED")
    race(lambda task, now: lifecycle.delete(task, now, "somebody else"))(scheduled)
    world.clock.move(seconds=1)
    answer = world.admin.delete(f"{world.scheduled_path}/{scheduled}")
    assert answer.error == (404, "DMS.00404001")
