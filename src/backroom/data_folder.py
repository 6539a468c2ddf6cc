"""What lies where in a data folder; light, so that commands which only look answer fast."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

DATABASE_FILE = "backroom.sqlite"
KEY_FILE = "secret.key"  # what secrets are sealed with
AUDIT_KEY_FILE = "audit.key"  # what exported events are signed with
PASSWORD_FILE = "user.sealed"  # noqa: S105  a file name: the generated user's password, sealed
EMULATOR_FILE = "emulator"  # names the database whose records an emulator may throw away
LOCK_FILE = "serving.lock"
SERVER_FILE = "server.json"  # where the server was last reached
WORKER_FILE = "worker.id"
TLS_FOLDER = "tls"
AUTHORITY_FILE = "ca.pem"  # in the folder of TLS


class ServerFile(msgspec.Struct, frozen=True):
    """What other commands read: where this data folder was last served, and from which database."""

    endpoint: str
    pid: int
    database: str | None = None


def last_served(data: Path) -> ServerFile | None:
    """None where nothing says so, or nothing that can be read."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((data / SERVER_FILE).read_bytes(), type=ServerFile)
    return None


def default_data() -> Path:
    """$BACKROOM_DATA, else the place where this system keeps a user's data."""
    chosen = os.environ.get("BACKROOM_DATA")
    if chosen:
        return Path(chosen)
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "backroom"
