"""What each statement of the figures reads: never all tasks of a project."""

import apsw
import pytest

from backroom.store.connection import migrate
from backroom.store.queries import load

FIGURES, FINDER = load("figures"), load("finder")


@pytest.fixture(scope="module")
def connection():
    opened = apsw.Connection(":memory:")
    migrate(opened)
    yield opened
    opened.close()


def plan(connection, statement):
    names = ("project_id", "instance_id", "kinds", "states", "names", "user", "text", "at", "key")
    more = ("created_from", "most", "name", "since", "until")
    given = {name: None for name in (*names, *more) if f":{name}" in statement}
    return [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, given)]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("outcomes", "tasks_ended (ended_at>? AND ended_at<?)"),
        ("spans", "tasks_succeeded (name=?)"),
        ("workers", "tasks_running (worker_id=?)"),
        ("queues", "INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_an_overview_reads_the_narrowest_range(connection, name, index):
    of_tasks = [
        line for line in plan(connection, getattr(FIGURES, name))
        if " t " in f"{line} " or "tasks" in line
    ]  # fmt: skip
    assert of_tasks
    assert all(index in line for line in of_tasks), of_tasks


@pytest.mark.parametrize("name", ["counted", "counted_by_index"])
@pytest.mark.parametrize(
    ("range_of", "index"),
    [
        ("of_project", "COVERING INDEX tasks_by_project "),
        ("of_project_open", "INDEX tasks_open "),
        ("of_project_unwell", "INDEX tasks_unwell "),
        ("of_instance", "COVERING INDEX tasks_by_instance "),
    ],
)
def test_a_count_reads_the_narrowest_range(connection, name, range_of, index):
    statement = getattr(FIGURES, name).replace("{range}", getattr(FINDER, range_of))
    assert any(index in line for line in plan(connection, statement))


def test_ends_are_a_range_of_the_journal_and_a_look_up_each(connection):
    statement = load("journal").ends
    lines = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", ("", 0, 1))]
    tables = [line for line in lines if line.startswith(("SCAN", "SEARCH"))]
    assert any("events_by_sequence (project_id=? AND sequence>? AND sequence<?)" in line
               for line in tables), tables  # fmt: skip
    assert all(line.startswith("SEARCH") or "SCAN (subquery" in line for line in tables), tables
