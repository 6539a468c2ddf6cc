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

    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("| ")]
    assert rows[0] == "| page | SQLite, ms | PostgreSQL, ms | kB |"
    assert len(rows) == 22
    assert "| - |" not in "".join(rows)
