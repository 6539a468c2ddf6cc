"""Opens stores for tests, each as a process of its own would see it."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from tests.support.postgres_server import DATABASES as CLUSTER

from backroom.clock import SystemClock
from backroom.ports import (
    AccountStore,
    ClusterStore,
    InstanceStore,
    Journal,
    TaskFigures,
    TaskFinder,
    TaskStore,
    Vault,
)
from backroom.store.connection import MEMORY, connect, migrate
from backroom.store.postgres_stores import PostgresStores
from backroom.store.sqlite_accounts import SqliteAccountStore
from backroom.store.sqlite_figures import SqliteTaskFigures
from backroom.store.sqlite_finder import SqliteTaskFinder
from backroom.store.sqlite_instances import SqliteClusterStore, SqliteInstanceStore
from backroom.store.sqlite_journal import SqliteJournal
from backroom.store.sqlite_tasks import SqliteTaskStore
from backroom.store.writer import Writer


class PlainKeyVault:
    """Really seals, under a key that dies with the test."""

    def __init__(self) -> None:
        self._fernet = Fernet(Fernet.generate_key())

    def seal(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        return self._fernet.decrypt(sealed)


@dataclass
class Stores:
    """All stores of one process. `woken` counts how often a lane may have become ready."""

    tasks: TaskStore
    finder: TaskFinder
    figures: TaskFigures
    journal: Journal
    instances: InstanceStore
    clusters: ClusterStore
    accounts: AccountStore
    writer: Any
    woken: list[None] = field(default_factory=list)


class SqliteMemory:
    """One process only: `open` gives its one set of stores again."""

    is_shared = False

    def __init__(self, _folder: Path | None = None) -> None:
        self._vault = PlainKeyVault()
        self.connection = connect(MEMORY)
        migrate(self.connection)
        self._writer = Writer(self.connection, on_thread=False)
        self._stores = _stores(self.connection, self._writer, self._vault)

    def open(self) -> Stores:
        return self._stores

    def kept_bytes(self) -> bytes:
        return self.connection.serialize("main")

    def close(self) -> None:
        self._writer.close()


class SqliteFile:
    is_shared = True

    def __init__(self, folder: Path) -> None:
        self._vault = PlainKeyVault()
        self._path = folder / "tasks.sqlite"
        self._opened: list[tuple[Any, Writer]] = []

    def open(self) -> Stores:
        writing = connect(self._path, durable=False)
        migrate(writing)
        reader, writer = connect(self._path), Writer(writing)
        self._opened.append((reader, writer))
        return _stores(reader, writer, self._vault)

    def kept_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self._path.parent.glob("*sqlite*")))

    def close(self) -> None:
        for reader, writer in self._opened:
            writer.close()
            reader.close()


def _stores(reader: Any, writer: Writer, vault: Vault) -> Stores:
    woken: list[None] = []
    journal = SqliteJournal(reader, SystemClock())
    return Stores(
        tasks=SqliteTaskStore(reader, writer, lambda: woken.append(None), journal.ring),
        finder=SqliteTaskFinder(reader, writer),
        figures=SqliteTaskFigures(reader),
        journal=journal,
        instances=SqliteInstanceStore(reader, writer),
        clusters=SqliteClusterStore(reader, writer),
        accounts=SqliteAccountStore(reader, writer, vault),
        writer=writer,
        woken=woken,
    )


class PostgresDatabase:
    """Each `open` is a process of its own: a thread with an event loop of its own."""

    is_shared = True

    def __init__(self, _folder: Path | None = None) -> None:
        self.vault = PlainKeyVault()
        self.name = CLUSTER.take()
        self.url = CLUSTER.cluster.url(self.name)
        self._opened: list[_Process] = []

    def open(self) -> Stores:
        process = _Process()
        self._opened.append(process)
        return process.open(self.url, self.vault)

    def kept_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in postgres_files(self.name))

    def close(self) -> None:
        for process in self._opened:
            process.close()
        CLUSTER.give_back(self.name)


def postgres_files(name: str) -> list[Path]:
    """What the cluster keeps of a database of that name, and everybody's write-ahead log."""
    CLUSTER.cluster.sql(name, "CHECKPOINT")
    wanted = "SELECT oid FROM pg_database WHERE datname = current_database()"
    data = CLUSTER.cluster.data
    base = data / "base" / CLUSTER.cluster.sql(name, wanted)
    kept = [*base.iterdir(), *(data / "pg_wal").iterdir()]
    return [path for path in sorted(kept) if path.is_file()]


class _Process:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()

    def open(self, url: str, vault: Vault) -> Stores:
        return self._do(self._open(url, vault))

    async def _open(self, url: str, vault: Vault) -> Stores:
        woken: list[None] = []
        stores = PostgresStores(url, vault, lambda: woken.append(None))
        await self._stack.enter_async_context(stores.opened())
        wrapped = self._wrapped
        return Stores(
            tasks=wrapped(stores.tasks),
            finder=wrapped(stores.finder),
            figures=wrapped(stores.figures),
            journal=wrapped(stores.journal),
            instances=wrapped(stores.instances),
            clusters=wrapped(stores.clusters),
            accounts=wrapped(stores.accounts),
            writer=None,
            woken=woken,
        )

    def _wrapped(self, store: Any) -> Any:
        return _OnItsLoop(store, self._loop)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        self._do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _OnItsLoop:
    """A store whose methods can be awaited on any loop, and run on its own."""

    def __init__(self, store: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name == "claim":  # which begins when it is called
            return lambda *given: self._run(self._claim, *given)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *given: self._run(found, *given)

    async def _claim(self, *given: Any) -> Any:
        return await self._store.claim(*given)

    async def _run(self, method: Callable[..., Coroutine[Any, Any, Any]], *given: Any) -> Any:
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(method(*given), self._loop)
        )
