"""Reads key pairs from a SQLite file beside whoever writes; imports little."""

from contextlib import closing
from pathlib import Path

import apsw

from backroom.domain.account import AccessKey
from backroom.ports import Vault
from backroom.store import rows
from backroom.store.connection import translated
from backroom.store.queries import load
from backroom.store.sqlite_tables import open_read_only

_SQL = load("accounts")


def read_access_keys(path: Path, vault: Vault) -> list[AccessKey]:
    """Raises StoreUnavailable."""
    with closing(open_read_only(path)) as connection:
        try:
            found = list(connection.execute(_SQL.access_keys))
        except apsw.Error as error:
            raise translated(error) from error
        return [rows.access_key(row, vault.unseal) for row in found]
