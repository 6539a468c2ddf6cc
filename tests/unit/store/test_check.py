import asyncio
import shutil

import apsw
import pytest
from tests.support.filled import edit, filled_world

from backroom.database import wrong
from backroom.domain import lifecycle
from backroom.domain.ids import WorkerId
from backroom.settings import DATABASE_FILE, Settings


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Closed: all in one file."""
    folder = tmp_path_factory.mktemp("filled")
    filled_world(folder).close()
    return folder


@pytest.fixture
def data(filled, tmp_path):
    shutil.copy(filled / DATABASE_FILE, tmp_path)
    return tmp_path


def found(data, *, quick=False):
    return asyncio.run(wrong(Settings(data=data), quick=quick, seen=lambda _count: None))


def test_nothing_is_wrong_with_what_was_written_by_us(data):
    assert found(data) == []
    assert found(data, quick=True) == []


def test_nothing_is_wrong_whatever_happened_to_tasks(tmp_path):
    world = filled_world(tmp_path)
    tasks, do, now = world.backroom.tasks, world.do, world.clock.now

    def change(task_id, decide, *given):
        task = do(tasks.get(task_id))
        do(tasks.write(decide(task, now(), *given)))
        assert found(tmp_path) == []

    (running,) = world.begun
    waiting = [world.bind() for _ in range(4)]
    change(waiting[0], lifecycle.cancel, "tester")
    change(waiting[3], lifecycle.cancel, "tester", "not wanted")
    change(waiting[3], lifecycle.delete, "tester")
    change(running.id, lifecycle.ask_cancel, "tester")
    world.begun = []
    change(running.id, lifecycle.rescue, WorkerId("another"))
    world.lose_brokers()
    for _ in range(60):
        world.run_round()
        assert found(tmp_path) == []
        world.clock.move(seconds=20)
    world.run_until_idle()
    assert found(tmp_path) == []
    ended = do(world.backroom.finder.ended(now().replace(year=2040), 100))
    assert {task.state.value for task in ended} == {"succeeded", "failed", "cancelled"}
    for task in ended:
        change(task.id, lifecycle.delete, "tester")
    world.bind()
    assert found(tmp_path) == []
    world.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE tasks SET state = 'lost' WHERE state = 'succeeded'", "is lost, which is no state"),
        ("UPDATE tasks SET worker_id = NULL WHERE state = 'running'", "its worker is nobody"),
        ("UPDATE tasks SET ended_at = NULL WHERE state = 'succeeded'", "ended at no time"),
        ("UPDATE tasks SET ended_at = '2026' WHERE state = 'waiting'", "waiting and ended at 2026"),
        ("INSERT INTO lanes VALUES ('x', 1, '2026', NULL, '2026')", "lane x is there and none"),
        ("DELETE FROM lanes", "is not there"),
        ("UPDATE lanes SET head = head + 1", "its oldest unfinished task is"),
        ("UPDATE lanes SET worker_id = NULL", "is held by nobody, its task by tester"),
        ("UPDATE streams SET live = live + 1", "counts "),
        ("UPDATE streams SET open = open - 1", "unfinished; there are"),
        ("UPDATE streams SET first_ordinal = 0", "spans 0 to"),
        ("UPDATE streams SET last_ordinal = 1 WHERE kind = 'background'", "spans 1 to 1"),
        ("UPDATE streams SET kind = 'x' WHERE kind = 'background'", "of no stream"),
        ("DELETE FROM streams", "of no stream"),
        ("UPDATE task_counts SET live = live + 1 WHERE level = 12", "of level 12 counts"),
        ("DELETE FROM task_counts WHERE level = 6", "of level 6 counts 0 tasks"),
        ("INSERT INTO task_counts VALUES (18, 5, 1)", "block 5 of level 18 counts 1"),
        ("UPDATE chains SET open = 0", "counts 0 unfinished tasks"),
        ("DELETE FROM chains", "has events and no chain"),
        ("UPDATE chains SET sequence = sequence - 1", "not as its events"),
        ("UPDATE chains SET hash = x'00'", "not as its events"),
        ("INSERT INTO chains VALUES ('p', 3, x'00', 0)", "chain of project p ends at 3"),
        ("UPDATE events SET actor = 'mallory' WHERE sequence = 3", "event 3 of project"),
        ("UPDATE events SET at = 'never' WHERE sequence = 3", "event 3 of project"),
        ("UPDATE events SET to_state = 'lost' WHERE sequence = 3", "event 3 of project"),
        ("UPDATE events SET sequence = NULL WHERE sequence = 3", "event 1 of project"),
        ("DELETE FROM events WHERE sequence = 1", "event 1 of project"),
        ("DELETE FROM events WHERE to_state = 'succeeded'", "its last event led to running"),
        ("DELETE FROM tasks WHERE state = 'succeeded'", "which is not there"),
        ("UPDATE attempts SET ended_at = NULL", "has not ended, and the task is succeeded"),
        ("INSERT INTO steps VALUES ('t', 0, 's', 'running', 0, '2026', NULL, NULL)", "step 0 of"),
        ("DELETE FROM projects", "a key is of project"),
        ("UPDATE users SET project_id = 'p'", "is of project p, which is not there"),
    ],
)
def test_what_must_not_be_is_found(data, statement, said):
    edit(data, statement)
    assert any(said in text for text in found(data)), found(data)


def test_broken_chain_is_named_once(data):
    edit(data, "UPDATE events SET actor = 'mallory' WHERE sequence IN (2, 3, 5)")
    (text,) = found(data)
    assert text.startswith("event 2 of project")
    assert found(data, quick=True) == []


def test_another_schema_is_all_that_is_said(data):
    connection = apsw.Connection(str(data / DATABASE_FILE))
    connection.pragma("user_version", 1)
    connection.close()
    (text,) = found(data)
    assert text.startswith("schema is 1, this release's is ")


@pytest.mark.parametrize("quick", [True, False])
def test_damage_of_the_file_is_found(data, quick):
    path = data / DATABASE_FILE
    connection = apsw.Connection(str(path))
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'tasks_by_project'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : (root - 1) * size + 12] = bytes([10, 0, 0, 0, 0, 0, 0, 0] + [0] * 4)
    path.write_bytes(content)
    texts = found(data, quick=quick)
    assert any(text.startswith("database: ") for text in texts)
