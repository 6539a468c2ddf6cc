"""Opens SQLite, brings its schema up to date, and translates its errors."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import apsw

from backroom.domain.errors import StoreUnavailable
from backroom.store.sqlite_chain import chain_events

CHAINED_SINCE = 2  # the schema that put events in a chain
BUSY_TIMEOUT_MS = 5_000  # another process (the command line) may be writing
SWITCH_RETRY_S = 0.005  # about as long as it takes another to make the file
CACHE_KIB = 64 * 1024  # per connection, filled only as pages are read
MAPPED = 2**31 - 2**16  # bytes, the most SQLite takes: pages are read where they are, uncopied
MEMORY = ":memory:"
CHECKED_FOR_S = 0.3  # at each start: a few hundred MB; `backroom db check` looks at everything
PROGRESS_STEPS = 1_000
ROWS_KEPT_MOST = 1_000

ReadOne = Callable[[str, tuple[str, ...]], Any]


class Damaged(StoreUnavailable):
    """The file is not what was written: only a copy of it helps."""


def connect(path: Path | str, *, durable: bool = True) -> apsw.Connection:
    """A connection in WAL mode. Durable: a commit survives loss of power, not just a crash."""
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # else SQLite plans a statement anew each time that its LIMIT is bound
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute(f"PRAGMA mmap_size = {MAPPED}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if str(path) != MEMORY:
            _switch_to_wal(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    except apsw.Error as error:
        raise translated(error) from error
    return connection


def require_whole(connection: apsw.Connection, within_s: float = CHECKED_FOR_S) -> None:
    """Raises Damaged for what is found in that time."""
    until = monotonic() + within_s
    connection.set_progress_handler(lambda: monotonic() >= until, PROGRESS_STEPS)
    try:
        found = [str(text) for (text,) in connection.execute("PRAGMA quick_check(1)")]
    except apsw.InterruptError:
        return
    except apsw.Error as error:
        raise translated(error) from error
    finally:
        connection.set_progress_handler(None)
    if found != ["ok"]:
        raise Damaged(" ".join(" ".join(found).split()))


def _switch_to_wal(connection: apsw.Connection) -> None:
    """Wait for others that open the same new file: here SQLite itself doesn't."""
    until = monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except apsw.BusyError:
            if monotonic() >= until:
                raise
            sleep(SWITCH_RETRY_S)
        else:
            return


def migrate(connection: apsw.Connection) -> None:
    """Apply what is missing of migrations/NNNN_*.sql, all of it or nothing, under a write lock."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _apply_missing(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except apsw.Error as error:
        raise translated(error) from error


def _apply_missing(connection: apsw.Connection) -> None:
    applied = connection.pragma("user_version")
    available = migrations()
    if applied > len(available):
        raise StoreUnavailable(
            f"the database is at schema {applied}, this release knows only {len(available)}"
        )
    for number, text in enumerate(available[applied:], start=applied + 1):
        connection.execute(text)
        if number == CHAINED_SINCE:
            chain_events(connection)
        connection.pragma("user_version", number)


def migrations() -> list[str]:
    """The texts in order; the first brings an empty database to schema 1."""
    found = sorted(Path(__file__).with_name("migrations").glob("*.sql"))
    return [path.read_text("utf-8") for path in found]


def reading(connection: apsw.Connection) -> Callable[..., apsw.Cursor]:
    """`execute` for reads, its errors translated as the Writer does for writes."""
    execute = connection.execute

    def read(statement: str, bindings: "apsw.Bindings | None" = None) -> apsw.Cursor:
        try:
            return execute(statement, bindings)
        except apsw.Error as error:
            raise translated(error) from error

    return read


def reading_one(connection: apsw.Connection, *, is_alone: bool = False) -> ReadOne:
    """As `reading`, for the first row or None.

    `is_alone`: the only connection there is, which writes, too. What it has read it keeps as long
    as it has changed nothing: a statement lets other threads run, and the way back costs more than
    the reading.
    """
    read = reading(connection)

    def fetch(statement: str, bindings: tuple[str, ...]) -> Any:
        return read(statement, bindings).fetchone()

    return _keeping(connection, fetch) if is_alone else fetch


def _keeping(connection: apsw.Connection, fetch: ReadOne) -> ReadOne:
    kept: dict[tuple[str, tuple[str, ...]], Any] = {}
    kept_at = -1

    def keep(statement: str, bindings: tuple[str, ...]) -> Any:
        nonlocal kept_at
        try:
            changes = connection.total_changes()
        except apsw.Error as error:
            raise translated(error) from error
        if changes != kept_at:
            kept.clear()
            kept_at = changes
        asked = statement, bindings
        if asked not in kept:
            if len(kept) >= ROWS_KEPT_MOST:
                kept.clear()
            kept[asked] = fetch(statement, bindings)
        return kept[asked]

    return keep


def translated(error: apsw.Error) -> StoreUnavailable:
    """What SQLite says, without the statement or its values."""
    is_damage = isinstance(error, (apsw.CorruptError, apsw.NotADBError))
    kind = Damaged if is_damage else StoreUnavailable
    return kind(f"{type(error).__name__}: {error}")
