import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import NOW, PROJECT, instance_id, make_task

from backroom.domain import lifecycle
from backroom.domain.filter import Page, TaskFilter
from backroom.store import ordering
from backroom.store.connection import MEMORY, connect, migrate
from backroom.store.ordering import BASE_SHIFT, CountedKeys, Stream, count
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.writer import Writer

STREAM = 1


@pytest.fixture
def connection():
    opened = connect(MEMORY)
    migrate(opened)
    return opened


def fill(connection, keys, stream=STREAM, last=0):
    """Puts bare rows at these ordinals, as far apart as a test likes."""
    for ordinal in keys:
        key = (stream << BASE_SHIFT) + ordinal
        connection.execute(
            "INSERT INTO tasks (key, id, project_id, instance_id, kind, name, user_id, user_name,"
            " params, state, created_at, updated_at, lane, version, epoch, attempt, internal)"
            " VALUES (?1, ?1, '', '', '', '', '', '', '', 'waiting', '', '', '', 1, 0, 0, x'')",
            (key,),
        )
        count(connection, key, 1)
    return CountedKeys(connection, Stream(stream, 1, max([last, *keys]), len(keys)))


def check_agreement(counted, ordinals, stream=STREAM):
    base = stream << BASE_SHIFT
    ordered = sorted(ordinals)
    for rank, ordinal in enumerate(ordered):
        assert counted.select(rank) == base + ordinal
        assert counted.rank(base + ordinal) == rank
        assert counted.rank(base + ordinal + 1) == rank + 1
    assert counted.rank(base) == 0
    assert counted.rank(base + (1 << BASE_SHIFT)) == len(ordered)
    assert counted.rank(base + (2 << BASE_SHIFT)) == len(ordered)


@pytest.mark.parametrize("edge", [1 << 6, 1 << 12, 1 << 18, 3 << 18, (1 << 36) - 2])
@pytest.mark.parametrize("deleted", [0, 1, 70, 5_000])
def test_rank_and_select_agree_at_the_edge_of_a_block(connection, edge, deleted):
    """Also where so many of the newest were deleted."""
    ordinals = {1, edge - 2, edge - 1, edge, edge + 1}
    last = min(edge + 1 + deleted, (1 << 36) - 1)
    counted = fill(connection, ordinals, last=last)
    fill(connection, ordinals, STREAM + 1)
    fill(connection, {(1 << 36) - 1, 1}, STREAM - 1)
    check_agreement(counted, ordinals)
    other = CountedKeys(connection, Stream(STREAM + 1, 1, max(ordinals), len(ordinals)))
    check_agreement(other, ordinals, STREAM + 1)


def test_rank_and_select_agree_with_a_sorted_list():
    levels = ordering.LEVELS
    ordering.LEVELS = (1, 2, 4)  # blocks of 2, 4 and 16 keys: many edges in a short list
    try:
        _agrees()
    finally:
        ordering.LEVELS = levels


@settings(max_examples=80, deadline=None)
@given(
    ordinals=st.sets(st.integers(1, 90), max_size=60),
    gone=st.sets(st.integers(1, 90), max_size=40),
)
def _agrees(ordinals, gone):
    opened = connect(MEMORY)
    migrate(opened)
    fill(opened, ordinals)
    for ordinal in ordinals & gone:
        key = (STREAM << BASE_SHIFT) + ordinal
        opened.execute("DELETE FROM tasks WHERE key = ?", (key,))
        count(opened, key, -1)
    left = ordinals - gone
    check_agreement(
        CountedKeys(opened, Stream(STREAM, 1, max(ordinals, default=0), len(left))), left
    )
    opened.close()


@pytest.mark.parametrize("edge", [1 << 12, 1 << 18])
def test_list_goes_on_over_the_edge_of_a_big_block(connection, edge):
    tasks = SqliteTaskStore(connection, Writer(connection, on_thread=False), lambda: None)
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id(1))

    async def add(count):
        made = [make_task(1, NOW) for _ in range(count)]
        await tasks.write(*map(lifecycle.submit, made))
        return [task.id for task in made]

    async def compare():
        first = await add(3)
        connection.execute("UPDATE streams SET last_ordinal = ?", (edge - 5,))  # as if all went
        every = (first + await add(8))[::-1]
        for skip in range(12):
            page = await tasks.find(wanted, Page(skip, 4))
            assert [one.id for one in page.tasks] == every[skip : skip + 4]
            assert page.total == 11

    asyncio.run(compare())
