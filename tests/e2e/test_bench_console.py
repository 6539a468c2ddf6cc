"""The benchmark of the console's pages runs to its end, with few tasks."""

import sys

import pytest
from bench import console
from tests.support.postgres_server import MISSING, binaries

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.mark.timeout(120)
@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_every_page_is_told_on_each_database(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", "--small", "--rounds", "1"])
    monkeypatch.setattr(console, "SMALL", 2_000)
    monkeypatch.setattr(console, "BOUND_MS", 10_000.0)

    console.main()

    told = capsys.readouterr().out
    rows = [row for row in told.splitlines() if row.startswith("| ")]
    assert rows[0] == "| page | SQLite, ms | PostgreSQL, ms | kB |"
    assert len(rows) == 22
    assert "| - |" not in "".join(rows)
    assert "a single sample" in told
    assert "`fsync=off`" in told


@pytest.mark.timeout(120)
@pytest.mark.skipif(binaries() is None, reason=MISSING)
def test_each_database_shows_the_same_number_of_waiting_tasks(monkeypatch):
    shown = []

    def measure(person, target, _rounds):
        page = person.get(target)
        if "state=waiting" in target:
            shown.append(page.attributes.count(("td", {"class": "main"})))
        return console.Measured(1.0, 1.0, len(page.body))

    monkeypatch.setattr(console, "measure", measure)
    console.on_sqlite(200, 1)
    console.on_postgres(200, 1)
    assert shown == [console.WAITING] * 2
