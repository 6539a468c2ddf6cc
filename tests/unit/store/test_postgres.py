"""PostgreSQL's side as far as it needs no PostgreSQL."""

import json
from datetime import timedelta

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, make_task

from backroom.domain import lifecycle
from backroom.domain.errors import StoreUnavailable
from backroom.store import postgres_clock
from backroom.store.postgres_clock import DatabaseClock
from backroom.store.postgres_connection import translating
from backroom.store.postgres_rows import ESCAPE, changes_json, escaped, restored
from backroom.store.postgres_url import without_password

parts = st.sampled_from(["\0", ESCAPE, "0", "1", "\\", "u0000", "x", "名"])
words = st.lists(parts).map("".join)


@given(words)
def test_text_comes_back_as_it_was_and_has_no_nul_on_the_way(text):
    assert "\0" not in escaped(text)
    assert restored((escaped(text), 1, None)) == (text, 1, None)


@given(words)
def test_json_of_a_change_never_has_a_nul(text):
    task = msgspec.structs.replace(make_task(), reason=text)
    (change,) = json.loads(changes_json([lifecycle.submit(task)]))
    assert change["task"].get("reason") == escaped(text)
    assert "\0" not in change["event"]["detail"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5432/n", "postgresql://u@h:5432/n"),
        ("postgresql://u:s%40cret@h1,h2:99/n?ssl=require", "postgresql://u@h1,h2:99/n?ssl=require"),
        ("postgresql://u@/n?host=/run/pg&password=secret", "postgresql://u@/n?host=/run/pg"),
        ("postgresql://u:se:c@ret@h/n", "postgresql://u@h/n"),
        ("postgresql://h/n", "postgresql://h/n"),
    ],
)
def test_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown


class Link:
    """Answers with `at` after `takes_s` of the time that the clock believes in."""

    def __init__(self, time):
        self.time = time
        self.at = NOW
        self.takes_s = 0.2

    async def fetchval(self, _statement):
        self.time[0] += self.takes_s
        return self.at


@pytest.fixture
def time(monkeypatch):
    made = [1_000.0]
    monkeypatch.setattr(postgres_clock, "monotonic", lambda: made[0])
    return made


@pytest.mark.rule(5)
async def test_clock_is_the_databases_whatever_this_host_believes(time):
    clock, link = DatabaseClock(), Link(time)
    await clock.ask(link)
    assert clock.now() == NOW + timedelta(seconds=0.1)  # read in the middle of the round trip
    time[0] += 60
    assert clock.now() == NOW + timedelta(seconds=60.1)


async def test_clock_stays_when_the_answer_fits(time):
    clock, link = DatabaseClock(), Link(time)
    await clock.ask(link)
    for late_s in (0.11, 0.15, 0.29):
        before = clock.now()
        link.at = before + timedelta(seconds=late_s - 0.1)
        await clock.ask(link)
        assert clock.now() == before + timedelta(seconds=0.2)


@pytest.mark.parametrize("jump_s", [-3600, -1, 1, 3600])
async def test_clock_follows_when_the_databases_jumps(time, jump_s):
    clock, link = DatabaseClock(), Link(time)
    await clock.ask(link)
    link.at = clock.now() + timedelta(seconds=jump_s)
    await clock.ask(link)
    assert clock.now() == link.at + timedelta(seconds=0.1)


@pytest.mark.parametrize(
    "error",
    [
        # the link was idle when the server said that it stops, and is in no state to be asked
        asyncpg.InternalClientError("cannot switch to state 12; another operation is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
        TimeoutError(),
    ],
)
def test_whatever_a_lost_server_makes_of_a_link_means_that_the_store_is_away(error):
    with pytest.raises(StoreUnavailable), translating():
        raise error
