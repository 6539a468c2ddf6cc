"""What the only connection of a database keeps of what it read."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import apsw
import pytest

from backroom.domain.errors import StoreUnavailable
from backroom.store import connection as module
from backroom.store.connection import reading_one

ONE = "SELECT value FROM things WHERE name = ?"


class Database:
    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.seen: list[str] = []
        connection.execute("CREATE TABLE things (name, value)")
        connection.execute("INSERT INTO things VALUES ('a', 1)")
        connection.exec_trace = self._note

    def _note(self, _cursor: Any, statement: str, _bindings: Any) -> bool:
        self.seen.append(statement)
        return True


@pytest.fixture
def database() -> Iterator[Database]:
    with closing(apsw.Connection(":memory:")) as connection:
        yield Database(connection)


def test_row_is_read_once_while_nothing_is_written(database: Database) -> None:
    read = reading_one(database.connection, is_alone=True)

    assert [read(ONE, ("a",)) for _ in range(3)] == [(1,)] * 3
    assert read(ONE, ("b",)) is None
    assert read(ONE, ("b",)) is None
    assert len(database.seen) == 2


@pytest.mark.parametrize(
    "change",
    ["UPDATE things SET value = 2", "DELETE FROM things", "INSERT INTO things VALUES ('b', 2)"],
)
def test_row_is_read_anew_when_something_was_written(database: Database, change: str) -> None:
    read = reading_one(database.connection, is_alone=True)
    read(ONE, ("a",))
    read(ONE, ("b",))

    database.connection.execute(change)

    fresh = reading_one(database.connection)
    assert [read(ONE, (name,)) for name in "ab"] == [fresh(ONE, (name,)) for name in "ab"]


def test_row_is_read_anew_when_what_was_written_is_undone(database: Database) -> None:
    read = reading_one(database.connection, is_alone=True)
    database.connection.execute("BEGIN")
    database.connection.execute("UPDATE things SET value = 2")
    database.connection.execute("ROLLBACK")

    assert read(ONE, ("a",)) == (1,)


def test_row_is_read_each_time_when_others_may_write(database: Database) -> None:
    read = reading_one(database.connection)

    assert [read(ONE, ("a",)) for _ in range(3)] == [(1,)] * 3
    assert len(database.seen) == 3


def test_rows_kept_are_bounded_when_many_are_asked_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_KEPT_MOST", 2)
    read = reading_one(database.connection, is_alone=True)
    for name in ("a", "b", "c", "a"):
        read(ONE, (name,))

    assert len(database.seen) == 4


def test_error_is_translated_when_the_connection_is_closed(database: Database) -> None:
    read = reading_one(database.connection, is_alone=True)
    database.connection.close()

    with pytest.raises(StoreUnavailable):
        read(ONE, ("a",))
