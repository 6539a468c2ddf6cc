import json
import shutil
import stat

import apsw
import pytest
from tests.support.commands import command
from tests.support.filled import edit, everything

from backroom.cli import progress as progress_module
from backroom.cli.progress import progress
from backroom.settings import DATABASE_FILE


@pytest.fixture
def project(data):
    return everything(data)["projects"][0][0]


def test_chains_of_the_store_are_whole(data, project):
    result = command("audit", "verify", "--data", data)
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{project}: 9 events, 1 to 9, 2026-03-04T05:06:07.008Z to 2026-")
    assert line.endswith(": ok")


def test_verify_changes_nothing(data):
    before = everything(data)
    kept = {path.name for path in data.iterdir()}
    command("audit", "verify", "--data", data)
    assert everything(data) == before
    assert {path.name for path in data.iterdir()} - kept <= {
        f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"
    }  # fmt: skip


def test_broken_event_is_shown_with_what_differs(data):
    edit(data, "UPDATE events SET actor = 'mallory' WHERE sequence = 3")
    result = command("audit", "verify", "--data", data)
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert "2 events, 1 to 2" in first
    assert "BROKEN: event 3: hash is " in first
    assert "its content and what is before it give" in first
    assert " by mallory, task " in second


def test_verify_as_json_is_one_document(data, project):
    edit(data, "UPDATE events SET actor = 'mallory' WHERE sequence = 3")
    result = command("audit", "verify", "--json", "--data", data)
    document = json.loads(result.stdout)
    (found,) = document["results"]
    assert (result.exit_code, document["ok"], found["ok"]) == (1, False, False)
    assert (found["project_id"], found["events"]) == (project, 2)
    assert found["broken_event"]["actor"] == "mallory"


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM chains",),
        ("DELETE FROM chains", "DELETE FROM projects"),
        ("DELETE FROM events WHERE sequence > 5",),
        ("DELETE FROM events",),
        ("UPDATE events SET to_state = 'lost' WHERE sequence = 4",),
        ("UPDATE events SET at = 'never' WHERE sequence = 1",),
    ],
)
def test_whatever_was_done_to_the_database_is_found(data, statements):
    edit(data, *statements)
    result = command("audit", "verify", "--data", data)
    assert (result.exit_code, "BROKEN" in result.stdout) == (1, True)


def test_one_project_can_be_chosen(data, project):
    assert command("audit", "verify", "--project", project, "--data", data).exit_code == 0
    refused = command("audit", "verify", "--project", "p", "--data", data)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.refusal == f"there is no project p; there are {project}"


@pytest.fixture
def bundle(data, tmp_path):
    file = tmp_path / "bundle.jsonl"
    assert command("audit", "export", "--data", data, "--output", file).exit_code == 0
    return file


def test_bundle_is_checked_with_nothing_else(data, bundle, project, tmp_path):
    shutil.rmtree(data)
    result = command("audit", "verify", bundle, BACKROOM_DATA=str(tmp_path / "none"))
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{bundle}: {project}: 9 events, 1 to 9, ")
    assert second.startswith("  signed by SHA256:")
    assert "compare it" in second
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600


def test_export_without_output_is_the_same_on_standard_output(data, bundle):
    printed = command("audit", "export", "--data", data)
    header, *rest = printed.stdout_bytes.splitlines(keepends=True)
    assert rest[:-1] == bundle.read_bytes().splitlines(keepends=True)[1:-1]
    assert json.loads(header)["before"]["sequence"] == 0


def test_signer_can_be_pinned(data, bundle, tmp_path):
    key, other = tmp_path / "key.pem", tmp_path / "other.pem"
    key.write_text(command("audit", "key", "--data", data).stdout)
    (data / "audit.key").unlink()
    other.write_text(command("audit", "key", "--data", data).stdout)
    pinned = command("audit", "verify", bundle, "--public-key", key)
    assert pinned.exit_code == 0
    assert "(as given)" in pinned.stdout
    stranger = command("audit", "verify", bundle, "--public-key", other)
    assert stranger.exit_code == 1
    assert "not by the key that was given" in stranger.stdout


def test_changed_bundle_is_named(bundle):
    bundle.write_bytes(bundle.read_bytes().replace(b'"claim"', b'"clain"', 1))
    result = command("audit", "verify", bundle)
    assert result.exit_code == 1
    assert "BROKEN: event 2: hash is " in result.stdout


def test_bundles_in_their_order_join(data, tmp_path):
    files = [tmp_path / name for name in ("1", "2", "3")]
    moments = [None, "2026-03-04T05:06:08Z", "2026-03-04T06:06:08.500+01:00", None]
    for file, begin, end in zip(files, moments, moments[1:], strict=False):
        period = [*(("--from", begin) if begin else ()), *(("--to", end) if end else ())]
        command("audit", "export", "--data", data, *period, "--output", file)
    assert command("audit", "verify", *files).exit_code == 0
    counts = [len(file.read_bytes().splitlines()) - 2 for file in files]
    assert sum(counts) == 9
    assert min(counts) > 0
    gap = command("audit", "verify", files[0], files[2])
    assert gap.exit_code == 1
    assert "the file before ends at" in gap.stdout
    found = json.loads(command("audit", "verify", "--json", files[1], files[0]).stdout)
    assert [result["ok"] for result in found["results"]] == [True, False]


def test_period_without_events_is_a_valid_bundle(data, tmp_path):
    file = tmp_path / "empty"
    asked = ("--from", "2020-01-01", "--to", "2020-01-02", "--output", file)
    assert command("audit", "export", "--data", data, *asked).exit_code == 0
    result = command("audit", "verify", file)
    assert (result.exit_code, "no events: ok" in result.stdout) == (0, True)


def test_what_is_no_bundle_is_said_and_the_others_are_checked(bundle, tmp_path):
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe\n")
    result = command("audit", "verify", noise, bundle)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith(f"{noise}: BROKEN: line 1: ")
    assert ": ok" in result.stdout.splitlines()[1]


def test_broken_chain_is_not_exported(data, tmp_path):
    edit(data, "UPDATE events SET actor = 'mallory' WHERE sequence = 3")
    file = tmp_path / "bundle"
    result = command("audit", "export", "--data", data, "--output", file)
    assert "event 3: hash is" in result.refusal
    assert list(tmp_path.iterdir()) == [data]


def test_file_that_is_there_is_not_overwritten(data, bundle):
    before = bundle.read_bytes()
    result = command("audit", "export", "--data", data, "--output", bundle)
    assert "is there already" in result.refusal
    assert bundle.read_bytes() == before
    assert [path.name for path in bundle.parent.iterdir() if "new" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "--from", "yesterday"), "is no time like"),
        (("export", "--to", "2026-13-01"), "is no time like"),
        (("export", "--from", "0001-01-01T00:00+14:00"), "is no time like"),
        (("export", "--from", "2026-03-02", "--to", "2026-03-01"), "is before --from"),
        (("verify", "--public-key", __file__), "goes with FILE only"),
        (("verify", "/no/such/file"), "does not exist"),
    ],
)
def test_wrong_use_is_named(data, arguments, said):
    result = command("audit", *arguments, "--data", data)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize("asked", [("verify",), ("export",), ("key",)])
def test_folder_without_a_database_is_refused_and_left_alone(tmp_path, asked):
    result = command("audit", *asked, "--data", tmp_path / "none")
    assert "there is no database" in result.refusal
    assert list(tmp_path.iterdir()) == []


def test_database_of_another_schema_says_what_to_run(data):
    edit_schema(data, 1)
    assert "run: backroom db migrate" in command("audit", "verify", "--data", data).refusal


def edit_schema(data, number):
    connection = apsw.Connection(str(data / DATABASE_FILE))
    connection.pragma("user_version", number)
    connection.close()


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys):
    with progress("events", 10) as seen:
        seen(5)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress_module.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")  # a dumb one shows no bar
    with progress("events", 10) as seen:
        seen(5)
    out, err = capsys.readouterr()
    assert out == ""
    assert "events" in err
