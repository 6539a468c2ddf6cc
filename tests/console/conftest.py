from collections.abc import Iterator

import pytest
from tests.support.person import Person
from tests.support.world import World, make_world

from backroom.domain.account import Role
from backroom.resources import accounts


@pytest.fixture(autouse=True)
def cheap_passwords() -> Iterator[None]:
    """scrypt at its cheapest: its real cost is proven in tests/unit/resources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "SCRYPT_N", 2)
        yield


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.close()


@pytest.fixture
def admin(world) -> Person:
    return Person(world).sign_in()


@pytest.fixture
def viewer(world) -> Person:
    caller = world.caller(Role.VIEWER)
    return Person(world).sign_in(caller.signer.access_key, caller.signer.secret_key)
