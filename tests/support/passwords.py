from collections.abc import Iterator

import pytest

from backroom.resources import accounts


@pytest.fixture(autouse=True)
def cheap_passwords() -> Iterator[None]:
    """scrypt at its cheapest: its real cost is proven in tests/unit/resources.

    Import it into a conftest.py whose tests make a whole world.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "SCRYPT_N", 2)
        yield
