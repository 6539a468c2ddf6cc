"""A PostgreSQL of the tests' own, in a temporary folder, reached by a socket in it."""

import asyncio
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

USER = "backroom"
MISSING = "no PostgreSQL here: install Debian's `postgresql`, or put initdb and postgres on PATH"
UNPRIVILEGED = ("postgres", "nobody")  # root may not run it
STARTS_WITHIN_S = 30.0
DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
EMPTY = """
DO $$
DECLARE
    name text;
    holds_rows boolean;
BEGIN
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'schema_versions'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO holds_rows;
        IF holds_rows THEN
            EXECUTE format('TRUNCATE %I', name);
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE schemaname = 'public';
END $$
"""  # quicker than a new database, and than to truncate what is empty


@cache
def binaries() -> Path | None:
    """The folder of the newest PostgreSQL found."""
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name)
    )
    for folder in [*reversed(packaged), *on_path]:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            return folder
    return None


class Cluster:
    """`start` and `stop` may be repeated; its data stay until `remove`.

    `prefix` is a command of root's that runs the server elsewhere; `trusted` a network from which
    anybody may connect.
    """

    def __init__(
        self, *settings: str, prefix: Sequence[str] = (), trusted: str | None = None
    ) -> None:
        found = binaries()
        assert found is not None, MISSING
        self._binaries = found
        self._settings = settings
        self._prefix = prefix
        self.folder = Path(tempfile.mkdtemp(prefix="backroom-pg-"))
        self._owner = _owner()
        if self._owner:
            shutil.chown(self.folder, self._owner["user"], self._owner["group"])
        self._server: subprocess.Popen[bytes] | None = None
        self._run("initdb", "--auth=trust", "--no-sync", f"--username={USER}", "--encoding=UTF8",
                  "--no-locale", "-D", str(self.data), owner=self._owner)  # fmt: skip
        if trusted is not None:
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {trusted} trust\n")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres", host: str = "") -> str:
        """By a socket, or by TCP where it listens on `host`."""
        return f"postgresql://{USER}@{host}/{database}" + ("" if host else f"?host={self.folder}")

    def start(self) -> None:
        given = ["listen_addresses=", f"unix_socket_directories={self.folder}", *self._settings]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*self._elsewhere(), self._binaries / "postgres", "-D", self.data,
                 *(f"-c{one}" for one in given)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  nothing else runs in the child
                **({} if self._prefix else self._owner),
            )  # fmt: skip
        self.sql("postgres", "SELECT 1", is_retried=True)

    def _elsewhere(self) -> Sequence[str]:
        if not self._prefix:
            return ()
        user, group = self._owner["user"], self._owner["group"]
        return (*self._prefix, "setpriv", f"--reuid={user}", f"--regid={group}",
                "--clear-groups", "--pdeathsig=INT", "--")  # fmt: skip

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts off whoever is connected, SIGQUIT is a crash."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(30)
            self._server = None

    def signal_all(self, number: signal.Signals) -> None:
        """To the server and all its processes: SIGSTOP lets it hang, SIGCONT lets it go on."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text()
        for pid in [self._server.pid, *map(int, children.split())]:
            os.kill(pid, number)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, database: str, statement: str, *, is_retried: bool = False) -> str:
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(database),
                         "-c", statement, is_retried=is_retried)  # fmt: skip

    def rows(self, database: str, statement: str) -> list[Any]:
        async def read() -> list[Any]:
            connection = await asyncpg.connect(self.url(database))
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(read())

    def _run(
        self,
        name: str,
        *arguments: str,
        is_retried: bool = False,
        owner: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        until = monotonic() + STARTS_WITHIN_S
        while True:
            done = subprocess.run(
                [self._binaries / name, *arguments],
                capture_output=True,
                text=True,
                cwd=self.folder,
                check=False,
                timeout=60,
                **owner,
            )
            if done.returncode == 0 or not is_retried or monotonic() > until:
                break
            sleep(0.02)  # another program starts: there is no event to wait for
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _owner() -> dict[str, Any]:
    """Whom the server runs as, for subprocess."""
    if os.geteuid() != 0:
        return {}
    for name in UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL can't run as root, and there is no user postgres or nobody")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGINT)


class Databases:
    """Empty databases in one cluster that is made at the first. Made once, given out again."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None
        self._free: list[str] = []
        self._count = 0

    @property
    def cluster(self) -> Cluster:
        if binaries() is None:
            pytest.skip(MISSING)
        if self._cluster is None:
            self._cluster = Cluster(*NOT_DURABLE)
            self._cluster.start()
        return self._cluster

    def take(self) -> str:
        """The name of an empty database that nobody else uses now."""
        cluster = self.cluster
        if self._free:
            return self._free.pop()
        self._count += 1
        name = f"test{self._count}"
        cluster.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def give_back(self, name: str) -> None:
        """Nobody may use it any more."""
        self.cluster.sql(name, EMPTY)
        self._free.append(name)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of an empty one."""
        name = self.take()
        yield self.cluster.url(name)
        self.give_back(name)

    def stop(self) -> None:
        if self._cluster is not None:
            self._cluster.remove()
            self._cluster = None
            self._free.clear()


DATABASES = Databases()


@pytest.fixture(scope="session", autouse=True)
def _postgres_stopped_at_the_end() -> Iterator[None]:
    """Import it into a conftest.py whose tests use DATABASES."""
    yield
    DATABASES.stop()
