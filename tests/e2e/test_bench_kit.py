"""The benchmark of the test kit runs to its end, all of it in tiny."""

import sys

import pytest
from bench import kit

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.mark.timeout(120)
def test_every_ratio_and_figure_is_told_when_it_is_small(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--small"])

    ended = kit.main()

    printed = capsys.readouterr()
    rows = printed.out.splitlines()
    verdicts = [row for row in rows if row.endswith((" kept |", " **missed** |"))]
    assert len(verdicts) == 4
    assert ended == int(any("missed" in row for row in verdicts))
    assert sum(row.endswith((" 300 |", " 10 |")) for row in rows) == 4
    assert "| - |" not in printed.out
    assert "round 1 of 1" in printed.err
