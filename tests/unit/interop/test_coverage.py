"""What counts as worse, what is written down, and the page that is made of it."""

import pytest
from interop import coverage
from interop.coverage import Row


def row(**cells):
    return Row(cells={name.replace("_", ": "): outcome for name, outcome in cells.items()})


BEFORE = {"go": row(calls_show="ran", calls_list="ran", calls_throttled="open: no limit yet")}


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (row(calls_show="ran", calls_list="ran"), []),
        (row(calls_show="ran", calls_list="ran", calls_delete="ran"), []),
        (row(calls_show="ran", calls_list="failed: 500"), ["go, calls: list: failed: 500"]),
        (row(calls_show="ran", calls_list="open: given up"), ["go, calls: list: open: given up"]),
        (row(calls_show="ran"), ["go, calls: list: was not tried"]),
        (row(calls_show="ran", calls_list="away: no page here"), []),
        (
            row(calls_show="ran", calls_list="ran", calls_delete="failed: 500"),
            ["go, calls: delete: failed: 500"],
        ),
        (Row(away="go is not installed"), []),
    ],
)
def test_a_cell_is_worse_when_it_failed_or_does_not_run_any_more(now, told):
    assert coverage.worse(BEFORE, {"go": now}) == told


def test_what_could_not_be_tried_is_kept_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "RECORD", tmp_path / "coverage.json")
    before = BEFORE | {"java": row(calls_show="ran")}
    now = {
        "go": row(calls_show="away: no page here", calls_list="ran"),
        "java": Row(away="mvn is not installed"),
    }
    coverage.write(before, now)
    assert coverage.read() == {
        "go": row(calls_show="ran", calls_list="ran"),
        "java": row(calls_show="ran"),
    }


def test_the_page_gives_each_reason_once_below_its_table():
    rows = {
        "go": Row(
            versions={"Go": "1"},
            cells={"calls: throttled": "open: no limit", "calls: show": "ran"},
            notes={"calls: show": "by hand"},
        ),
        "nodejs": row(calls_throttled="open: no limit"),
    }
    lines = coverage.page_text(rows).splitlines()
    assert "| error: throttled, a read | open (3) | open (3) |" in lines
    assert "| show: all eight fields | ran (1) | open (2) |" in lines
    assert lines.count("3. no limit") == 1
    assert "1. by hand" in lines
    assert "2. was not tried" in lines


@pytest.mark.parametrize("program", ["terraform", "tofu"])
def test_the_page_names_the_program_that_ran_the_provider(program):
    row = Row(versions={program: "1.9"}, cells={"terraform: plan": "ran"})
    assert f"with the program `{program}`," in coverage.page_text({"terraform": row})


def test_what_is_written_down_are_cells_of_the_page_that_did_not_fail():
    known = {f"{group}: {call}" for group, calls in coverage.GROUPS.items() for call in calls}
    recorded = coverage.read()
    assert set(recorded) <= set(coverage.TITLES)
    for name, client in recorded.items():
        assert set(client.cells) <= known, name
        assert {outcome.split(":")[0] for outcome in client.cells.values()} <= {"ran", "open"}
