"""Opens the data folder that a command works on, beside a server that may be running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from backroom.bootstrap import Backroom, assemble
from backroom.data_folder import last_served
from backroom.domain.errors import BackroomError
from backroom.settings import DATABASE_FILE, Settings, default_data


class NothingThere(BackroomError):
    pass


@asynccontextmanager
async def opened(data: Path | None) -> AsyncIterator[Backroom]:
    """Raises NothingThere for a folder that no server has filled yet."""
    folder = (data or default_data()).absolute()
    served = last_served(folder)
    if served is None and not (folder / DATABASE_FILE).exists():
        raise NothingThere(f"{folder} holds no data yet; run: backroom serve --data {folder}")
    database = None if served is None else served.database
    with closing(assemble(Settings(data=folder, database=database))) as backroom:
        async with backroom.opened():
            yield backroom
