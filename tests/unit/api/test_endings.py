"""Counting ended tasks over a journal that is given."""

from backroom.api import endings
from backroom.api.endings import Endings
from backroom.domain.task import State
from backroom.ports import Tally


class Told:
    """Each event of a project ends a task of its name; notes what was read."""

    def __init__(self, **heads):
        self.at = heads
        self.read = []

    async def heads(self):
        return dict(self.at)

    async def ends(self, project_id, after, until):
        self.read.append((project_id, after, until))
        return [Tally(State.FAILED, project_id, until - after)]


def counts(looked):
    return {name: count for (_, name), count in looked.counts.items() if count}


async def test_look_reads_what_came_since_the_last():
    journal = Told(a=5)
    looked = Endings(journal)
    await looked.look()
    await looked.look()
    assert journal.read == []
    journal.at |= {"a": 7, "b": 2}
    await looked.look()
    assert sorted(journal.read) == [("a", 5, 7), ("b", 0, 2)]
    assert counts(looked) == {"a": 2, "b": 2}


async def test_a_look_is_bounded_and_a_busy_project_keeps_no_other_out(monkeypatch):
    monkeypatch.setattr(endings, "AT_ONCE", 4)
    monkeypatch.setattr(endings, "MOST", 10)
    journal = Told(a=0)
    looked = Endings(journal)
    await looked.look()
    journal.at |= {"a": 100, "b": 3}
    await looked.look()
    assert journal.read == [("b", 0, 3), ("a", 0, 4), ("a", 4, 7)]
    await looked.look()
    assert counts(looked) == {"a": 17, "b": 3}


async def test_journal_that_was_put_back_is_counted_from_there():
    journal = Told(a=9)
    looked = Endings(journal)
    await looked.look()
    journal.at["a"] = 4
    await looked.look()
    journal.at["a"] = 5
    await looked.look()
    assert journal.read == [("a", 4, 5)]
