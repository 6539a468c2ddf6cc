"""Opens stores for tests, each as a process of its own would see it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from backroom.ports import AccountStore, ClusterStore, InstanceStore, TaskStore, Vault
from backroom.store.connection import MEMORY, connect, migrate
from backroom.store.sqlite_accounts import SqliteAccountStore
from backroom.store.sqlite_instances import SqliteClusterStore, SqliteInstanceStore
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
    return Stores(
        tasks=SqliteTaskStore(reader, writer, lambda: woken.append(None)),
        instances=SqliteInstanceStore(reader, writer),
        clusters=SqliteClusterStore(reader, writer),
        accounts=SqliteAccountStore(reader, writer, vault),
        writer=writer,
        woken=woken,
    )
