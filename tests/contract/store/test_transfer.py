"""All records from SQLite to PostgreSQL and back."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.support.bodies import CREATE_BODY
from tests.support.builders import NOW
from tests.support.commands import command
from tests.support.databases import PostgresDatabase
from tests.support.filled import edit, everything, filled_world, resumed
from tests.support.postgres_server import DATABASES
from tests.support.world import MovableClock

from backroom.bootstrap import assemble
from backroom.data_folder import ServerFile
from backroom.database import exported, filled, migrated, wrong
from backroom.domain.errors import StoreUnavailable
from backroom.domain.filter import Page
from backroom.domain.ids import WorkerId
from backroom.domain.instance import InstanceFilter
from backroom.domain.task import State
from backroom.engine.rescuer import LEASE_S, Rescuer
from backroom.settings import KEY_FILE, SERVER_FILE, Settings
from backroom.store.postgres_connection import migrations
from backroom.store.transfer import NotEmpty, UnusableDump


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = filled_world(tmp_path_factory.mktemp("filled"))
    yield made
    made.close()


@pytest.fixture
def postgres(tmp_path):
    database = PostgresDatabase()
    yield Settings(data=tmp_path / "postgres", database=database.url)
    database.close()


def dump(settings):
    parts = []
    asyncio.run(exported(settings, NOW, parts.append, lambda _count: None))
    return b"".join(parts).splitlines(keepends=True)


def sorted_rows(lines):
    """By table: rows of a section may come in another order."""
    found, section = {}, ""
    for line in lines[1:-1]:
        if line.startswith(b"{"):
            section = json.loads(line)["table"]
        found.setdefault(section, []).append(line)
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def lines(world):
    return dump(Settings(data=world.backroom.settings.data))


def problems(settings):
    return asyncio.run(wrong(settings, quick=False, seen=lambda _count: None))


def test_every_row_goes_to_postgres_and_back(world, lines, postgres, tmp_path):
    counts = asyncio.run(filled(postgres, lines))
    assert counts == json.loads(lines[-1])["counts"]
    there = dump(postgres)
    assert sorted_rows(there) == sorted_rows(lines)
    assert json.loads(there[-1])["counts"] == counts
    back = Settings(data=tmp_path / "back")
    asyncio.run(filled(back, there))
    assert everything(back.data) == everything(world.backroom.settings.data)
    assert problems(postgres) == problems(back) == []


def test_text_that_postgres_can_not_hold_comes_back(lines, postgres, tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    asyncio.run(filled(Settings(data=first), lines))
    odd = "char(0) || char(26) || '0' || char(26) || '\"\\ 名 ☠' || char(10)"
    edit(first, f"UPDATE tasks SET reason = {odd}, internal = x'00ff0a1a'")  # noqa: S608  ours
    asyncio.run(filled(postgres, dump(Settings(data=first))))
    asyncio.run(filled(Settings(data=second), dump(postgres)))
    assert everything(second) == everything(first)


def test_tasks_in_flight_go_on_and_new_ones_come(world, lines, postgres):
    asyncio.run(filled(postgres, lines))
    postgres.data.mkdir()
    key = world.backroom.settings.data / KEY_FILE
    (postgres.data / KEY_FILE).write_bytes(key.read_bytes())
    clock = MovableClock(world.clock.now() + timedelta(hours=1))
    backroom = assemble(postgres, clock)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runner.run(stack.enter_async_context(backroom.opened()))
        again = resumed(backroom, clock, runner)
        rescuer = Rescuer(WorkerId("another"), backroom.around)
        while runner.run(rescuer.round()) == 0:
            clock.move(seconds=LEASE_S / 3)
        again.run_until_idle()
        created = again.admin.post(again.create_path, CREATE_BODY)
        assert created.status < 300, created.body
        again.run_until_idle()
        wanted = InstanceFilter(project_id=again.project_id)
        assert runner.run(backroom.instances.find(wanted, Page()))[1] == 2
        task = runner.run(backroom.tasks.get(again.bind()))
        assert task.state is State.WAITING
        again.run_until_idle()
        runner.run(stack.aclose())
    assert problems(postgres) == []


def test_import_into_what_holds_anything_is_refused(lines, postgres):
    asyncio.run(filled(postgres, lines))
    before = sorted_rows(dump(postgres))
    with pytest.raises(NotEmpty):
        asyncio.run(filled(postgres, lines))
    assert sorted_rows(dump(postgres)) == before


def test_damaged_dump_leaves_nothing(lines, postgres):
    for cut in (
        lines[:-1],
        lines[:-20],
        [*lines[:-1], lines[-1].replace(b'"sha256":"', b'"sha256":"0')],
    ):
        with pytest.raises((UnusableDump, StoreUnavailable)):
            asyncio.run(filled(postgres, cut))
    assert set(json.loads(dump(postgres)[-1])["counts"].values()) == {0}
    asyncio.run(filled(postgres, lines))


def test_migrate_says_from_where_to_where(postgres):
    before, after = asyncio.run(migrated(postgres))
    newest = max(migrations())
    assert after == newest
    assert before in (0, newest)  # databases of the tests are used again
    assert asyncio.run(migrated(postgres)) == (newest, newest)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE tasks SET ended_at = NULL WHERE state = 'succeeded'", "ended at no time"),
        ("INSERT INTO lanes VALUES ('x', 1, '2026', NULL, '2026')", "lane x is there and none"),
        ("DELETE FROM lanes", "is not there"),
        ("UPDATE lanes SET head = head + 1", "its oldest unfinished task is"),
        ("UPDATE lanes SET worker_id = NULL", "is held by nobody, its task by tester"),
        ("UPDATE streams SET live = live + 1", "counts "),
        ("UPDATE streams SET first_ordinal = 0", "spans 0 to"),
        ("DELETE FROM streams", "of no stream"),
        ("UPDATE task_counts SET live = live + 1 WHERE level = 12", "of level 12 counts"),
        ("DELETE FROM task_counts WHERE level = 6", "of level 6 counts 0 tasks"),
        ("UPDATE chains SET open = 0", "counts 0 unfinished tasks"),
        ("UPDATE chains SET hash = '\\x00'", "not as its events"),
        ("UPDATE events SET actor = 'mallory' WHERE sequence = 3", "event 3 of project"),
        ("UPDATE events SET to_state = 'lost' WHERE sequence = 3", "event 3 of project"),
        ("DELETE FROM tasks WHERE state = 'succeeded'", "which is not there"),
        ("UPDATE attempts SET ended_at = NULL", "has not ended, and the task is succeeded"),
        ("DELETE FROM projects", "a key is of project"),
    ],
)
def test_what_must_not_be_is_found(lines, postgres, statement, said):
    asyncio.run(filled(postgres, lines))
    name = urlsplit(postgres.database).path.removeprefix("/")
    DATABASES.cluster.sql(name, statement)
    found = problems(postgres)
    assert any(said in text for text in found), found


def test_commands_work_on_the_database_that_was_served(lines, postgres, tmp_path):
    asyncio.run(filled(postgres, lines))
    postgres.data.mkdir()
    at = ("--data", postgres.data)
    served = ServerFile("https://127.0.0.1:1", 1, postgres.database)
    (postgres.data / SERVER_FILE).write_bytes(msgspec.json.encode(served))
    assert command("db", "check", *at).stdout == "ok\n"
    assert command("db", "migrate", *at).stdout == f"schema {max(migrations())}, up to date\n"
    assert command("audit", "verify", *at).stdout.endswith(": ok\n")
    bundle, copy = tmp_path / "bundle", tmp_path / "copy"
    assert command("audit", "export", "--output", bundle, *at).exit_code == 0
    assert command("audit", "verify", bundle).exit_code == 0
    assert command("db", "export", "--output", copy, *at).exit_code == 0
    assert sorted_rows(copy.read_bytes().splitlines(keepends=True)) == sorted_rows(lines)
    url = ("--database", postgres.database, "--data", tmp_path / "other")
    assert "not empty" in command("db", "import", copy, *url).refusal


def test_server_that_is_away_is_named_without_a_password(tmp_path):
    url = "postgresql://someone:hush@127.0.0.1:1/none"
    for asked in (("check",), ("migrate",), ("export", "--output", tmp_path / "x")):
        result = command("db", *asked, "--database", url, "--data", tmp_path)
        assert result.exit_code == 1
        assert result.refusal
        assert "hush" not in result.refusal + result.output
