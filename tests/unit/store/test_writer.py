import asyncio
import itertools
import threading
from contextlib import asynccontextmanager

import pytest

from backroom.domain.errors import StaleTask, StoreUnavailable
from backroom.store import writer as writer_module
from backroom.store.connection import MEMORY, connect
from backroom.store.writer import MAX_GROUP, MIN_GROUP, Writer


@pytest.fixture
def connection():
    opened = connect(MEMORY)
    opened.execute("CREATE TABLE kept (n INTEGER PRIMARY KEY, CHECK (n < 1000))")
    opened.execute("CREATE TABLE commits (n INTEGER)")
    return opened


@pytest.fixture(params=["on a thread", "on the loop"])
def writer(request, connection):
    made = Writer(connection, on_thread=request.param == "on a thread")
    yield made
    made.close()


def insert(number):
    def piece(connection):
        connection.execute("INSERT INTO kept VALUES (?)", (number,))
        return number

    return piece


def kept(connection):
    return [n for (n,) in connection.execute("SELECT n FROM kept ORDER BY n")]


async def test_pieces_are_written_in_order_and_return_their_result(writer, connection):
    results = await asyncio.gather(*(writer.run(insert(n)) for n in range(5)))
    assert results == [0, 1, 2, 3, 4]
    assert kept(connection) == [0, 1, 2, 3, 4]


async def test_piece_that_raises_leaves_no_trace_and_harms_nobody(writer, connection):
    def broken(connection):
        insert(100)(connection)
        raise StaleTask("t1", 1)

    outcomes = await asyncio.gather(
        writer.run(insert(1)), writer.run(broken), writer.run(insert(2)), return_exceptions=True
    )
    assert outcomes[0::2] == [1, 2]
    assert isinstance(outcomes[1], StaleTask)
    assert kept(connection) == [1, 2]


async def test_piece_that_breaks_a_rule_of_the_schema_is_refused_alone(writer, connection):
    outcomes = await asyncio.gather(
        writer.run(insert(1)), writer.run(insert(5_000)), writer.run(insert(2)),
        return_exceptions=True,
    )  # fmt: skip
    assert outcomes[0::2] == [1, 2]
    assert isinstance(outcomes[1], StoreUnavailable)
    assert "5000" not in str(outcomes[1])
    assert kept(connection) == [1, 2]


async def test_whole_group_is_refused_when_the_database_itself_fails(connection):
    writer = Writer(connection)
    release, is_held = threading.Event(), threading.Event()

    def hold(_connection):
        is_held.set()
        release.wait()

    held = asyncio.ensure_future(writer.run(hold))
    await asyncio.to_thread(is_held.wait)
    group = asyncio.gather(
        held,
        writer.run(insert(1)),
        writer.run(lambda connection: connection.execute("SELECT nothing FROM nowhere")),
        writer.run(insert(2)),
        return_exceptions=True,
    )
    await asyncio.sleep(0)
    release.set()
    outcomes = await group
    assert [type(one) for one in outcomes[:3]] == [StoreUnavailable] * 3
    assert outcomes[3] == 2
    assert kept(connection) == [2]
    writer.close()


@asynccontextmanager
async def held_up(writer):
    """The thread is busy with a piece until the end of the block; who waits shares its commit."""
    release, is_held = threading.Event(), threading.Event()

    def hold(_connection):
        is_held.set()
        release.wait()

    held = asyncio.ensure_future(writer.run(hold))
    await asyncio.to_thread(is_held.wait)
    yield
    release.set()
    await held


async def test_who_comes_anew_goes_first_and_waits_for_one_other(connection):
    writer = Writer(connection)
    done, commits = [], []
    connection.set_commit_hook(lambda: commits.append("".join(done)) or False)

    def note(name):
        def piece(connection):
            insert(ord(name))(connection)
            done.append(name)

        return piece

    async with held_up(writer):
        waiting = [asyncio.ensure_future(writer.run(note(name))) for name in "abcd"]
        waiting += [asyncio.ensure_future(writer.run(note(name), is_urgent=True)) for name in "12"]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert commits == ["12", "12abcd"]  # one other is what held it up
    writer.close()


async def test_of_three_groups_in_a_row_one_is_long(connection):
    writer = Writer(connection)
    done, commits = [], []
    more = iter(["34", "56"])

    def note(name):
        def piece(connection):
            insert(ord(name))(connection)
            done.append(name)

        return piece

    def committed():
        commits.append("".join(done))
        for name in next(more, ""):  # who comes while that is committed
            jobs.append(writer_module._Job(note(name), loop.create_future(), loop, is_urgent=True))
            writer._jobs.put(jobs[-1])
        return False

    loop, jobs = asyncio.get_running_loop(), []
    connection.set_commit_hook(committed)
    async with held_up(writer):
        waiting = [asyncio.ensure_future(writer.run(note(name))) for name in "abcd"]
        waiting += [asyncio.ensure_future(writer.run(note(name), is_urgent=True)) for name in "12"]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, *(job.future for job in jobs))
    assert commits == ["12", "1234a", "1234a56bcd"]
    writer.close()


async def test_of_a_small_group_half_is_urgent_so_that_others_get_on(connection, monkeypatch):
    moments = iter(range(1_000_000))  # a second from look to look, so a commit is worth one group
    monkeypatch.setattr(writer_module, "perf_counter", lambda: next(moments))
    writer = Writer(connection)
    await writer.run(insert(1))
    done = []

    def note(name):
        return lambda _connection: done.append(name)

    async with held_up(writer):
        waiting = [asyncio.ensure_future(writer.run(note("other"))) for _ in range(4)]
        waiting += [
            asyncio.ensure_future(writer.run(note("urgent"), is_urgent=True))
            for _ in range(2 * MIN_GROUP)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    half = MIN_GROUP // 2
    first, second = done[: MIN_GROUP - 1], done[MIN_GROUP - 1 :]
    assert first == ["urgent"] * half + ["other"] * (half - 1)  # another one held it up
    assert second[:half] == ["urgent"] * half
    assert second[half] == "other"
    writer.close()


async def test_group_is_small_when_its_commit_takes_no_longer_than_a_piece(connection, monkeypatch):
    moments = iter(range(1_000_000))  # a second from look to look, so a commit is worth one group
    monkeypatch.setattr(writer_module, "perf_counter", lambda: next(moments))
    writer = Writer(connection)
    await writer.run(insert(1))
    done, commits = [], []
    connection.set_commit_hook(lambda: commits.append(len(done)) or False)
    async with held_up(writer):
        waiting = [
            asyncio.ensure_future(writer.run(lambda _connection, n=n: done.append(n)))
            for n in range(2 * MIN_GROUP + 1)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert commits == [MIN_GROUP - 1, 2 * MIN_GROUP - 1, 2 * MIN_GROUP + 1]
    writer.close()


async def test_those_that_wait_share_a_commit_up_to_a_limit(connection, monkeypatch):
    moments = itertools.accumulate(itertools.cycle((1, 1, 1_000)))  # commits take very long
    monkeypatch.setattr(writer_module, "perf_counter", lambda: next(moments))
    writer = Writer(connection)
    done, commits = [], []
    connection.set_commit_hook(lambda: commits.append(len(done)) or False)
    release, is_held = threading.Event(), threading.Event()

    def hold(connection):
        is_held.set()
        release.wait()
        done.append(insert(999)(connection))

    held = asyncio.ensure_future(writer.run(hold))
    await asyncio.to_thread(is_held.wait)
    waiting = asyncio.gather(
        *(
            writer.run(lambda connection, n=n: done.append(insert(n)(connection)))
            for n in range(MAX_GROUP + 10)
        )
    )
    await asyncio.sleep(0)
    release.set()
    await held
    await waiting
    assert commits == [MAX_GROUP, MAX_GROUP + 11]
    writer.close()


async def test_everybody_hears_of_it_when_the_commit_breaks_in_an_unknown_way(writer, connection):
    def broken():
        raise ArithmeticError("out of numbers")

    connection.set_commit_hook(broken)
    outcomes = await asyncio.gather(
        writer.run(insert(1)), writer.run(insert(2)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [ArithmeticError] * 2
    connection.set_commit_hook(None)
    assert await writer.run(insert(3)) == 3
    assert kept(connection) == [3]


async def test_what_was_given_is_written_when_closed(connection, tmp_path):
    file = connect(tmp_path / "w.sqlite")
    file.execute("CREATE TABLE kept (n INTEGER)")
    writer = Writer(file)
    given = [asyncio.ensure_future(writer.run(insert(n))) for n in range(50)]
    await asyncio.sleep(0)
    writer.close()
    writer.close()
    assert await asyncio.gather(*given) == list(range(50))
    assert kept(connect(tmp_path / "w.sqlite")) == list(range(50))


async def test_who_comes_while_a_group_is_written_is_committed_with_it(connection):
    writer = Writer(connection)
    done, commits = [], []
    connection.set_commit_hook(lambda: commits.append(list(done)) or False)
    async with held_up(writer):
        coming = asyncio.ensure_future(writer.run(lambda _connection: done.append("came")))
        await asyncio.sleep(0)
    await coming
    assert commits == [["came"]]
    writer.close()


async def test_all_that_wait_share_the_patience_with_a_locked_file(tmp_path):
    path = tmp_path / "w.sqlite"
    first, second = connect(path), connect(path)
    first.execute("CREATE TABLE kept (n INTEGER)")
    tries = []

    def give_up(_count):
        tries.append(1)
        return False

    first.set_busy_handler(give_up)
    second.execute("BEGIN IMMEDIATE")
    writer = Writer(first)
    given = [asyncio.ensure_future(writer.run(insert(n))) for n in range(20)]
    await asyncio.sleep(0)
    outcomes = await asyncio.gather(*given, return_exceptions=True)
    assert [type(one) for one in outcomes] == [StoreUnavailable] * 20
    assert len(tries) <= 2  # the first may have been alone
    second.execute("ROLLBACK")
    assert await writer.run(insert(7)) == 7
    writer.close()


async def test_run_is_refused_once_closed(writer):
    writer.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.run(insert(1))


def test_writer_goes_on_when_a_loop_that_asked_is_closed(connection):
    writer = Writer(connection)
    release = threading.Event()

    async def give_up():
        def slow(connection):
            release.wait()
            insert(1)(connection)

        asking = asyncio.ensure_future(writer.run(slow))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(give_up())
    release.set()
    assert asyncio.run(asyncio.wait_for(writer.run(insert(2)), 10)) == 2
    assert kept(connection) == [1, 2]
    writer.close()


async def test_outcome_is_dropped_when_nobody_waits_any_more(writer, connection):
    asking = asyncio.ensure_future(writer.run(insert(1)))
    await asyncio.sleep(0)
    asking.cancel()
    assert await writer.run(insert(2)) == 2
    assert kept(connection) in ([1, 2], [2])


async def test_reading_first_is_no_reason_to_be_refused_beside_another_process(tmp_path):
    path = tmp_path / "w.sqlite"
    first, second = connect(path), connect(path)
    first.execute("CREATE TABLE kept (n INTEGER)")
    writer = Writer(first)

    def read_then_write(connection):
        count = len(kept(connection))
        second.set_busy_timeout(0)
        try:
            second.execute("INSERT INTO kept VALUES (7)")
        except Exception:  # noqa: BLE001  it has to wait: we hold the write lock
            is_refused.append(True)
        insert(count)(connection)

    is_refused = []
    await writer.run(read_then_write)
    assert (is_refused, kept(second)) == ([True], [0])
    writer.close()
