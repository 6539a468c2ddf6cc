import pytest
from tests.support.coroutines import pytest_pyfunc_call  # noqa: F401  pytest finds the hook by its name
from tests.support.engine_world import World


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()
