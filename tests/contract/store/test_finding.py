import asyncio
import itertools
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import NOW, OTHER_PROJECT, PROJECT, after, make_task
from tests.support.promises import promised

from backroom.domain import lifecycle
from backroom.domain.filter import Page, TaskFilter
from backroom.domain.ids import new_instance_id
from backroom.domain.task import Kind, TaskRecord
from backroom.ports import TaskStore

BLOCK, BIG_BLOCK = 64, 4_096  # how many keys SQLite's store counts together


def task_on(instance_id, at, kind=Kind.BACKGROUND, project_id=PROJECT):
    return make_task(1, at, instance_id=instance_id, kind=kind, project_id=project_id, lane="l")


async def add(tasks, instance_id, moments, **given):
    """In one write; returns what must be shown, oldest first."""
    made = [task_on(instance_id, at, **given) for at in moments]
    await tasks.write(*map(lifecycle.submit, made))
    return made


async def delete(tasks, task_ids):
    changes = []
    for task_id in task_ids:
        ended = lifecycle.cancel(await tasks.get(task_id), NOW, "tester")
        changes += [ended, lifecycle.delete(ended.task, NOW, "tester")]
    await tasks.write(*changes)


async def all_pages(tasks, wanted, limit):
    joined, totals, skip = [], set(), 0
    while True:
        page = await tasks.find(wanted, Page(skip, limit))
        totals.add(page.total)
        if not page.tasks:
            return joined, totals
        assert len(page.tasks) <= limit
        joined += page.tasks
        skip += limit


@promised(TaskStore.find, "A page, newest first, and the exact total")
def test_find_agrees_with_a_plain_list_after_any_history(database):
    tasks = database.open().tasks
    steps = st.one_of(
        st.tuples(st.just("add"), st.integers(1, 150), st.integers(0, 3)),  # so many, ms apart
        st.tuples(st.just("delete"), st.integers(0, 300), st.integers(1, 7)),  # from, each n-th
        st.tuples(st.just("jump"), st.integers(-9, 9), st.none()),
    )
    moments = st.none() | st.integers(-9, 700)

    with asyncio.Runner() as runner:

        @settings(max_examples=50, deadline=None)
        @given(
            history=st.lists(steps, min_size=1, max_size=8),
            bounds=st.lists(st.tuples(moments, moments), min_size=1, max_size=4),
            limit=st.integers(7, 200),
            skips=st.lists(st.integers(0, 400), max_size=4),
        )
        def check(history, bounds, limit, skips):
            runner.run(_compare(tasks, history, bounds, limit, skips))

        check()


async def _live(tasks, instance_id, history):
    """Do all of it; returns (id, ms) of what is left, in the order submitted."""
    now, newest, model = 0, -1_000, []
    for what, amount, each in history:
        if what == "jump":
            now += amount
        elif what == "add":
            moments = [now + n * each for n in range(amount)]
            now = moments[-1]
            made = await add(
                tasks, instance_id, [NOW + timedelta(milliseconds=ms) for ms in moments]
            )
            for task, ms in zip(made, moments, strict=True):
                newest = max(ms, newest)
                model.append((task.id, newest))
        else:
            await delete(tasks, [one for one, _ in model[amount::each]])
            del model[amount::each]
    return model


async def _compare(tasks, history, bounds, limit, skips):
    instance_id = new_instance_id()
    model = await _live(tasks, instance_id, history)
    for low, high in bounds:
        wanted = TaskFilter(
            project_id=PROJECT,
            instance_id=instance_id,
            created_from=None if low is None else NOW + timedelta(milliseconds=low),
            created_to=None if high is None else NOW + timedelta(milliseconds=high),
        )
        expected = [
            one
            for one, ms in reversed(model)
            if (low is None or low <= ms) and (high is None or ms <= high)
        ]
        joined, totals = await all_pages(tasks, wanted, limit)
        assert [one.id for one in joined] == expected
        assert totals == {len(expected)}
        for skip in skips:
            page = await tasks.find(wanted, Page(skip, limit))
            assert [one.id for one in page.tasks] == expected[skip : skip + limit]
            assert page.total == len(expected)


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, BIG_BLOCK + BLOCK + 1])
async def test_pages_join_to_the_whole_list_at_the_edges_of_blocks(tasks, count):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [after(n) for n in range(count)])
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id)
    expected = [task.id for task in reversed(made)]
    edges = {0, 1, count - 1, count, count + 1, count - BLOCK, BLOCK - 1, BLOCK, BLOCK + 1,
             BIG_BLOCK - 1, BIG_BLOCK, BIG_BLOCK + 1}  # fmt: skip
    for skip in sorted(edge for edge in edges if edge >= 0):
        page = await tasks.find(wanted, Page(skip, 3))
        assert [one.id for one in page.tasks] == expected[skip : skip + 3]
        assert page.total == count
    for low, high in ((0, BLOCK - 1), (BLOCK - 1, BLOCK), (BLOCK, count), (count - 2, count + 9)):
        window = TaskFilter(
            project_id=PROJECT, instance_id=instance_id,
            created_from=after(low), created_to=after(high),
        )  # fmt: skip
        inside = [made[n].id for n in reversed(range(max(low, 0), min(high + 1, count)))]
        page = await tasks.find(window, Page(0, 5))
        assert ([one.id for one in page.tasks], page.total) == (inside[:5], len(inside))
        last = await tasks.find(window, Page(max(0, len(inside) - 1), 5))
        assert [one.id for one in last.tasks] == inside[-1:]


async def test_whole_blocks_vanish_and_the_rest_is_found(tasks):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [after(n) for n in range(4 * BLOCK)])
    await delete(tasks, [task.id for task in made[BLOCK - 1 : 3 * BLOCK + 1]])
    left = [task.id for task in made[: BLOCK - 1] + made[3 * BLOCK + 1 :]][::-1]
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id)
    joined, totals = await all_pages(tasks, wanted, 10)
    assert [one.id for one in joined] == left
    assert totals == {len(left)}
    gap = TaskFilter(
        project_id=PROJECT, instance_id=instance_id,
        created_from=after(BLOCK), created_to=after(2 * BLOCK),
    )  # fmt: skip
    page = await tasks.find(gap, Page())
    assert (page.tasks, page.total) == ([], 0)


@pytest.mark.parametrize("each", [2, 3, BLOCK])
async def test_every_page_is_right_when_blocks_have_gaps(tasks, each):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [after(n) for n in range(5 * BLOCK)])
    await delete(tasks, [task.id for task in made[::each]])
    left = [(n, task.id) for n, task in enumerate(made) if n % each][::-1]
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id)
    for skip in range(0, len(left), 17):
        page = await tasks.find(wanted, Page(skip, 3))
        assert [one.id for one in page.tasks] == [one for _, one in left[skip : skip + 3]]
        assert page.total == len(left)
    for low in range(0, 5 * BLOCK, BLOCK // 2):
        window = TaskFilter(project_id=PROJECT, instance_id=instance_id, created_from=after(low))
        assert (await tasks.find(window, Page())).total == sum(n >= low for n, _ in left)


async def test_new_tasks_are_found_when_newest_and_oldest_were_deleted(tasks):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [NOW] * 3)
    await delete(tasks, [made[0].id, made[2].id])
    (fresh,) = await add(tasks, instance_id, [NOW])
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id)
    page = await tasks.find(wanted, Page())
    assert [one.id for one in page.tasks] == [fresh.id, made[1].id]
    await delete(tasks, [fresh.id, made[1].id])
    assert (await tasks.find(wanted, Page())).total == 0
    (last,) = await add(tasks, instance_id, [NOW])
    page = await tasks.find(wanted, Page())
    assert ([one.id for one in page.tasks], page.total) == ([last.id], 1)


async def test_tasks_of_the_same_moment_are_in_the_order_of_submission(tasks):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [NOW] * 100)
    window = TaskFilter(
        project_id=PROJECT, instance_id=instance_id, created_from=NOW, created_to=NOW
    )
    joined, totals = await all_pages(tasks, window, 7)
    assert [one.id for one in joined] == [task.id for task in reversed(made)]
    assert totals == {100}


async def test_streams_do_not_mix(tasks):
    here, there = new_instance_id(), new_instance_id()
    ours = await add(tasks, here, [NOW] * 5)
    await add(tasks, there, [NOW] * 70)
    scheduled = await add(tasks, here, [NOW] * 2, kind=Kind.SCHEDULED)
    page = await tasks.find(TaskFilter(project_id=PROJECT, instance_id=here), Page())
    assert ([one.id for one in page.tasks], page.total) == ([t.id for t in reversed(ours)], 5)
    page = await tasks.find(
        TaskFilter(project_id=PROJECT, instance_id=here, kind=Kind.SCHEDULED), Page()
    )
    assert [one.id for one in page.tasks] == [task.id for task in reversed(scheduled)]


async def test_nothing_is_found_for_another_project(tasks):
    instance_id = new_instance_id()
    await add(tasks, instance_id, [NOW])
    for project_id, where in ((OTHER_PROJECT, instance_id), (PROJECT, new_instance_id())):
        page = await tasks.find(TaskFilter(project_id=project_id, instance_id=where), Page())
        assert (page.tasks, page.total) == ([], 0)


async def test_find_shows_what_anybody_may_see(tasks):
    instance_id = new_instance_id()
    (task,) = await add(tasks, instance_id, [NOW])
    page = await tasks.find(TaskFilter(project_id=PROJECT, instance_id=instance_id), Page())
    assert page.tasks == [await tasks.record(task.id)]
    assert type(page.tasks[0]) is TaskRecord


@pytest.mark.parametrize("has_gap", [False, True])
@pytest.mark.parametrize("kind", list(Kind))
async def test_find_shows_the_very_text_that_was_stored(tasks, kind, has_gap):
    instance_id = new_instance_id()
    texts = [
        '{"a":"\\"\\\\"}',
        "quote ' \" back\\slash",
        "\0\x1f\n\t\x7f",
        "名\u2028😀",
        "",
        "[1,null]",
    ]
    made = [
        msgspec.structs.replace(
            task_on(instance_id, after(n), kind=kind), params=text, user_name=text,
            execute_at=after(n) if kind is Kind.SCHEDULED else None,
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    await tasks.write(*map(lifecycle.submit, made))
    if has_gap:
        await delete(tasks, [made.pop(2).id])
    wanted = TaskFilter(project_id=PROJECT, instance_id=instance_id, kind=kind)
    page = await tasks.find(wanted, Page())
    assert page.tasks == [await tasks.record(task.id) for task in reversed(made)]
    assert [one.params for one in page.tasks] == [task.params for task in reversed(made)]


@pytest.mark.parametrize("gone", [(), (4,), (0, 1), (7, 8), tuple(range(9))])
async def test_edges_of_windows_and_pages_with_and_without_a_gap(tasks, gone):
    instance_id = new_instance_id()
    made = await add(tasks, instance_id, [after(n) for n in range(9)])
    await delete(tasks, [made[n].id for n in gone])
    left = [(n, task.id) for n, task in enumerate(made) if n not in gone][::-1]
    bounds = (None, -5, 0, 3, 4, 8, 20)
    for low, high in itertools.product(bounds, bounds):
        wanted = TaskFilter(
            project_id=PROJECT, instance_id=instance_id,
            created_from=None if low is None else after(low),
            created_to=None if high is None else after(high),
        )  # fmt: skip
        inside = [
            task_id
            for n, task_id in left
            if (low is None or low <= n) and (high is None or n <= high)
        ]
        for skip in (0, 2, len(inside), len(inside) + 1, 2**31 - 1):
            page = await tasks.find(wanted, Page(skip, 3))
            assert [one.id for one in page.tasks] == inside[skip : skip + 3]
            assert page.total == len(inside)


async def test_window_is_empty_when_it_ends_before_it_begins(tasks):
    instance_id = new_instance_id()
    await add(tasks, instance_id, [after(n) for n in range(5)])
    wanted = TaskFilter(
        project_id=PROJECT, instance_id=instance_id, created_from=after(3), created_to=after(1)
    )
    page = await tasks.find(wanted, Page())
    assert (page.tasks, page.total) == ([], 0)


@pytest.mark.parametrize(("microseconds", "total"), [(0, 1), (1, 0), (999, 0)])
async def test_window_begins_at_its_exact_moment(tasks, microseconds, total):
    instance_id = new_instance_id()
    await add(tasks, instance_id, [NOW])
    wanted = TaskFilter(
        project_id=PROJECT, instance_id=instance_id,
        created_from=NOW + timedelta(microseconds=microseconds),
    )  # fmt: skip
    assert (await tasks.find(wanted, Page())).total == total
    upto = TaskFilter(
        project_id=PROJECT, instance_id=instance_id,
        created_to=NOW + timedelta(microseconds=microseconds),
    )  # fmt: skip
    assert (await tasks.find(upto, Page())).total == 1
