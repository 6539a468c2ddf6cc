"""What `./run interop` answers for a worse cell, and whether it writes."""

import sys

import pytest
from interop import __main__ as interop
from interop import coverage
from interop.coverage import Row

BEFORE = {"go": Row(cells={"calls: show": "ran", "calls: throttled": "open: no limit yet"})}
WORSE = {"go": Row(cells={"calls: show": "failed: 500", "calls: throttled": "open: no limit yet"})}
LOST = {"go": Row(cells={"calls: throttled": "open: no limit yet"})}


@pytest.fixture
def record(tmp_path, monkeypatch):
    path = tmp_path / "coverage.json"
    monkeypatch.setattr(coverage, "RECORD", path)
    coverage.write({}, BEFORE)
    return path


@pytest.mark.parametrize(
    ("now", "exit_code"),
    [(BEFORE, 0), (WORSE, 1), (LOST, 1), ({"go": Row(away="go is not installed")}, 0)],
)
def test_the_check_fails_when_a_cell_gets_worse_and_writes_nothing(
    now, exit_code, record, monkeypatch, capsys
):
    monkeypatch.setattr(interop, "run", lambda names, folder: now)
    monkeypatch.setattr(sys, "argv", ["interop", "--check", "go"])
    kept = record.read_bytes()
    assert interop.main() == exit_code
    assert record.read_bytes() == kept
    assert ("go, calls: show" in capsys.readouterr().err) == bool(exit_code)


def test_what_is_worse_is_not_written_down_without_the_check_either(record, monkeypatch):
    monkeypatch.setattr(interop, "run", lambda names, folder: WORSE)
    monkeypatch.setattr(sys, "argv", ["interop", "go"])
    kept = record.read_bytes()
    assert interop.main() == 1
    assert record.read_bytes() == kept
