import pytest

from backroom.engine.backoff import CAP_S, FIRST_S, delay_s


@pytest.mark.parametrize(
    ("attempt", "most"), [(1, FIRST_S), (2, 2), (3, 4), (6, 32), (7, CAP_S), (10**6, CAP_S)]
)
def test_delay_doubles_up_to_its_cap(attempt, most):
    assert delay_s(attempt, lambda: 1.0) == most
    assert delay_s(attempt, lambda: 0.0) == most / 2


@pytest.mark.rule(12)
def test_delay_spreads_a_crowd_out():
    assert len({delay_s(3) for _ in range(50)}) > 40
    assert all(2 <= delay_s(3) <= 4 for _ in range(50))
