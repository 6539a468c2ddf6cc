from collections.abc import Iterator

import pytest
from tests.support.world import World, make_world


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.close()
