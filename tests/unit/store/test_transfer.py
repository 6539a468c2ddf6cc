import asyncio
import json
import stat
from datetime import timedelta

import pytest
from tests.support.builders import NOW
from tests.support.filled import edit, everything, filled_world, resumed
from tests.support.world import MovableClock

from backroom.bootstrap import assemble
from backroom.database import exported, filled, filling, snapshot, wrong
from backroom.domain.errors import StoreUnavailable
from backroom.domain.ids import WorkerId
from backroom.domain.task import State
from backroom.engine.rescuer import LEASE_S, Rescuer
from backroom.settings import DATABASE_FILE, KEY_FILE, Settings
from backroom.store.transfer import NotEmpty, UnusableDump, dumped


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = filled_world(tmp_path_factory.mktemp("filled"))
    yield made
    made.close()


def at(folder):
    return Settings(data=folder)


def dump(folder):
    parts = []
    asyncio.run(exported(at(folder), NOW, parts.append, lambda _count: None))
    return b"".join(parts).splitlines(keepends=True)


@pytest.fixture(scope="module")
def lines(world):
    return dump(world.backroom.settings.data)


def test_import_gives_every_row_of_every_table_again(world, lines, tmp_path):
    counts = asyncio.run(filled(at(tmp_path), lines))
    source = everything(world.backroom.settings.data)
    assert everything(tmp_path) == source
    assert counts == {name: len(rows) for name, rows in source.items()}
    assert {name for name, rows in source.items() if not rows} <= {"receipts"}
    assert asyncio.run(wrong(at(tmp_path), quick=False, seen=lambda _count: None)) == []
    assert stat.S_IMODE((tmp_path / DATABASE_FILE).stat().st_mode) == 0o600


def test_export_of_an_import_is_the_same_again(lines, tmp_path):
    asyncio.run(filled(at(tmp_path), lines))
    assert dump(tmp_path) == lines


def test_import_keeps_what_text_and_bytes_can_hold(world, tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    asyncio.run(filled(at(first), dump(world.backroom.settings.data)))
    odd = "char(0) || '\"\\ 名 ☠' || char(10) || char(8232)"
    edit(first, f"UPDATE tasks SET reason = {odd}, error_msg = '', internal = x'00ff0a22'")  # noqa: S608  ours
    asyncio.run(filled(at(second), dump(first)))
    assert everything(second) == everything(first)
    assert any("\0" in str(row) or "☠" in str(row) for row in everything(second)["tasks"])


def test_dump_ends_with_what_is_in_it(world, lines):
    header, trailer = json.loads(lines[0]), json.loads(lines[-1])
    assert header["format"] == "backroom-dump/1"
    assert sum(trailer["counts"].values()) == sum(line.startswith(b"[") for line in lines)
    assert trailer["counts"]["tasks"] == 5


def test_secrets_stay_sealed_in_a_dump(world, lines):
    text = b"".join(lines).decode()
    assert world.key.secret_key not in text
    assert "Secret-of-reader-1" not in text
    assert "secret-of-" not in text


def test_tasks_in_flight_go_on_after_an_import(world, lines, tmp_path):
    """In another folder, so under another worker: it takes the running one after a lease."""
    asyncio.run(filled(at(tmp_path), lines))
    key = world.backroom.settings.data / KEY_FILE
    (tmp_path / KEY_FILE).write_bytes(key.read_bytes())
    clock = MovableClock(world.clock.now() + timedelta(hours=1))
    backroom = assemble(at(tmp_path), clock)
    rescuer = Rescuer(WorkerId("another"), backroom.around)
    (running,) = backroom.tasks._read("SELECT id FROM tasks WHERE state = 'running'").fetchone()
    with asyncio.Runner() as runner:
        while runner.run(rescuer.round()) == 0:
            clock.move(seconds=LEASE_S / 3)
        resumed(backroom, clock, runner).run_until_idle()
        assert runner.run(backroom.tasks.get(running)).state is State.SUCCEEDED
        states = backroom.tasks._read("SELECT DISTINCT state FROM tasks").fetchall()
    backroom.close()
    assert states == [("succeeded",)]
    assert asyncio.run(wrong(at(tmp_path), quick=False, seen=lambda _count: None)) == []


def test_export_is_of_one_moment_whatever_is_written_meanwhile(tmp_path):
    world = filled_world(tmp_path / "from")
    before = everything(tmp_path / "from")

    async def read():
        parts = []
        async with snapshot(at(tmp_path / "from")) as tables:
            async for part in dumped(tables, NOW):
                if len(parts) == 2:
                    await asyncio.to_thread(world.bind)
                parts.append(part)
        return b"".join(parts).splitlines(keepends=True)

    lines = asyncio.run(read())
    assert len(everything(tmp_path / "from")["tasks"]) == len(before["tasks"]) + 1
    asyncio.run(filled(at(tmp_path / "to"), lines))
    assert everything(tmp_path / "to") == before
    world.close()


def nothing_kept(folder):
    return not any(everything(folder).values())


def test_database_that_holds_anything_is_refused(lines, tmp_path):
    asyncio.run(filled(at(tmp_path), lines))
    before = everything(tmp_path)
    with pytest.raises(NotEmpty, match="not empty"):
        asyncio.run(filled(at(tmp_path), lines))
    assert everything(tmp_path) == before


def test_dump_cut_off_anywhere_leaves_nothing(lines, tmp_path):
    for kept in range(0, len(lines), 3):
        for cut in (lines[:kept], [*lines[:kept], lines[kept][:-5]]):
            with pytest.raises(UnusableDump):
                asyncio.run(filled(at(tmp_path), cut))
    assert nothing_kept(tmp_path)
    asyncio.run(filled(at(tmp_path), lines))


def find(lines, beginning):
    return next(place for place, line in enumerate(lines) if line.startswith(beginning))


def test_changed_dump_leaves_nothing(lines, tmp_path):
    for place, line in enumerate(lines[1:-1], start=1):
        changed = line.replace(b"2026", b"2027").replace(b'"id"', b'"ix"')
        if changed == line:
            continue
        with pytest.raises((UnusableDump, StoreUnavailable)):
            asyncio.run(filled(at(tmp_path), [*lines[:place], changed, *lines[place + 1 :]]))
    assert nothing_kept(tmp_path)


def test_dump_without_a_row_or_with_one_twice_leaves_nothing(lines, tmp_path):
    place = find(lines, b'{"table":"events"') + 1
    for wrong_lines in (
        [*lines[:place], *lines[place + 1 :]],
        [*lines[: place + 1], *lines[place:]],
    ):
        with pytest.raises((UnusableDump, StoreUnavailable)):
            asyncio.run(filled(at(tmp_path), wrong_lines))
    assert nothing_kept(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"backroom-dump/1"', b'"other/1"', "its format is other/1"),
        (b'"workers"', b'"strangers"', r"its tables \(strangers, workers\) are not those"),
        (b'["beat_at","text"]', b'["beat_at","integer"]', "its columns of workers are not"),
        (b'["beat_at","text"]', b'["beaten_at","text"]', "its columns of workers are not"),
        (b'"counts":{', b'"counts":{"more":1,', "another number of rows"),
    ],
)
def test_dump_that_does_not_fit_says_why(lines, tmp_path, old, new, said):
    text = b"".join(lines)
    assert old in text
    changed = text.replace(old, new).splitlines(keepends=True)
    with pytest.raises(UnusableDump, match=said):
        asyncio.run(filled(at(tmp_path), changed))
    assert nothing_kept(tmp_path)


def test_nothing_may_come_after_the_end(lines, tmp_path):
    with pytest.raises(UnusableDump, match="after the end"):
        asyncio.run(filled(at(tmp_path), [*lines, b"{}\n"]))


@pytest.mark.parametrize("lines", [[], [b"\n"], [b"\xff\n"], [b"{}"], [b"[1]"], [b"PK\x03\x04"]])
def test_noise_is_no_dump(tmp_path, lines):
    with pytest.raises(UnusableDump, match="line 1"):
        asyncio.run(filled(at(tmp_path), lines))


def test_filling_is_undone_when_it_is_broken_off(tmp_path):
    async def break_off():
        async with filling(at(tmp_path)) as tables:
            found = {table.name: table for table in await tables.tables()}
            await tables.insert(found["projects"], [("a" * 32, "here")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(break_off())
    assert nothing_kept(tmp_path)
