"""What can be set, from flags and environment. Read once, frozen."""

import os
from pathlib import Path

import msgspec

from backroom.platforms.simulated import Timings

REGION = "cn-north-4"
DATABASE_FILE = "backroom.sqlite"
KEY_FILE = "secret.key"  # what secrets are sealed with
PASSWORD_FILE = "user.sealed"  # noqa: S105  a file name: the generated user's password, sealed
LOCK_FILE = "serving.lock"
SERVER_FILE = "server.json"  # where the server was last reached
WORKER_FILE = "worker.id"
TLS_FOLDER = "tls"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`database` is a URL; None means a SQLite file in `data`. `slots` tasks run at once."""

    data: Path
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8443  # 0: any free one
    is_plain_http: bool = False
    role: str = "all"
    slots: int = 64
    is_empty: bool = False
    allows_generated_keys_anywhere: bool = False
    is_durable: bool = True
    region: str = REGION
    timings: Timings = Timings()

    @property
    def scheme(self) -> str:
        return "http" if self.is_plain_http else "https"


def default_data() -> Path:
    """$BACKROOM_DATA, else the place where this system keeps a user's data."""
    chosen = os.environ.get("BACKROOM_DATA")
    if chosen:
        return Path(chosen)
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "backroom"
