"""What schemas 1 and 2 wrote is whole at the newest: no event unsealed, no task stuck."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from tests.support.filled import everything, filled_world, resumed
from tests.support.world import WORKER, MovableClock

from backroom.audit.chains import check_chain
from backroom.bootstrap import assemble
from backroom.database import migrated, wrong
from backroom.domain.errors import StoreUnavailable
from backroom.domain.ids import ProjectId
from backroom.domain.task import State
from backroom.settings import DATABASE_FILE, Settings
from backroom.store import connection as module
from backroom.store.connection import migrations

RECORDS = (Path(__file__).parent / "schema_1.sql").read_text("utf-8")
PROJECT = ProjectId("b922b971efebacff23c41547809bf24d")
RUNNING = "ec0b011f458d88ddf62082a0b2162d1d"
WAITING = "aae840a5f1a3f8f60996aa3fdeb03d55"
SCHEDULED = "4babc92d9dae816163a11423370af702"
LATER = datetime(2026, 3, 4, 6, tzinfo=UTC)


@pytest.fixture
def data(tmp_path):
    """A data folder as the release of schema 1 left it."""
    connection = apsw.Connection(str(tmp_path / DATABASE_FILE))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(migrations()[0])
    connection.pragma("user_version", 1)
    connection.execute(RECORDS)
    connection.close()
    return tmp_path


def at(data):
    return Settings(data=data)


def migrate(data):
    return asyncio.run(migrated(at(data)))


def schema(data):
    connection = apsw.Connection(str(data / DATABASE_FILE))
    found = connection.pragma("user_version")
    connection.close()
    return found


def test_migrated_database_is_in_order(data):
    assert migrate(data) == (1, len(migrations()))
    assert migrate(data) == (len(migrations()),) * 2
    assert asyncio.run(wrong(at(data), quick=False, seen=lambda _count: None)) == []


def test_no_record_is_lost_or_changed(data):
    before = everything(data)
    migrate(data)
    after = everything(data)
    for name, rows in before.items():
        if name == "clusters":
            assert [(row[0], *row[2:]) for row in after["cluster_parts"]] == rows
        else:
            assert [row[: len(old)] for row, old in zip(after[name], rows, strict=True)] == rows


def test_events_are_chained_in_the_order_written(data):
    migrate(data)
    backroom = assemble(at(data))
    followed = asyncio.run(check_chain(backroom.journal, PROJECT))
    backroom.close()
    assert (followed.broken, followed.count) == (None, 19)
    events = everything(data)["events"]
    assert [row[-2] for row in sorted(events)] == list(range(1, 20))


def test_open_counts_are_right(data):
    migrate(data)
    after = everything(data)
    assert [row[-1] for row in after["chains"]] == [4]
    assert [row[-1] for row in after["streams"]] == [3, 1]


def test_tasks_under_way_and_waiting_are_finished(data):
    clock = MovableClock(LATER)
    backroom = assemble(at(data), clock)
    with asyncio.Runner() as runner:
        world = resumed(backroom, clock, runner)
        world.begun = runner.run(backroom.tasks.held(WORKER))
        assert [task.id for task in world.begun] == [RUNNING]
        world.run_until_idle()
        states = {
            task_id: runner.run(backroom.tasks.get(task_id)).state
            for task_id in (RUNNING, WAITING, SCHEDULED)
        }
        followed = runner.run(check_chain(backroom.journal, PROJECT))
    backroom.close()
    assert set(states.values()) == {State.SUCCEEDED}
    assert followed.broken is None
    assert followed.count > 19
    assert asyncio.run(wrong(at(data), quick=False, seen=lambda _count: None)) == []


@pytest.mark.parametrize("where", ["sql", "chain"])
def test_failure_in_the_middle_leaves_schema_1_untouched(data, monkeypatch, where):
    before = everything(data)
    broken = [*migrations()[:-1], migrations()[-1] + "\nINSERT INTO nowhere VALUES (1);"]
    if where == "sql":
        monkeypatch.setattr(module, "migrations", lambda: broken)
    else:
        monkeypatch.setattr(module, "chain_events", fail)
    with pytest.raises((StoreUnavailable, ZeroDivisionError)):
        migrate(data)
    assert schema(data) == 1
    assert everything(data) == before
    monkeypatch.undo()
    assert migrate(data) == (1, len(migrations()))


def fail(_connection):
    raise ZeroDivisionError


@pytest.fixture
def data_2(tmp_path):
    """Rows in every table, written by this release and without what schema 3 has added."""
    world = filled_world(tmp_path)
    token = [("X-Client-Token", "once-only")]
    asked = world.admin.post(world.public_access_path, {"public_boundwidth": 7}, headers=token)
    assert asked.status == 204
    world.submit(execute_at=LATER - timedelta(seconds=5), publicip_id="eip-9")
    world.close()
    connection = apsw.Connection(str(tmp_path / DATABASE_FILE))
    connection.execute("DROP INDEX lanes_turn; ALTER TABLE lanes DROP COLUMN turn_at")
    connection.pragma("user_version", 2)
    assert shape(connection) == shape_of_schema(2)
    connection.close()
    return tmp_path


def shape(connection):
    """Columns of all tables, and the names of all indexes."""
    columns = (
        'SELECT t.name, c.name, c.type, c."notnull", c.pk FROM sqlite_schema t'
        " JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2"
    )
    indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY 1"
    return [connection.execute(statement).fetchall() for statement in (columns, indexes)]


def shape_of_schema(number):
    connection = apsw.Connection(":memory:")
    for text in migrations()[:number]:
        connection.execute(text)
    return shape(connection)


def test_lanes_of_schema_2_have_their_turn_and_all_else_stays(data_2):
    before = everything(data_2)
    assert all(before[name] for name in ("receipts", "chains", "cluster_parts", "tasks", "steps"))
    assert sorted(row[-1] is None for row in before["lanes"]) == [False, True, True]
    assert migrate(data_2) == (2, 3)
    after = everything(data_2)
    assert after.pop("lanes") == [(*row, row[2]) for row in before.pop("lanes")]
    assert after == before
    connection = apsw.Connection(str(data_2 / DATABASE_FILE))
    assert shape(connection) == shape_of_schema(3)
    connection.close()
    assert asyncio.run(wrong(at(data_2), quick=False, seen=lambda _count: None)) == []


def test_what_schema_2_wrote_goes_on(data_2):
    clock = MovableClock(LATER)
    backroom = assemble(at(data_2), clock)
    with asyncio.Runner() as runner:
        world = resumed(backroom, clock, runner)
        world.begun = runner.run(backroom.tasks.held(WORKER))
        assert len(world.begun) == 1
        world.run_until_idle()  # time flies to the planned ones
        followed = runner.run(check_chain(backroom.journal, world.project_id))
    backroom.close()
    kept = apsw.Connection(str(data_2 / DATABASE_FILE))
    states = kept.execute("SELECT DISTINCT kind, state FROM tasks ORDER BY kind").fetchall()
    kept.close()
    assert states == [("background", "succeeded"), ("scheduled", "succeeded")]
    assert followed.broken is None
    assert asyncio.run(wrong(at(data_2), quick=False, seen=lambda _count: None)) == []


@pytest.mark.slow
def test_processes_that_migrate_at_once_do_it_once(data):
    command = [
        sys.executable, "-c",
        "import sys; sys.stdin.readline(); from backroom.cli import main; main()",
        "db", "migrate", "--data", str(data),
    ]  # fmt: skip
    started = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=30) for process in started]
    assert [error for _, error in said] == [""] * 4
    assert {out for out, _ in said} <= {"schema 1 -> 3\n", "schema 3, up to date\n"}
    assert asyncio.run(wrong(at(data), quick=False, seen=lambda _count: None)) == []
