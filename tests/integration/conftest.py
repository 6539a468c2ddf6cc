from collections.abc import Iterator

import pytest
from tests.support.calls import Calls
from tests.support.clocks import MovedClock
from tests.support.passwords import cheap_passwords  # noqa: F401  pytest finds it by its name
from tests.support.postgres_server import _postgres_stopped_at_the_end  # noqa: F401  same
from tests.support.processes import Served, serving
from tests.support.signer import Signer
from tests.support.world import ON_EACH_DATABASE, STARTED_AT, World, world_on

from backroom.testing.server import InProcessServer


@pytest.fixture(params=ON_EACH_DATABASE)
def world(request, tmp_path) -> Iterator[World]:
    """An empty data folder after its first start, nothing running."""
    with world_on(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=ON_EACH_DATABASE)
def watched_world(request, tmp_path) -> Iterator[World]:
    """One whose clock stands still, and can be moved while somebody waits."""
    with world_on(request.param, tmp_path, MovedClock(STARTED_AT)) as made:
        yield made


@pytest.fixture(scope="module", params=ON_EACH_DATABASE)
def quiet_world(request, tmp_path_factory) -> Iterator[World]:
    """One for all tests of a module that store nothing, which most of them prove."""
    with world_on(request.param, tmp_path_factory.mktemp("quiet")) as made:
        yield made


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Served]:
    """A real server with TLS, in a folder with a space and quotes in its name."""
    with serving(tmp_path_factory.mktemp("served") / 'o\'clock "data"') as server:
        yield server


@pytest.fixture(scope="module")
def _started():
    server = InProcessServer().start()
    yield server
    server.stop()


@pytest.fixture
def server(_started):
    _started.reset(to_empty=True)
    return _started


@pytest.fixture
def call(server):
    calls = Calls(server.endpoint, Signer(server.ak, server.sk))
    yield calls
    calls.close()
