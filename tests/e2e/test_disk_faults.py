"""The disk is full or read-only, files are not what was written: told plainly, nothing lost."""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.binding_client import BindingClient
from tests.support.histories import read_past, violations
from tests.support.processes import backroom, serving
from tests.support.waiting import wait_until

from backroom.settings import DATABASE_FILE, KEY_FILE, TLS_FOLDER, WORKER_FILE

pytestmark = pytest.mark.slow

SIZE_MB = 6


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(["-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0777", "tmpfs"], folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def mounted(how, folder):
    done = subprocess.run(["mount", *how, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no right to mount: run as root with CAP_SYS_ADMIN ({done.stderr.strip()})")


class Filled:
    """Not a byte is left, until `free`."""

    def __init__(self, served):
        self._file = served.data / "filler"
        with self._file.open("wb", buffering=0) as file:
            for part in (b"x" * 65_536, b"x"):
                while is_written(file, part):
                    pass

    def free(self):
        self._file.unlink()


def is_written(file, part):
    try:
        file.write(part)
    except OSError as error:
        return error.errno != errno.ENOSPC
    return True


class Limited:
    """The server may write into no file at all, until `free`."""

    def __init__(self, served):
        self._pid = served.process.pid
        self._set(0)

    def free(self):
        self._set(resource.RLIM_INFINITY)

    def _set(self, limit):
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def survives(data, how):
    """Tasks under way wait for room, reads go on, writes are refused, and then all goes on."""
    with serving(data, "--http") as served, closing(BindingClient(served)) as client:
        assert [client.bind() for _ in range(3)] == [204] * 3
        no_room = how(served)
        refused = [client.bind() for _ in range(5)]
        assert 503 in refused
        assert [client.bind() for _ in range(3)] == [503] * 3
        before = client.tasks()
        assert len(before) == len(client.acknowledged)
        assert "FAILED" not in before
        assert served.process.poll() is None
        no_room.free()
        wait_until(lambda: client.bind() == 204)
        wait_until(lambda: set(client.tasks()) == {"SUCCESS"})
        assert len(client.tasks()) == len(client.acknowledged)
        assert served.stop() == 0
    assert backroom("db", "check", "--data", str(data)).stdout == "ok\n"
    with closing(sqlite3.connect(data / DATABASE_FILE)) as database:
        past = read_past(database.execute)
    assert violations(past, client.acknowledged) == []
    assert {event.verb for event in past.events} == {"submit", "claim", "record", "complete"}


@pytest.mark.timeout(120)
def test_full_disk_pauses_tasks_and_refuses_writes_until_there_is_room(small_disk):
    survives(small_disk / "data", Filled)


@pytest.mark.timeout(120)
def test_files_that_can_not_be_written_pause_tasks_until_they_can(tmp_path):
    survives(tmp_path / "data", Limited)


# a start on what can't be used


def refused(data, *arguments):
    """What `serve` says when it refuses, in one line and without a trace."""
    done = backroom("serve", "--port", "0", "--data", str(data), *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("backroom: ")
    return line.removeprefix("backroom: ")


def test_read_only_data_folder_is_told_at_the_start(small_disk):
    data = small_disk / "data"
    with serving(data, "--http") as served:
        served.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert refused(data) == f"{data}: Read-only file system; choose another --data"
    assert backroom("db", "check", "--data", str(data)).returncode == 0


def test_disk_without_room_is_told_at_the_first_start(small_disk):
    (small_disk / "filler").write_bytes(b"x" * 1024)
    with (small_disk / "filler").open("ab", buffering=0) as file:
        while file.tell() < SIZE_MB * 2**20 - 8192:
            file.write(b"x" * 4096)
    assert refused(small_disk / "data", "--http")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data folder that was served, with a task."""
    data = tmp_path_factory.mktemp("whole") / "data"
    with serving(data) as served:
        assert served.stop() == 0
    return data


@pytest.fixture
def data(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "data")


def overwritten(at, count):
    def damage(file):
        size = file.stat().st_size
        start = int(size * at) // 4096 * 4096
        with file.open("r+b") as opened:
            opened.seek(start)
            opened.write(b"\x5a" * (count or size - start))

    return damage


DAMAGES = {
    "head": overwritten(0, 100),
    "first page": overwritten(0, 4096),
    "middle": overwritten(0.5, 4096),
    "a third": overwritten(0.33, 3 * 4096),
    "to the end": overwritten(0.2, None),
    "half of it": lambda file: os.truncate(file, file.stat().st_size // 2),
    "a part of its head": lambda file: os.truncate(file, 100),
    "the last bytes": lambda file: os.truncate(file, file.stat().st_size - 1000),
    "text": lambda file: file.write_text("hello\n" * 10_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_database_is_refused_and_found_by_a_check(data, damage):
    database = data / DATABASE_FILE
    DAMAGES[damage](database)
    kept = database.read_bytes()
    said = refused(data)
    assert said.startswith(f"{database} is damaged (")
    assert said.endswith("look at all of it: backroom db check")
    found = backroom("db", "check", "--data", str(data))
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout.startswith("database: ")
    as_json = json.loads(backroom("db", "check", "--json", "--data", str(data)).stdout)
    assert as_json["ok"] is False
    assert database.read_bytes() == kept


def test_database_that_was_emptied_is_not_begun_anew(data):
    os.truncate(data / DATABASE_FILE, 0)
    assert "is empty, and was not before" in refused(data)


@pytest.mark.parametrize("side", ["-wal", "-shm"])
def test_garbage_in_a_side_file_is_no_part_of_the_database(data, side):
    (data / f"{DATABASE_FILE}{side}").write_bytes(b"\x5a" * 50_000)
    with serving(data) as served:
        assert served.stop() == 0
    assert backroom("db", "check", "--data", str(data)).stdout == "ok\n"


def test_key_that_is_gone_is_not_made_anew(data):
    (data / KEY_FILE).unlink()
    assert f"{KEY_FILE} is gone, which opens the secrets; put it back" in refused(data)
    assert not (data / KEY_FILE).exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (KEY_FILE, "holds no key; put the right one back"),
        (WORKER_FILE, "holds no name; delete it"),
        (f"{TLS_FOLDER}/server.pem", "can't be used; put good ones there"),
        (f"{TLS_FOLDER}/server.key", "can't be used; put good ones there"),
    ],
)
def test_file_with_garbage_is_told_by_its_name(data, name, words):
    (data / name).write_bytes(b"\xff\xfe\x00garbage")
    said = refused(data)
    assert words in said
    assert str(data / Path(name).parent) in said


@pytest.mark.parametrize("name", ["shared.sqlite", DATABASE_FILE])
def test_second_process_on_the_same_file_is_refused(tmp_path, name):
    """Also under another name, or in the folder of the first."""
    file, other = tmp_path / "one" / name, tmp_path / "two"
    link = tmp_path / "link.sqlite"
    link.symlink_to(file)
    chosen = [] if name == DATABASE_FILE else ["--database", f"sqlite:///{file}"]
    with serving(tmp_path / "one", *chosen) as served:
        for path in (file, link):
            assert refused(other, "--database", f"sqlite:///{path}") == (
                f"another process serves {path}; stop it, or choose another --database"
            )
        assert not (other / KEY_FILE).exists()
        assert served.stop() == 0
    with serving(other, "--database", f"sqlite:///{tmp_path / 'new.sqlite'}") as served:
        assert served.stop() == 0


def test_second_process_on_the_same_folder_is_refused(data):
    with serving(data) as served:
        assert refused(data) == (
            f"another process serves {data}; stop it, or choose another folder with --data"
        )
        assert served.process.poll() is None
        assert served.stop() == 0
