"""Writes changes of tasks: all that wait go to the server in one round trip and one commit."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import asyncpg
import msgspec

from backroom.domain.errors import ClientTokenTaken, QuotaReached, StaleTask
from backroom.domain.task import Change, State
from backroom.store.batches import Batches
from backroom.store.postgres_connection import CALL_S, Link, Postgres, within
from backroom.store.postgres_rows import changes_json
from backroom.store.queries import load

MAX_GROUP = 60  # each may be a subtransaction, and PostgreSQL keeps 64 of them at hand
CHANGE_S = 0.002  # more is waited for those that bring thousands of changes
REFUSED = "BR001"
OVER_LIMIT = "BR002"

_SQL = load("postgres/tasks")


class Piece(msgspec.Struct, frozen=True):
    """What one caller wants written, and the rows that are locked for it in everybody's order."""

    changes: Sequence[Change]
    text: str
    streams: list[tuple[str, str]]
    lanes: list[str]


class Refusal(msgspec.Struct, frozen=True):
    """As backroom_refuse tells it."""

    stale: str | None = None
    version: int = 0
    quota: str | None = None
    limit: int = 0
    token: str | None = None

    def error(self) -> Exception:
        if self.stale is not None:
            return StaleTask(self.stale, self.version)
        if self.quota is not None:
            return QuotaReached("unfinished tasks of the instance", self.limit)
        return ClientTokenTaken(self.token)


class PostgresWriter:
    """`on_written` is called after each commit, `on_ready` if a lane may be ready by it.

    Of a task that came alone and is next `on_ready` is told what a claim is made of, else nothing.
    """

    def __init__(
        self, postgres: Postgres, on_ready: Callable[[str], None], on_written: Callable[[], None]
    ) -> None:
        self._postgres = postgres
        self._on_ready = on_ready
        self._on_written = on_written
        self._batches: Batches[Piece, None] = Batches(self._write, MAX_GROUP)
        self._may_begin = asyncio.Event()
        self._may_begin.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, no group begins, so that what is done there doesn't wait for one. Not nested."""
        self._may_begin.clear()
        try:
            yield
        finally:
            self._may_begin.set()

    async def write(self, changes: Sequence[Change]) -> None:
        piece = piece_of(changes)
        timeout_s = CALL_S + CHANGE_S * len(changes)
        async with within(timeout_s):
            await self._batches.ask(piece)

    async def _write(self, pieces: list[Piece]) -> list[Exception | None]:
        timeout_s = CALL_S + CHANGE_S * sum(len(piece.changes) for piece in pieces)
        refused: dict[int, Exception | None] = {}
        while left := [at for at in range(len(pieces)) if at not in refused]:
            among = [pieces[at] for at in left]
            await self._may_begin.wait()
            written = await self._postgres.run(partial(put, pieces=among), timeout_s)
            if isinstance(written, set):  # over a project's limit: nothing was written
                refused.update((left[number], _over(pieces[left[number]])) for number in written)
                continue
            outcomes, is_ready, newcomer = written
            refused.update(zip(left, outcomes, strict=True))
            self._on_written()
            if is_ready:
                self._on_ready(newcomer)
        return [refused[at] for at in range(len(pieces))]


def piece_of(changes: Sequence[Change]) -> Piece:
    return Piece(
        changes,
        changes_json(changes),
        [
            (change.task.instance_id, change.task.kind.value)
            for change in changes
            if change.event.from_state is None or change.task.state.is_final
        ],
        [
            change.task.lane
            for change in changes
            if not change.event.from_state is change.event.to_state is State.RUNNING
        ],
    )


async def put(
    link: Link, pieces: Sequence[Piece], *, is_apart: bool = False
) -> tuple[list[Exception | None], bool, str] | set[int]:
    """For each piece None or why it was refused, whether a lane may be ready, and by whom.

    Or which are over a project's limit: then nothing at all was written. `is_apart`: the link must
    be good for more whoever is refused; else, where somebody is, it is done in two goes.
    """
    streams = {stream for piece in pieces for stream in piece.streams}
    lanes = {lane for piece in pieces for lane in piece.lanes}
    try:
        row = await link.fetchrow(
            _SQL.write,
            [piece.text for piece in pieces],
            msgspec.json.encode(sorted(streams)).decode(),
            sorted(lanes),
            is_apart,
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == REFUSED and len(pieces) > 1:
            return await put(link, pieces, is_apart=True)
        if error.sqlstate == REFUSED:
            return [refusal(error.args[0])], False, ""
        if error.sqlstate == OVER_LIMIT:
            return {number - 1 for number in msgspec.json.decode(error.args[0], type=list[int])}
        raise
    return (
        [None if why is None else refusal(why) for why in row["refusals"]],
        row["is_ready"],
        row["newcomer"] or "",
    )


def refusal(why: str) -> Exception:
    return msgspec.json.decode(why, type=Refusal).error()


def _over(piece: Piece) -> QuotaReached:
    limits = [change.limits.project for change in piece.changes if change.limits is not None]
    return QuotaReached("unfinished tasks of the project", min(limits))
