"""Reaches PostgreSQL, brings its schema up to date, and translates its errors."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any, TypeVar

import asyncpg

from backroom.domain.errors import StoreUnavailable
from backroom.store.queries import load

T = TypeVar("T")

MOST = 8  # connections of one process, beside the one that listens and the one for beats
CONNECT_S = 1.0
CALL_S = 1.5  # a call that takes longer is given up: the API answers within 2 s
MIGRATE_S = 60.0
LOCK = 0x6261636B726F6F6D  # one number for all advisory locks of this product: "backroom"
SPEAKING = frozenset({"08", "28", "3D", "53", "57"})  # classes whose messages hold no values

LOST = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server that stops spoke up on a link that was just taken
    OSError,
    EOFError,
)

_SESSION = {
    "jit": "off",
    "timezone": "UTC",
    # a host that is gone, or hangs inside a transaction, must not keep its locks
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SQL = load("postgres/deployment")
_NUMBER = re.compile(r"(\d{4})_\w+\.sql")


class Link(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection. The server knows it by `name`, which no other one ever has."""

    __slots__ = ("name",)
    name: str


Work = Callable[[Link], Awaitable[T]]


class Postgres:
    """Connections to one database, made when needed and forgotten when broken."""

    def __init__(self, url: str, most: int = MOST) -> None:
        self._url = url
        self._places = asyncio.Semaphore(most)
        self._idle: list[Link] = []
        self._pids: set[int] = set()

    async def connect(self) -> Link:
        name = f"backroom {secrets.token_hex(8)}"
        try:
            link: Link = await asyncpg.connect(
                self._url,
                timeout=CONNECT_S,
                connection_class=Link,
                server_settings=_SESSION | {"application_name": name},
            )
        except ValueError:  # it may quote the URL
            raise StoreUnavailable("the URL of the database can't be read") from None
        link.name = name
        return link

    def is_own(self, pid: int) -> bool:
        return pid in self._pids

    async def run(self, work: Work[T], timeout_s: float = CALL_S) -> T:
        """Work with a connection of one's own; a transaction is begun again after a deadlock.

        After StoreUnavailable it may have been done or not.
        """
        with translating(timeout_s):
            try:
                async with asyncio.timeout(timeout_s), self._places:
                    return await self._until_no_deadlock(work)
            except TimeoutError:
                self._drop_idle()  # they lead to the same server
                raise

    async def _until_no_deadlock(self, work: Work[T]) -> T:
        while True:
            link = await self._taken()
            try:
                result = await work(link)
            except asyncpg.PostgresError as error:
                self._give_back(link)
                if not isinstance(
                    error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError
                ):
                    raise
            except BaseException:  # the answer is still to come, or never
                self._pids.discard(_pid(link))
                link.terminate()
                raise
            else:
                self._give_back(link)
                return result

    async def _taken(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if not link.is_closed():
                return link
            self._pids.discard(_pid(link))
        link = await self.connect()
        self._pids.add(_pid(link))
        return link

    def _give_back(self, link: Link) -> None:
        if link.is_closed() or link.is_in_transaction():
            self._pids.discard(_pid(link))
            link.terminate()
        else:
            self._idle.append(link)

    def _drop_idle(self) -> None:
        for link in self._idle:
            self._pids.discard(_pid(link))
            link.terminate()
        self._idle.clear()

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        rows: list[Any] = await self.run(lambda link: link.fetch(statement, *values))
        return rows

    async def first(self, statement: str, *values: Any) -> Any | None:
        """The first row, or None."""
        return await self.run(lambda link: link.fetchrow(statement, *values))

    async def change(self, statement: str, *values: Any) -> int:
        """How many rows it changed."""
        status = await self.run(lambda link: link.execute(statement, *values))
        return int(status.rpartition(" ")[2])

    def close(self) -> None:
        self._drop_idle()
        self._pids.clear()


@asynccontextmanager
async def transaction(link: Link, begin: str = "BEGIN") -> AsyncIterator[None]:
    """Whoever raises inside it leaves it open: Postgres.run then ends the connection.

    To say ROLLBACK, as asyncpg does, waits for ever where the server hangs.
    """
    await link.execute(begin)
    yield
    await link.execute("COMMIT")


def _pid(link: Link) -> int:
    return int(link.get_server_pid())


async def migrate(postgres: Postgres) -> None:
    """Apply what is missing of migrations/postgres, all of it or nothing, one process at a time."""

    async def apply(link: Link) -> None:
        if await link.fetchval(_SQL.encoding) != "UTF8":
            raise StoreUnavailable("the database must have the encoding UTF8")
        async with transaction(link):
            await link.execute(_SQL.lock, LOCK)
            await link.execute(_SQL.create_versions)
            await _apply_missing(link)

    await postgres.run(apply, MIGRATE_S)


async def _apply_missing(link: Link) -> None:
    applied = await link.fetchval(_SQL.version)
    available = migrations()
    if applied > max(available):
        raise StoreUnavailable(
            f"the database is at schema {applied}, this release knows only {max(available)}"
        )
    for number, text in sorted(available.items()):
        if number > applied:
            await link.execute(text)
            await link.execute(_SQL.set_version, number)


def migrations() -> dict[int, str]:
    """The texts by the number of the schema that each leads to."""
    folder = files("backroom.store").joinpath("migrations", "postgres")
    found = ((_NUMBER.fullmatch(entry.name), entry) for entry in folder.iterdir())
    return {int(match[1]): entry.read_text("utf-8") for match, entry in found if match}


@asynccontextmanager
async def within(timeout_s: float = CALL_S) -> AsyncIterator[None]:
    """Raises StoreUnavailable where what is inside takes longer, or fails as `translating` says."""
    with translating(timeout_s):
        async with asyncio.timeout(timeout_s):
            yield


@contextmanager
def translating(timeout_s: float = CALL_S) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise StoreUnavailable(f"PostgreSQL gave no answer within {timeout_s} s") from None
    except LOST as error:
        raise StoreUnavailable(f"PostgreSQL: {_told(error)}") from None


def _told(error: Exception) -> str:
    """What went wrong, without statements, values or the password of the URL."""
    name = type(error).__name__
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        speaks = state[:2] in SPEAKING
        return f"{name}: {error.args[0]}" if speaks else f"{name} ({state})"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name
