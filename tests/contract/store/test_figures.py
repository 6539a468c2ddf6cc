from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.contract.store.test_task_finder import run_head, submitted
from tests.support.builders import NOW, OTHER_PROJECT, PROJECT, W1, after, instance_id
from tests.support.promises import promised

from backroom.domain import lifecycle
from backroom.domain.filter import TaskSearch
from backroom.domain.task import Kind, State
from backroom.ports import TaskFigures
from backroom.store import postgres_figures, sqlite_figures

ANY = TaskSearch(project_id=PROJECT)


async def counted(stores, **by):
    wanted, position, count = msgspec.structs.replace(ANY, **by), None, 0
    while True:
        one = await stores.figures.count(wanted, position)
        count, position = count + one.count, one.position
        if position is None:
            return count


@promised(TaskFigures.count, "How many match, from there on")
@pytest.mark.parametrize("most", [1, 2, 5_000])
async def test_count_agrees_with_the_search_whatever_is_asked(stores, monkeypatch, most):
    for number in range(7):
        about = {"name": f"op{number % 2}", "user_name": f"u{number % 4}"}
        params = f'{{"n": {number}}}'
        await submitted(stores, number % 3 + 1, after(number), params=params, **about)
    await submitted(stores, 4, project_id=OTHER_PROJECT)
    for moment in (8, 9, 10):
        await run_head(stores, after(moment))
    (taken,) = await stores.tasks.claim(W1, 1, after(11))
    fault = lifecycle.Fault(code="c", message="m")
    await stores.tasks.write(lifecycle.fail(taken, after(11), fault, None))
    for module in (sqlite_figures, postgres_figures):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", most)
        monkeypatch.setattr(module, "MOST_COUNTED_BY_INDEX", most)
    asked = (
        {},
        {"instance_id": instance_id(1)},
        {"instance_id": instance_id(4)},
        {"kinds": frozenset({Kind.SCHEDULED})},
        {"states": frozenset({State.SUCCEEDED})},
        {"states": frozenset({State.FAILED})},
        {"states": frozenset({State.WAITING, State.RUNNING})},
        {"states": frozenset({State.FAILED, State.CANCELLED})},
        {"states": frozenset({State.WAITING}), "instance_id": instance_id(2)},
        {"names": frozenset({"op1"})},
        {"user": "u3"},
        {"text": '"n": 5'},
        {"created_from": after(2), "created_to": after(4)},
        {"created_to": after(3), "instance_id": instance_id(1)},
    )
    for by in asked:
        found = await stores.finder.search(msgspec.structs.replace(ANY, **by), None, 100)
        assert await counted(stores, **by) == len(found.tasks), by
    assert await counted(stores) == 7


@promised(TaskFigures.count, "At once, whatever there is, where the tasks of instances")
async def test_count_of_whole_streams_takes_one_look(stores, monkeypatch):
    for module in (sqlite_figures, postgres_figures):
        monkeypatch.setattr(module, "MOST_LOOKED_AT", 1)
        monkeypatch.setattr(module, "MOST_COUNTED_BY_INDEX", 1)
    for number in range(5):
        await submitted(stores, number % 2 + 1, after(number))
    for by, count in (({}, 5), ({"instance_id": instance_id(1)}, 3)):
        found = await stores.figures.count(msgspec.structs.replace(ANY, **by), None)
        assert (found.count, found.position) == (count, None)


@promised(
    TaskFigures.outcomes, "Of the tasks that ended since then and before `until`, by hour and state"
)
async def test_outcomes_are_told_by_hour_and_state(stores):
    at = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    for number, minutes in enumerate((10, 20, 70, 80)):
        await submitted(stores, number + 1, at)
        await run_head(stores, at + timedelta(minutes=minutes))
    await submitted(stores, 9, at, project_id=OTHER_PROJECT)
    await run_head(stores, at + timedelta(minutes=15))
    await submitted(stores, 8, at)  # has not ended
    found = await stores.figures.outcomes(PROJECT, at, at + timedelta(hours=2))
    assert [(one.hour, one.state, one.count) for one in found] == [
        (at, State.SUCCEEDED, 2),
        (at + timedelta(hours=1), State.SUCCEEDED, 2),
    ]
    later = at + timedelta(minutes=15)
    found = await stores.figures.outcomes(PROJECT, later, at + timedelta(minutes=80))
    assert [one.count for one in found] == [1, 1]


@promised(TaskFigures.spans_s, "From first claim to end")
async def test_spans_are_those_of_what_succeeded(stores):
    for number, taken in enumerate((2, 5), start=1):
        await submitted(stores, number, name="op")
        (task,) = await stores.tasks.claim(W1, 1, after(10))
        await stores.tasks.write(lifecycle.complete(task, after(10 + taken), ()))
    await submitted(stores, 3, name="op")
    assert sorted(await stores.figures.spans_s(PROJECT, "op")) == [2.0, 5.0]
    assert await stores.figures.spans_s(OTHER_PROJECT, "op") == []
    assert await stores.figures.spans_s(PROJECT, "other") == []


@promised(TaskFigures.queues, "the one whose head is oldest first")
async def test_queues_tell_who_waits_longest(stores):
    await submitted(stores, 2, after(1))
    first = await submitted(stores, 1, NOW)
    await submitted(stores, 1, after(2))
    await submitted(stores, 3, project_id=OTHER_PROJECT)
    found = await stores.figures.queues(PROJECT, 10)
    assert [(one.instance_id, one.open_count) for one in found] == [
        (instance_id(1), 2), (instance_id(2), 1),
    ]  # fmt: skip
    head = found[0]
    assert (head.head_id, head.head_name, head.head_state) == (
        first.id, first.name, State.WAITING,
    )  # fmt: skip
    assert head.since == NOW
    assert len(await stores.figures.queues(PROJECT, 1)) == 1


@promised(TaskFigures.workers, "The last to have beaten first.")
async def test_workers_are_told_with_their_leases(stores):
    await submitted(stores, 1)
    await stores.tasks.claim(W1, 1, after(3))
    await stores.tasks.beat("w2", after(5))
    found = await stores.figures.workers(PROJECT, 10)
    assert [(one.id, one.beat_at, one.running_count, one.oldest_claim_at) for one in found] == [
        ("w2", after(5), 0, None), ("w1", after(3), 1, after(3)),
    ]  # fmt: skip
    assert [one.running_count for one in await stores.figures.workers(OTHER_PROJECT, 10)] == [0, 0]
