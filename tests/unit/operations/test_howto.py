"""The operation that docs/howto/write-an-operation.md shows does what the page says."""

import re
from pathlib import Path

import pytest
from tests.support.builders import instance_id
from tests.support.engine_world import catalogue_with

from backroom.domain.task import State
from backroom.engine import attempt, call, threads
from backroom.operations.operation import STEP_TIMEOUT_S
from backroom.ports import NewTopic

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "write-an-operation.md"
TEXT = PAGE.read_text("utf-8")
ID = instance_id()


@pytest.fixture
def shown():
    (code,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    names = {"__name__": "shown"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102  our own page
    return names


async def test_it_writes_the_names_of_topics(world, shown, tmp_path):
    await world.add_instance()
    topics = [NewTopic(name=name, partition_count=1, replication_factor=1) for name in "ba"]
    await world.kafka.create_topics(ID, topics)
    path = tmp_path / "topics.txt"
    task = await world.submit(shown["LIST_TOPICS"], shown["ListTopics"](str(path)))
    with catalogue_with(shown["LIST_TOPICS"]):
        await (await world.claim()).run()
        assert (await world.get(task.id)).state is State.WAITING  # no broker shows them yet
        world.clock.move(2)
        await (await world.claim()).run()
    assert (await world.get(task.id)).state is State.SUCCEEDED
    assert path.read_text("utf-8") == "a\nb"
    assert [step.output for step in (await world.history(task.id)).steps] == [b'["a","b"]', b"2"]


async def test_it_is_rejected_where_there_is_no_folder(world, shown, tmp_path):
    await world.add_instance()
    await world.kafka.create_topics(
        ID, [NewTopic(name="t", partition_count=1, replication_factor=1)]
    )
    world.clock.move(1)
    task = await world.submit(
        shown["LIST_TOPICS"], shown["ListTopics"](str(tmp_path / "none" / "t"))
    )
    with catalogue_with(shown["LIST_TOPICS"]):
        await (await world.claim()).run()
    assert "there is no folder" in (await world.get(task.id)).error_msg


@pytest.mark.parametrize(
    "words",
    [
        f"at most {threads.THREADS} at once",
        f"A call of a step may take {STEP_TIMEOUT_S:g} s",
        f"an undo {attempt.UNDO_TIMEOUT_S:g} s",
        f"has {call.CUT_OFF_S:g} s to put things in order",
        f"the step has {call.UNWANTED_S:g} s more",
    ],
)
def test_page_tells_the_figures_that_are_in_force(words):
    assert words in TEXT
