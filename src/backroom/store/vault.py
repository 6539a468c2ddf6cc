"""Seals secrets with a key file that never leaves the data folder."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from backroom.domain.errors import StoreUnavailable


class FileVault:
    """Fernet (AES-128-CBC with HMAC-SHA256) under the key in `path`, made when it seals first.

    Raises StoreUnavailable for a file that can't be read or holds no key.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fernet: Fernet | None = None

    def seal(self, plain: bytes) -> bytes:
        return self._opened().encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises StoreUnavailable when it was sealed under another key."""
        if self._fernet is None and not self._path.exists():
            raise StoreUnavailable(f"{self._path} is gone, which opens the secrets; put it back")
        try:
            return self._opened().decrypt(sealed)
        except InvalidToken:
            raise StoreUnavailable("a secret was sealed under another key file") from None

    def _opened(self) -> Fernet:
        if self._fernet is None:
            try:
                self._fernet = Fernet(_key(self._path))
            except OSError as error:
                raise StoreUnavailable(f"{self._path}: {error.strerror}") from None
            except ValueError:
                raise StoreUnavailable(
                    f"{self._path} holds no key; put the right one back"
                ) from None
        return self._fernet


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
