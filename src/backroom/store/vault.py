"""Seals secrets with a key file that never leaves the data folder."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from backroom.domain.errors import StoreUnavailable


class FileVault:
    """Fernet (AES-128-CBC with HMAC-SHA256) under the key in `path`."""

    def __init__(self, path: Path) -> None:
        self._fernet = Fernet(_key(path))

    def seal(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises StoreUnavailable when it was sealed under another key."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise StoreUnavailable("a secret was sealed under another key file") from None


def _key(path: Path) -> bytes:
    """The key in the file; made on first use, readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes().strip()
    with os.fdopen(descriptor, "wb") as file:
        key = Fernet.generate_key()
        file.write(key + b"\n")
    return key
