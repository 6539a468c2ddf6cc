"""A development CA with a server certificate for this machine, and a truststore for Java."""

import secrets
from pathlib import Path
from typing import NamedTuple

from backroom.bootstrap import CannotServe
from backroom.data_folder import AUTHORITY_FILE

HOSTS = ("127.0.0.1", "localhost", "::1")


class TlsFiles(NamedTuple):
    """`truststore` is PKCS12 and holds the CA alone; its password is in `truststore_password`."""

    authority: Path
    certificate: Path
    key: Path
    truststore: Path
    truststore_password: Path


def tls_files(folder: Path) -> TlsFiles:
    return TlsFiles(
        folder / AUTHORITY_FILE,
        folder / "server.pem",
        folder / "server.key",
        folder / "truststore.p12",
        folder / "truststore.password",
    )


def make_certificates(folder: Path) -> TlsFiles:
    """Make what is missing; files that are there, such as your own, stay as they are.

    Raises CannotServe where only some of authority, certificate and key are there: a new one
    would not fit the others.
    """
    files = tls_files(folder)
    trio = (files.authority, files.certificate, files.key)
    present = [path for path in trio if path.exists()]
    if present and len(present) < len(trio):
        missing = ", ".join(path.name for path in trio if path not in present)
        raise CannotServe(f"{folder} lacks {missing}: add what is missing, or empty the folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not present:
        _make_trio(files)
    if not (files.truststore.exists() and files.truststore_password.exists()):
        _make_truststore(files)
    return files


def _make_trio(files: TlsFiles) -> None:
    import trustme  # noqa: PLC0415  only a first start pays for this import

    authority = trustme.CA(
        organization_name="Backroom", organization_unit_name="development CA, trust nowhere else"
    )
    server = authority.issue_cert(*HOSTS, organization_name="Backroom")
    _write(files.certificate, b"".join(blob.bytes() for blob in server.cert_chain_pems))
    _write(files.key, _as_pkcs8(server.private_key_pem.bytes()))
    _write(files.authority, authority.cert_pem.bytes())


def _make_truststore(files: TlsFiles) -> None:
    from cryptography import x509  # noqa: PLC0415  only a first start pays for these imports
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        BestAvailableEncryption,
        pkcs12,
    )

    password = secrets.token_urlsafe(12).encode()
    authorities = x509.load_pem_x509_certificates(files.authority.read_bytes())
    store = pkcs12.serialize_java_truststore(
        [
            pkcs12.PKCS12Certificate(authority, f"backroom-{number}".encode())
            for number, authority in enumerate(authorities)
        ],
        BestAvailableEncryption(password),
    )
    _write(files.truststore_password, password)
    _write(files.truststore, store)


def _as_pkcs8(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
