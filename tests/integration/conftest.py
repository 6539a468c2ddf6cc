from collections.abc import Iterator

import pytest
from tests.support.passwords import cheap_passwords  # noqa: F401  pytest finds it by its name
from tests.support.processes import Served, serving
from tests.support.world import World, make_world


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    """An empty data folder after its first start, nothing running."""
    made = make_world(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def quiet_world(tmp_path_factory) -> Iterator[World]:
    """One for all tests of a module that store nothing, which most of them prove."""
    made = make_world(tmp_path_factory.mktemp("quiet"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Served]:
    """A real server with TLS, in a folder with a space and quotes in its name."""
    with serving(tmp_path_factory.mktemp("served") / 'o\'clock "data"') as server:
        yield server
