"""Opens the data folder that a command works on, beside a server that may be running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from backroom.bootstrap import Backroom, assemble
from backroom.domain.errors import BackroomError
from backroom.settings import DATABASE_FILE, Settings, default_data


class NothingThere(BackroomError):
    pass


@asynccontextmanager
async def opened(data: Path | None) -> AsyncIterator[Backroom]:
    """Raises NothingThere for a folder that no server has filled yet."""
    settings = Settings(data=(data or default_data()).absolute())
    if not (settings.data / DATABASE_FILE).exists():
        raise NothingThere(
            f"{settings.data} holds no data yet; run: backroom serve --data {settings.data}"
        )
    backroom = assemble(settings)
    try:
        yield backroom
    finally:
        backroom.close()
