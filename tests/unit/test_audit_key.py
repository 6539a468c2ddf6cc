import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from backroom.audit_key import AuditKey, UnusableKey, fingerprint, is_signed, read_public_key


def test_key_is_made_once_and_is_its_owners(tmp_path):
    path = tmp_path / "audit.key"
    made = AuditKey(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert AuditKey(path).public_key == made.public_key
    assert list(tmp_path.iterdir()) == [path]


def test_those_that_make_it_at_once_have_the_same(tmp_path):
    path = tmp_path / "audit.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: AuditKey(path).public_key, range(8)))
    assert set(keys) == {AuditKey(path).public_key}


def test_signature_fits_its_key_and_text_only(tmp_path):
    key, other = AuditKey(tmp_path / "a"), AuditKey(tmp_path / "b")
    signature = key.sign(b"text")
    assert is_signed(key.public_key, signature, b"text")
    assert not is_signed(key.public_key, signature, b"texd")
    assert not is_signed(other.public_key, signature, b"text")
    assert not is_signed(key.public_key, signature[:-1], b"text")
    assert not is_signed(b"short", signature, b"text")
    assert fingerprint(key.public_key) != fingerprint(other.public_key)


def test_public_key_is_read_from_what_was_printed(tmp_path):
    key = AuditKey(tmp_path / "a")
    (tmp_path / "public.pem").write_text(key.public_pem)
    assert read_public_key(tmp_path / "public.pem") == key.public_key


def test_what_is_no_key_is_refused(tmp_path):
    file = tmp_path / "file"
    other = generate_private_key(SECP256R1())
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for text, read in ((private, AuditKey), (public, read_public_key)):
        for content in (b"", b"nonsense", text):
            file.write_bytes(content)
            with pytest.raises(UnusableKey, match="file"):
                read(file)
    with pytest.raises(UnusableKey, match="No such file"):
        AuditKey(tmp_path / "missing" / "audit.key")
    with pytest.raises(UnusableKey, match="No such file"):
        read_public_key(tmp_path / "missing")
