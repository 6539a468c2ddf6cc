from collections.abc import Iterator

import pytest
from tests.support.passwords import cheap_passwords  # noqa: F401  pytest finds it by its name
from tests.support.person import Person
from tests.support.postgres_server import _postgres_stopped_at_the_end  # noqa: F401  same
from tests.support.world import ON_EACH_DATABASE, World, world_on

from backroom.domain.account import Role


@pytest.fixture(params=ON_EACH_DATABASE)
def world(request, tmp_path) -> Iterator[World]:
    """An empty data folder after its first start, nothing running."""
    with world_on(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def admin(world) -> Person:
    return Person(world).sign_in()


@pytest.fixture
def viewer(world) -> Person:
    caller = world.caller(Role.VIEWER)
    return Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)
