import shutil

import pytest
from tests.support.filled import filled_world


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    filled_world(folder).close()
    return folder


@pytest.fixture
def data(filled, tmp_path):
    """A folder of its own with something of everything in it."""
    shutil.copytree(filled, tmp_path / "data")
    return tmp_path / "data"
