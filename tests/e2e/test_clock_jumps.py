"""A real process whose time of day jumps by an hour, forward and back, while tasks run."""

import sqlite3
import sys
from contextlib import closing
from time import monotonic

import pytest
from tests.support.binding_client import BindingClient
from tests.support.histories import read_past, violations
from tests.support.jumping_server import jump
from tests.support.processes import serving
from tests.support.waiting import wait_until

from backroom.engine.worker import POLL_S
from backroom.settings import DATABASE_FILE

pytestmark = pytest.mark.slow

HOUR_S = 3_600
BUSY_S = 3.0  # for a machine with other work


def states(database, kind="%"):
    found = database.execute("SELECT state FROM tasks WHERE kind LIKE ?", (kind,))
    return {state for (state,) in found}


@pytest.mark.timeout(120)
def test_tasks_under_way_end_once_and_planned_ones_begin_when_the_clock_jumps(tmp_path):
    command = (sys.executable, "-m", "tests.support.jumping_server", str(tmp_path))
    with serving(tmp_path, "--http", command=command) as served:
        client = BindingClient(served)
        database = sqlite3.connect(f"file:{tmp_path / DATABASE_FILE}?mode=ro", uri=True)
        with closing(client), closing(database):
            for jumped_s in (-HOUR_S, 0, -HOUR_S):
                assert [client.bind() for _ in range(2)] == [204, 204]
                wait_until(lambda: "running" in states(database))
                jump(tmp_path, jumped_s)
                assert client.bind() == 204
            wait_until(lambda: states(database, "background") == {"succeeded"})
            assert "waiting" in states(database)  # the planned one
            since = monotonic()
            jump(tmp_path, HOUR_S)
            wait_until(lambda: states(database, "scheduled") == {"succeeded"})
            assert monotonic() - since < POLL_S + BUSY_S
            wait_until(lambda: states(database) == {"succeeded"})
            assert served.stop() == 0
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as database:
        past = read_past(database.execute)
    assert violations(past, client.acknowledged) == []
    assert {event.verb for event in past.events} <= {
        "submit", "claim", "record", "progress", "snooze", "complete",
    }  # fmt: skip
