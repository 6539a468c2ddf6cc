"""How far and how long: by what was learnt, by weights where nothing was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, after, make_running, make_step, make_task

from backroom.domain.estimate import Estimate, estimate
from backroom.domain.task import State, StepState

WEIGHTS = {"pre_check": 1, "disk_expansion": 3, "rolling_scaling": 6}
LEARNT = {"pre_check": 10.0, "disk_expansion": 30.0, "rolling_scaling": 60.0}


def done(name, seconds=10.0):
    return make_step(name=name, started_at=NOW, ended_at=after(seconds))


def going(name, percent=0, started=0.0, state=StepState.RUNNING):
    return make_step(
        name=name, state=state, percent=percent, started_at=after(started), ended_at=None,
        output=None,
    )  # fmt: skip


def guess(*steps, durations=None, at=0.0, **given_task):
    return estimate(make_running(**given_task), WEIGHTS, steps, durations or {}, after(at))


class TestByWeights:
    def test_percent_is_by_the_weights_and_time_left_by_the_time_taken(self):
        steps = (done("pre_check"), going("disk_expansion", 50, 10))
        assert guess(*steps, at=100) == Estimate(25, 300)

    def test_nothing_is_known_before_anything_was_done(self):
        assert guess() == Estimate(0, 0)
        assert estimate(make_task(), WEIGHTS, (), {}, NOW) == Estimate(0, 0)

    def test_durations_of_other_steps_teach_nothing(self):
        assert guess(done("pre_check"), durations={"restart_brokers": 9.0}, at=10).percent == 10

    def test_steps_that_took_no_time_teach_nothing(self):
        assert guess(done("pre_check"), durations={"pre_check": 0.0}, at=10) == Estimate(10, 90)


class TestByWhatWasLearnt:
    def test_steps_count_by_their_seconds(self):
        learnt = {"pre_check": 1.0, "disk_expansion": 1.0, "rolling_scaling": 98.0}
        steps = (done("pre_check"), done("disk_expansion"), going("rolling_scaling", 50, 2))
        assert guess(*steps, durations=learnt, at=12) == Estimate(51, 10)

    def test_time_left_of_a_waiting_task_is_all_of_it(self):
        waiting = make_task()
        assert estimate(waiting, WEIGHTS, (), LEARNT, NOW) == Estimate(0, 100)

    def test_a_step_that_tells_its_percent_is_taken_at_its_word(self):
        steps = (done("pre_check"), going("disk_expansion", 20, 10))
        assert guess(*steps, durations=LEARNT, at=40) == Estimate(16, 30 * 4 + 60)

    def test_a_step_that_tells_nothing_goes_by_the_clock_but_not_to_its_end(self):
        steps = (done("pre_check"), going("disk_expansion", 0, 10))
        assert guess(*steps, durations=LEARNT, at=25) == Estimate(25, 15 + 60)
        assert guess(*steps, durations=LEARNT, at=10_000) == Estimate(37, 3 + 60)

    def test_a_step_not_learnt_of_takes_as_long_for_its_weight_as_the_others(self):
        learnt = {"pre_check": 10.0, "disk_expansion": 30.0}
        assert guess(durations=learnt) == Estimate(0, 100)

    def test_a_clock_that_went_back_takes_nothing_away(self):
        steps = (done("pre_check"), going("disk_expansion", 0, 10))
        assert guess(*steps, durations=LEARNT, at=-500) == Estimate(10, 90)

    def test_negative_durations_are_none(self):
        assert guess(durations={"pre_check": -5.0, "disk_expansion": 3.0}).remaining_s > 0


@pytest.mark.parametrize("durations", [{}, LEARNT])
class TestTheEnd:
    def test_a_success_is_whole(self, durations):
        ended = guess(durations=durations, state=State.SUCCEEDED)
        assert ended == Estimate(100, 0)

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
    def test_other_ends_stay_where_they_were_and_nothing_is_left(self, durations, state):
        steps = (done("pre_check"), going("disk_expansion", 50, 10, StepState.FAILED))
        assert guess(*steps, durations=durations, at=9_999, state=state) == Estimate(25, 0)

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
    def test_a_step_left_running_counts_no_time_after_the_end(self, durations, state):
        steps = (done("pre_check"), going("disk_expansion", 0, 10))
        assert guess(*steps, durations=durations, at=9_999, state=state) == Estimate(10, 0)

    def test_whole_before_the_end_is_99(self, durations):
        steps = tuple(map(done, WEIGHTS))
        found = guess(*steps, durations=durations, at=100)
        assert found.percent == 99
        assert found.remaining_s >= 1


@st.composite
def moments(draw):
    """Steps as they are recorded: some done, perhaps one under way, the rest not begun."""
    count = draw(st.integers(0, 3))
    steps = [done(name, draw(st.floats(0, 1_000))) for name in list(WEIGHTS)[:count]]
    if count < 3 and draw(st.booleans()):
        steps.append(going(list(WEIGHTS)[count], draw(st.integers(0, 100)), draw(st.floats(0, 50))))
    return tuple(steps)


durations = st.dictionaries(
    st.sampled_from([*WEIGHTS, "unknown"]), st.floats(-1, 1e6, allow_nan=False)
)


@given(moments(), durations, st.sampled_from(State), st.floats(-1e4, 1e6))
def test_whatever_is_recorded_it_is_a_percentage_and_a_time(steps, learnt, state, seconds):
    found = guess(*steps, durations=learnt, at=seconds, state=state)
    assert 0 <= found.percent <= 100
    assert (found.percent == 100) == (state is State.SUCCEEDED)
    assert found.remaining_s >= 0
    assert found.remaining_s == 0 or not state.is_final


@given(moments(), durations, st.floats(0, 1e5), st.floats(0, 1e5))
def test_percent_never_falls_as_time_passes(steps, learnt, one, two):
    early, late = sorted((one, two))
    assert (
        guess(*steps, durations=learnt, at=early).percent
        <= guess(*steps, durations=learnt, at=late).percent
    )


@given(moments(), durations, st.floats(0, 1e5))
def test_percent_is_never_less_than_what_the_done_steps_warrant(steps, learnt, seconds):
    over = tuple(step for step in steps if step.state is StepState.SUCCEEDED)
    assert (
        guess(*over, durations=learnt, at=seconds).percent
        <= guess(*steps, durations=learnt, at=seconds).percent
    )
