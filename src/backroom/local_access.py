"""Who may read a data folder needs no other proof: its endpoint and key, for commands beside it."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from backroom.data_folder import (
    AUTHORITY_FILE,
    DATABASE_FILE,
    KEY_FILE,
    TLS_FOLDER,
    ServerFile,
    last_served,
)
from backroom.domain.account import AccessKey
from backroom.domain.errors import BackroomError
from backroom.store.sqlite_keys import read_access_keys
from backroom.store.vault import FileVault


class NoLocalAccess(BackroomError):
    """The text says what to do."""


class LocalAccess(msgspec.Struct, frozen=True):
    """`authority` is the file of the CA that the server's certificate is from."""

    endpoint: str
    key: AccessKey
    authority: Path | None


def local_access(data: Path) -> LocalAccess:
    """Raises NoLocalAccess, StoreUnavailable."""
    served = _served(data)
    key = first_choice(_keys(data, served))
    if key is None:
        raise NoLocalAccess(f"{data} has no key pair; make one: backroom keys add --help")
    authority = data / TLS_FOLDER / AUTHORITY_FILE
    return LocalAccess(served.endpoint, key, authority if authority.is_file() else None)


def first_choice(keys: Iterable[AccessKey]) -> AccessKey | None:
    """The generated key; once that is revoked, the first of the permanent ones."""
    permanent = (key for key in keys if key.expires_at is None)
    return min(permanent, key=lambda key: (not key.is_generated, key.created_at), default=None)


def _served(data: Path) -> ServerFile:
    served = last_served(data)
    if served is None:
        raise NoLocalAccess(f"no server has run on {data}")
    return served


def _keys(data: Path, served: ServerFile) -> list[AccessKey]:
    database = _file(data, served.database)
    if database is None:
        raise NoLocalAccess(
            f"the keys of {data} are in PostgreSQL: say which one to use, as by "
            f'eval "$(backroom env --data {data})"'
        )
    if not database.is_file() or not (data / KEY_FILE).is_file():
        raise NoLocalAccess(f"{data} holds no data yet; run: backroom serve --data {data}")
    try:
        return read_access_keys(database, FileVault(data / KEY_FILE))
    except OSError as error:
        raise NoLocalAccess(f"{data}: {error.strerror}") from None


def _file(data: Path, url: str | None) -> Path | None:
    if url is None:
        return data / DATABASE_FILE
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
