import asyncio
import stat

import apsw
import pytest

from backroom.domain.errors import StoreUnavailable
from backroom.store import connection as module
from backroom.store.connection import MEMORY, connect, migrate, migrations, reading
from backroom.store.queries import load
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.vault import FileVault
from backroom.store.writer import Writer


def test_migrations_bring_an_empty_database_up_to_date_once(tmp_path):
    path = tmp_path / "m.sqlite"
    for _ in range(2):
        opened = connect(path)
        migrate(opened)
        assert opened.pragma("user_version") == len(migrations())
        opened.close()


def test_database_of_a_newer_release_is_refused(tmp_path):
    opened = connect(MEMORY)
    migrate(opened)
    opened.pragma("user_version", len(migrations()) + 1)
    with pytest.raises(StoreUnavailable, match="this release knows only"):
        migrate(opened)


def test_half_a_migration_is_undone_when_it_fails(monkeypatch):
    opened = connect(MEMORY)
    broken = ["CREATE TABLE a (n); CREATE TABLE a (n)"]
    monkeypatch.setattr(module, "migrations", lambda: broken)
    with pytest.raises(StoreUnavailable):
        migrate(opened)
    assert opened.pragma("user_version") == 0
    assert opened.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_connect_is_refused_when_there_is_no_such_folder(tmp_path):
    with pytest.raises(StoreUnavailable, match="CantOpen"):
        connect(tmp_path / "missing" / "m.sqlite")


def test_new_file_is_opened_although_another_process_is_making_it(tmp_path, monkeypatch):
    path = tmp_path / "m.sqlite"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE made (n)")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(module, "sleep", lambda _s: other.execute("ROLLBACK"))
    assert connect(path).pragma("journal_mode") == "wal"


def test_connect_is_refused_when_another_process_never_lets_go(tmp_path, monkeypatch):
    path = tmp_path / "m.sqlite"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE made (n)")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 0)
    with pytest.raises(StoreUnavailable, match="locked"):
        connect(path)


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
def test_file_is_in_wal_mode_and_as_durable_as_asked(tmp_path, durable, level):
    opened = connect(tmp_path / "m.sqlite", durable=durable)
    assert opened.pragma("journal_mode") == "wal"
    assert opened.pragma("synchronous") == level
    opened.close()


def test_read_is_refused_in_our_words_when_the_database_fails():
    opened = connect(MEMORY)
    read = reading(opened)
    assert read("SELECT ?", (7,)).fetchone() == (7,)
    with pytest.raises(StoreUnavailable, match="no such table"):
        read("SELECT 1 FROM nowhere WHERE secret = ?", ("hidden",))


async def test_store_is_unavailable_when_its_connection_is_gone():
    opened = connect(MEMORY)
    migrate(opened)
    tasks = SqliteTaskStore(opened, Writer(opened, on_thread=False), lambda: None)
    opened.close()
    with pytest.raises(StoreUnavailable):
        await tasks.next_due()
    asked = [asyncio.ensure_future(tasks.record("t" * 32)) for _ in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    _, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in others] == [StoreUnavailable] * 2


def test_sql_is_loaded_by_name():
    sql = load("tasks")
    assert sql.records.lstrip().startswith("--")
    assert "WHERE id IN (?)" in sql.records
    assert "-- task --" not in sql.records


@pytest.mark.parametrize("name", ["tasks", "instances", "accounts"])
def test_every_statement_fits_the_schema(name):
    opened = connect(MEMORY)
    migrate(opened)
    for block, text in vars(load(name)).items():
        try:
            opened.execute(f"EXPLAIN {text}", [None] * 40, can_cache=False)
        except apsw.BindingsError:
            continue  # it was understood; only the number of values differs
        except TypeError:
            continue  # named values
        except apsw.Error as error:
            pytest.fail(f"{block}: {error}")


@pytest.mark.parametrize(
    ("block", "bindings", "plan"),
    [
        ("records", ("t",), "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1"),
        ("page", (0, 1, 1), "SEARCH tasks USING INTEGER PRIMARY KEY"),
        ("dense_page", (None,) * 7, "SEARCH tasks USING INTEGER PRIMARY KEY"),
        ("first_from", (1, "2"), "SEARCH tasks USING COVERING INDEX tasks_by_time"),
        ("last_to", (1, "2"), "SEARCH tasks USING COVERING INDEX tasks_by_time"),
        ("next_in_lane", ("l",), "SEARCH tasks USING INDEX tasks_waiting"),
        (
            "any_ready",
            {"now": "2", "most": 1, "is_any": True},
            "SEARCH lanes USING INDEX lanes_turn",
        ),
        ("ready_heads", ("2", 1), "SEARCH l USING INDEX lanes_turn"),
        ("next_ready", (), "SCAN lanes USING INDEX lanes_ready"),
        ("held", ("w",), "SEARCH tasks USING INDEX tasks_running"),
    ],
)
@pytest.mark.rule(2)
def test_plan_does_not_grow_with_the_number_of_tasks(block, bindings, plan):
    opened = connect(MEMORY)
    migrate(opened)
    text = getattr(load("tasks"), block)
    steps = [row[3] for row in opened.execute(f"EXPLAIN QUERY PLAN {text}", bindings)]
    assert any(step.startswith(plan) for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert not any(step.startswith(("SCAN tasks", "SCAN t ")) for step in steps), steps


def test_no_statement_is_planned_anew_for_other_values():
    opened = connect(MEMORY)
    migrate(opened)
    planned = []
    opened.trace_v2(
        apsw.SQLITE_TRACE_PROFILE,
        lambda event: planned.append(event["stmt_status"]["SQLITE_STMTSTATUS_REPREPARE"]),
    )
    for limit in (1, 2, 1):
        opened.execute(load("tasks").page, (0, limit, limit)).fetchall()
    assert planned == [0, 0, 0]


def test_vault_seals_and_unseals_under_its_key_file(tmp_path):
    path = tmp_path / "secret.key"
    sealed = FileVault(path).seal(b"hush")
    assert b"hush" not in sealed
    assert FileVault(path).unseal(sealed) == b"hush"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_vault_refuses_what_another_key_sealed(tmp_path):
    sealed = FileVault(tmp_path / "one.key").seal(b"hush")
    other = FileVault(tmp_path / "other.key")
    with pytest.raises(StoreUnavailable, match="is gone"):
        other.unseal(sealed)
    assert not (tmp_path / "other.key").exists()
    other.seal(b"mine")
    with pytest.raises(StoreUnavailable, match="another key"):
        other.unseal(sealed)
