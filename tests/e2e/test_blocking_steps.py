"""A step that blocks in a real process: nothing else waits for it, and neither does SIGTERM."""

import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from time import monotonic

import pytest
from tests.support.engine_world import catalogue_with
from tests.support.hanging_server import NOTES, operation
from tests.support.histories import read_past, violations
from tests.support.processes import serving
from tests.support.waiting import wait_until

from backroom.engine.rescuer import LEASE_S
from backroom.server import GRACE_S
from backroom.settings import DATABASE_FILE

pytestmark = pytest.mark.slow

STOPS_WITHIN_S = 8.0  # docs/howto/deploy.md promises it


def hanging(data, seconds):
    command = (sys.executable, "-m", "tests.support.hanging_server", str(data), str(seconds))
    return serving(data, command=command)


def notes(data):
    path = data / NOTES
    return (
        [line.split()[0] for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def kept(data, statement):
    with closing(sqlite3.connect(f"file:{data / DATABASE_FILE}?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchall()


def found_wrong(data):
    with (
        closing(sqlite3.connect(f"file:{data / DATABASE_FILE}?mode=ro", uri=True)) as database,
        catalogue_with(operation(data, 0)),
    ):
        past = read_past(database.execute)
        assert past.tasks
        return violations(past, [])


@pytest.mark.timeout(90)
@pytest.mark.rule(10)
def test_sigterm_in_the_middle_of_a_blocking_step_stops_in_time_and_the_task_goes_on(tmp_path):
    with hanging(tmp_path, 3_600) as served:
        wait_until(lambda: notes(tmp_path))
        since = monotonic()
        assert served.stop() == 0
        took_s = monotonic() - since
    assert GRACE_S <= took_s < STOPS_WITHIN_S
    assert kept(tmp_path, "SELECT state, attempt FROM tasks") == [("waiting", 0)]
    with hanging(tmp_path, 0.1) as served:
        wait_until(lambda: kept(tmp_path, "SELECT 1 FROM tasks WHERE state = 'succeeded'"))
        assert served.stop() == 0
    assert notes(tmp_path) == ["begun", "begun", "ended"]
    recorded = kept(tmp_path, "SELECT step FROM events WHERE verb IN ('record', 'complete')")
    assert recorded == [("step_0",), ("step_1",), ("step_2",)]
    assert found_wrong(tmp_path) == []


@pytest.mark.timeout(90)
def test_beats_land_while_a_step_blocks(tmp_path):
    with hanging(tmp_path, LEASE_S + 1) as served:
        wait_until(lambda: notes(tmp_path))
        beats = set()

        def enough():
            beats.update(kept(tmp_path, "SELECT beat_at FROM workers"))
            return len(beats) >= 3

        wait_until(enough)
        assert notes(tmp_path) == ["begun"]
        wait_until(lambda: kept(tmp_path, "SELECT 1 FROM tasks WHERE state = 'succeeded'"))
        assert served.stop() == 0
    moments = sorted(datetime.fromisoformat(beat) for (beat,) in beats)
    gaps = [(b - a).total_seconds() for a, b in pairwise(moments)]
    assert max(gaps) < LEASE_S / 2
    verbs = [verb for (verb,) in kept(tmp_path, "SELECT verb FROM events ORDER BY id")]
    assert verbs == ["submit", "claim", "record", "record", "complete"]
    assert found_wrong(tmp_path) == []
