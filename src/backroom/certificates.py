"""A development CA with a server certificate for this machine, and a truststore for Java."""

import secrets
from pathlib import Path
from typing import NamedTuple

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
        folder / "ca.pem",
        folder / "server.pem",
        folder / "server.key",
        folder / "truststore.p12",
        folder / "truststore.password",
    )


def make_certificates(folder: Path) -> TlsFiles:
    """Make what is missing; files that are there stay as they are."""
    files = tls_files(folder)
    if all(path.exists() for path in files):
        return files
    # only a first start pays for these imports
    import trustme  # noqa: PLC0415
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        BestAvailableEncryption,
        pkcs12,
    )

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = trustme.CA(
        organization_name="Backroom", organization_unit_name="development CA, trust nowhere else"
    )
    server = authority.issue_cert(*HOSTS, organization_name="Backroom")
    pem = authority.cert_pem.bytes()
    password = secrets.token_urlsafe(12)
    store = pkcs12.serialize_java_truststore(
        [pkcs12.PKCS12Certificate(x509.load_pem_x509_certificate(pem), b"backroom")],
        BestAvailableEncryption(password.encode()),
    )
    _write(files.truststore_password, password.encode())
    _write(files.truststore, store)
    _write(files.certificate, b"".join(blob.bytes() for blob in server.cert_chain_pems))
    _write(files.key, _as_pkcs8(server.private_key_pem.bytes()))
    _write(files.authority, pem)
    return files


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
