import pytest
from tests.support.coroutines import pytest_pyfunc_call  # noqa: F401  pytest finds the hook by its name
from tests.support.databases import PostgresDatabase, SqliteFile, SqliteMemory
from tests.support.postgres_server import _postgres_stopped_at_the_end  # noqa: F401  same

DATABASES = {
    "sqlite-memory": SqliteMemory,
    "sqlite-file": SqliteFile,
    "postgres": PostgresDatabase,
}


SHARED = [name for name, kind in DATABASES.items() if kind.is_shared]


def opening(request, tmp_path):
    opened = DATABASES[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    """An empty one; each `open()` gives the stores of another process."""
    yield from opening(request, tmp_path)


@pytest.fixture(params=SHARED)
def shared(request, tmp_path):
    """An empty one that several processes can open."""
    yield from opening(request, tmp_path)


@pytest.fixture
def stores(database):
    return database.open()


@pytest.fixture
def tasks(stores):
    return stores.tasks
