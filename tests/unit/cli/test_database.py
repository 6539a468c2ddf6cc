import fcntl
import json
import stat

import apsw
import pytest
from tests.support.commands import command
from tests.support.filled import edit, everything

from backroom.domain.errors import BackroomError
from backroom.settings import DATABASE_FILE, KEY_FILE, LOCK_FILE


@pytest.fixture
def dump(data, tmp_path):
    file = tmp_path / "dump.jsonl"
    assert command("db", "export", "--output", file, "--data", data).exit_code == 0
    return file


def test_export_and_import_carry_everything(data, dump, tmp_path):
    new = tmp_path / "new"
    result = command("db", "import", dump, "--data", new)
    rows = sum(len(rows) for rows in everything(data).values())
    assert result.stdout == f"{rows} rows, 5 tasks\n"
    assert KEY_FILE in result.stderr
    assert everything(new) == everything(data)
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert command("db", "check", "--data", new).stdout == "ok\n"


def test_import_says_nothing_of_a_key_that_is_there(dump, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / KEY_FILE).write_text("")
    assert command("db", "import", dump, "--data", tmp_path / "new").stderr == ""


def test_a_file_can_be_named_by_its_url(dump, data, tmp_path):
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    command("db", "import", dump, "--data", tmp_path / "new", "--database", url)
    result = command("db", "check", "--data", tmp_path / "new", "--database", url)
    assert result.stdout == "ok\n"
    assert not (tmp_path / "new" / DATABASE_FILE).exists()


def test_import_into_what_holds_anything_is_refused(data, dump):
    before = everything(data)
    result = command("db", "import", dump, "--data", data)
    assert (result.exit_code, "not empty" in result.refusal) == (1, True)
    assert everything(data) == before


@pytest.mark.parametrize(
    ("file", "locked"),
    [
        (None, f"new/{LOCK_FILE}"),
        (f"there/{DATABASE_FILE}", f"there/{LOCK_FILE}"),
        ("there/any.sqlite", f"there/any.sqlite.{LOCK_FILE}"),
    ],
)
def test_import_is_refused_while_a_server_runs(dump, tmp_path, file, locked):
    for folder in ("new", "there"):
        (tmp_path / folder).mkdir()
    chosen = [] if file is None else ["--database", f"sqlite:///{tmp_path / file}"]
    asked = ("db", "import", dump, "--data", tmp_path / "new", *chosen)
    with (tmp_path / locked).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process serves" in command(*asked).refusal
    assert command(*asked).exit_code == 0


def test_import_names_the_database_whose_folder_is_missing(dump, tmp_path):
    file = tmp_path / "nowhere" / "any.sqlite"
    asked = ("db", "import", dump, "--data", tmp_path, "--database", f"sqlite:///{file}")
    assert f"{file}: No such file or directory; choose another" in command(*asked).refusal


def test_damaged_dump_leaves_a_database_to_try_again_with(dump, tmp_path):
    new, broken = tmp_path / "new", tmp_path / "broken"
    broken.write_bytes(dump.read_bytes().replace(b"bindInstance", b"findInstance", 1))
    assert "SHA-256" in command("db", "import", broken, "--data", new).refusal
    assert not any(everything(new).values())
    assert command("db", "import", dump, "--data", new).exit_code == 0


def test_export_does_not_overwrite(data, dump):
    before = dump.read_bytes()
    assert "already" in command("db", "export", "--output", dump, "--data", data).refusal
    assert dump.read_bytes() == before


def test_migrate_says_from_where_to_where(data):
    assert command("db", "migrate", "--data", data).stdout == "schema 3, up to date\n"
    older = data / "older"
    older.mkdir()
    connection = apsw.Connection(str(older / DATABASE_FILE))
    connection.close()
    assert command("db", "migrate", "--data", older).stdout == "schema 0 -> 3\n"


def test_check_lists_what_is_wrong(data):
    assert command("db", "check", "--data", data).stdout == "ok\n"
    edit(data, "UPDATE chains SET open = 9", "UPDATE events SET actor = 'x' WHERE sequence = 2")
    result = command("db", "check", "--data", data)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    quick = command("db", "check", "--quick", "--json", "--data", data)
    document = json.loads(quick.stdout)
    assert (quick.exit_code, document["ok"], len(document["problems"])) == (1, False, 1)


@pytest.mark.parametrize("asked", [("check",), ("migrate",), ("export", "--output", "x")])
def test_folder_without_a_database_is_refused_and_left_alone(tmp_path, asked):
    result = command("db", *asked, "--data", tmp_path / "none")
    assert "there is no database" in result.refusal
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / DATABASE_FILE).write_bytes(b"nonsense" * 1000)
    found = command("db", "check", "--data", tmp_path)
    assert (found.exit_code, found.stdout.strip()) == (
        1, "database: NotADBError: file is not a database",
    )  # fmt: skip
    for asked in (("migrate",), ("export", "--output", tmp_path / "x")):
        result = command("db", *asked, "--data", tmp_path)
        assert isinstance(result.exception, BackroomError)
        assert "not a database" in result.refusal
