from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.domain.estimate import Estimate
from backroom.domain.ids import InstanceId, ProjectId, TaskId, UserId, WorkerId
from backroom.domain.stamps import stamp
from backroom.domain.task import Kind, State, StepRecord, StepState, Task
from backroom.operations.operation import Operation, Step
from backroom.operations.public_ip import UnbindPublicIp
from backroom.ports import History
from backroom.wire import tasks as wire
from backroom.wire.times import decode_compact, encode_epoch_ms

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


async def run(_context):
    raise NotImplementedError


EXTEND = Operation(
    name="extendInstance",
    params=UnbindPublicIp,
    steps=(Step("pre_check", run, 1), Step("disk_expansion", run, 3)),
    prepare=lambda instance, _: instance,
    shows_executing=True,
    has_progress=True,
)


def task(state=State.RUNNING, kind=Kind.BACKGROUND, started_at=STARTED, name="extendInstance"):
    return Task(
        id=TaskId("c" * 32),
        project_id=ProjectId("a" * 32),
        instance_id=InstanceId("4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01"),
        kind=kind,
        name=name,
        user_id=UserId("b" * 32),
        user_name="tester",
        params="{}",
        state=state,
        created_at=STARTED,
        updated_at=STARTED,
        started_at=started_at,
        worker_id=WorkerId("w") if state is State.RUNNING else None,
        lane="lane",
        internal=b"{}",
    )


def step(name, state=StepState.SUCCEEDED, percent=100, ended_at=STARTED + timedelta(seconds=5)):
    return StepRecord(
        name=name,
        position=0,
        state=state,
        percent=percent,
        started_at=STARTED,
        ended_at=None if state is StepState.RUNNING else ended_at,
    )


def progress(*steps, estimate=Estimate(40, 900)):  # noqa: B008  frozen
    return wire.encode_progress(EXTEND, History(steps, (), ()), estimate)


class TestProgress:
    def test_before_anything_ran_each_step_waits_without_times(self):
        body = progress(estimate=Estimate(0, 0))
        assert (body.progress_percentage, body.remain_time) == (0, 0)
        assert body.step_list == [
            wire.StepBody("pre_check", "WAITING", "WAITING"),
            wire.StepBody("disk_expansion", "WAITING", "WAITING"),
        ]

    def test_each_step_shows_its_state_and_its_times_beside_the_estimate(self):
        body = progress(step("pre_check"), step("disk_expansion", StepState.RUNNING, 20))
        assert (body.progress_percentage, body.remain_time) == (40, 900)
        first, second = body.step_list
        assert (first.statue, first.end_time) == ("COMPLETED", 1767225605000)
        assert (second.statue, second.start_time, second.end_time) == (
            "IN_PROGRESS",
            1767225600000,
            None,
        )

    def test_a_failed_step_shows_failed(self):
        body = progress(step("pre_check"), step("disk_expansion", StepState.FAILED, 50))
        assert [part.statue for part in body.step_list] == ["COMPLETED", "FAILED"]

    def test_times_are_text_for_a_client_that_takes_no_numbers(self):
        steps = (step("pre_check"), step("disk_expansion", StepState.RUNNING, 20))
        body = wire.encode_progress(EXTEND, History(steps, (), ()), Estimate(40, 900), str)
        first, second = body.step_list
        assert (first.start_time, first.end_time) == ("1767225600000", "1767225605000")
        assert second.end_time is None

    @pytest.mark.parametrize(
        ("user_agent", "is_text"),
        [
            (b"huaweicloud-usdk-go/3.0; linux/amd64", True),
            (b"huaweicloud-usdk-python/3.0; Python/3.11", False),
            (b"huaweicloud-usdk-java/3.0", False),
            (b"Go-http-client/1.1", False),
            (None, False),
        ],
    )
    def test_only_the_go_sdk_is_taken_for_such_a_client(self, user_agent, is_text):
        assert wire.reads_times_as_text(user_agent) is is_text

    def test_both_spellings_of_the_state_say_the_same(self):
        for part in progress(step("pre_check")).step_list:
            assert part.statue == part.status


class TestStatus:
    @pytest.mark.parametrize(
        ("state", "kind", "status"),
        [
            (State.WAITING, Kind.BACKGROUND, "CREATED"),
            (State.RUNNING, Kind.BACKGROUND, "CREATED"),
            (State.SUCCEEDED, Kind.BACKGROUND, "SUCCESS"),
            (State.FAILED, Kind.BACKGROUND, "FAILED"),
            (State.CANCELLED, Kind.BACKGROUND, "FAILED"),
            (State.WAITING, Kind.SCHEDULED, "CREATED"),
            (State.RUNNING, Kind.SCHEDULED, "CREATED"),
            (State.SUCCEEDED, Kind.SCHEDULED, "SUCCESS"),
            (State.FAILED, Kind.SCHEDULED, "FAILED"),
            (State.CANCELLED, Kind.SCHEDULED, "CANCELLED"),
        ],
    )
    def test_of_a_short_task(self, state, kind, status):
        assert wire.status_of(task(state, kind, name="bindInstancePublicIp")) == status

    @pytest.mark.parametrize(
        ("state", "kind", "status"),
        [
            (State.WAITING, Kind.BACKGROUND, "EXECUTING"),
            (State.RUNNING, Kind.BACKGROUND, "EXECUTING"),
            (State.SUCCEEDED, Kind.BACKGROUND, "SUCCESS"),
            (State.WAITING, Kind.SCHEDULED, "CREATED"),
        ],
    )
    def test_of_one_that_shows_executing(self, monkeypatch, state, kind, status):
        monkeypatch.setattr(wire, "CATALOGUE", {EXTEND.name: EXTEND})
        assert wire.status_of(task(state, kind)) == status

    def test_no_waiter_of_terraform_would_hang_on_a_background_task(self):
        """[O] it ends on SUCCESS, FAILED, DELETED; goes on with CREATED, EXECUTING."""
        for state in State:
            status = wire.status_of(task(state))
            assert status in ({"SUCCESS", "FAILED"} if state.is_final else {"CREATED", "EXECUTING"})


class TestTimes:
    @given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001  made aware below
    def test_a_moment_is_written_to_the_millisecond_and_read_back(self, moment):
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
        written = stamp(whole)
        assert len(written) == len("2020-06-15T08:55:53.606Z")
        assert datetime.fromisoformat(written) == whole
        assert encode_epoch_ms(whole) * 1000 == (
            whole - datetime(1970, 1, 1, tzinfo=UTC)
        ) // timedelta(microseconds=1)

    @given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001  made aware below
    def test_a_compact_time_is_read_as_utc(self, moment):
        second = moment.replace(microsecond=0, tzinfo=UTC)
        text = second.isoformat()[:19].translate({ord(sign): None for sign in "-:T"})
        assert decode_compact("begin_time", text) == second
