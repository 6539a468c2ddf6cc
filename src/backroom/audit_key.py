"""The key pair that signs exported events: made when first needed, in the data folder."""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backroom.domain.errors import BackroomError


class UnusableKey(BackroomError):
    pass


class AuditKey:
    """Ed25519, PKCS 8 in PEM, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        found = _loaded(path) if path.exists() else None
        self._key = found or _made(path)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def public_pem(self) -> str:
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = self._key.public_key().public_bytes(serialization.Encoding.PEM, info)
        return pem.decode()

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


def is_signed(public_key: bytes, signature: bytes, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public_key: bytes) -> str:
    return f"SHA256:{sha256(public_key).hexdigest()}"


def read_public_key(path: Path) -> bytes:
    """The 32 bytes of a public key in PEM. Raises UnusableKey."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UnusableKey(f"{path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(f"{path}: not a public key in PEM; see: backroom audit key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UnusableKey(f"{path}: not an Ed25519 key")
    return key.public_bytes_raw()


def _loaded(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UnusableKey(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey(f"{path}: not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{path}: not an Ed25519 key")
    return key


def _made(path: Path) -> Ed25519PrivateKey:
    """Appears under its name whole or not at all; where another process was first, that one's."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        os.link(new, path)
    except FileExistsError:
        return _loaded(path)
    except OSError as error:
        raise UnusableKey(f"{path}: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
    return key
