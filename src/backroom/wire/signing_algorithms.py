"""Digests, keys and signatures of the four algorithms; knows nothing of HTTP."""

import hashlib
import hmac
from enum import StrEnum, unique
from typing import assert_never


@unique
class Algorithm(StrEnum):
    HMAC_SHA256 = "SDK-HMAC-SHA256"
    HMAC_SM3 = "SDK-HMAC-SM3"
    ECDSA_P256_SHA256 = "SDK-ECDSA-P256-SHA256"
    V11_HMAC_SHA256 = "V11-HMAC-SHA256"


class AlgorithmUnavailable(Exception):
    """The cryptography library was built without it, as FIPS builds are without SM3."""


class SigningKey:
    """One access key and its secret under one algorithm; its repr shows neither."""

    __slots__ = ("_access_key", "_algorithm", "_scope", "_secret")

    def __init__(
        self, algorithm: Algorithm, access_key: str, secret_key: str, scope: str | None
    ) -> None:
        self._algorithm = algorithm
        self._access_key = wire_bytes(access_key)
        self._secret = secret_bytes(secret_key)
        self._scope = wire_bytes(scope or "")

    def fits(self, signature: str, text: bytes) -> bool:
        """Whether `signature` is this key's over `text`; any nonsense is just False."""
        match self._algorithm:
            case Algorithm.HMAC_SHA256:
                expected = hmac.digest(self._secret, text, "sha256").hex()
            case Algorithm.V11_HMAC_SHA256:
                derived = _v11_key(self._access_key, self._secret, self._scope)
                expected = hmac.digest(derived, text, "sha256").hex()
            case Algorithm.HMAC_SM3:
                expected = _hmac_sm3_hex(self._secret, text)
            case Algorithm.ECDSA_P256_SHA256:
                return _ecdsa_fits(self._access_key, self._secret, signature, text)
            case _:
                assert_never(self._algorithm)
        return same_text(expected, signature)


def digest_hex(algorithm: Algorithm, content: bytes) -> str:
    if algorithm is Algorithm.HMAC_SM3:
        return _sm3_hex(content)
    return hashlib.sha256(content).hexdigest()


def body_hash_header(algorithm: Algorithm) -> bytes:
    # [P] the SM3 signers of Python and Go look only at their own header
    return b"x-sdk-content-sm3" if algorithm is Algorithm.HMAC_SM3 else b"x-sdk-content-sha256"


def text_to_sign(algorithm: Algorithm, date: bytes, scope: str | None, canonical: bytes) -> bytes:
    lines = [algorithm.encode(), date, digest_hex(algorithm, canonical).encode()]
    if algorithm is Algorithm.V11_HMAC_SHA256:
        lines.insert(2, wire_bytes(scope or ""))
    return b"\n".join(lines)


def same_text(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), wire_bytes(given))


def wire_bytes(text: str) -> bytes:
    # surrogatepass: no text at all may make a verifier raise
    return text.encode("utf-8", "surrogatepass")


def secret_bytes(secret_key: str) -> bytes:
    # surrogateescape: a secret read from the environment may hold undecodable bytes
    return secret_key.encode("utf-8", "surrogateescape")


def _v11_key(access_key: bytes, secret: bytes, scope: bytes) -> bytes:
    # [P] RFC 5869 with one block; the key is the *hex text* of its output
    extracted = hmac.digest(access_key, secret, "sha256")
    return hmac.digest(extracted, scope + b"\x01", "sha256").hex().encode()


# cryptography takes as long to import as all the rest: only those who use it pay.


def _sm3_hex(content: bytes) -> str:
    from backroom.wire import signing_openssl  # noqa: PLC0415 - see above

    try:
        return signing_openssl.sm3_hex(content)
    except signing_openssl.UnsupportedAlgorithm as error:
        raise AlgorithmUnavailable(Algorithm.HMAC_SM3) from error


def _hmac_sm3_hex(secret: bytes, text: bytes) -> str:
    from backroom.wire import signing_openssl  # noqa: PLC0415 - see above

    return signing_openssl.hmac_sm3_hex(secret, text)


def proof_of(algorithm: Algorithm, signature: str) -> str:
    """What all signatures that can be made from this one without the key have in common."""
    if algorithm is not Algorithm.ECDSA_P256_SHA256:
        return signature
    from backroom.wire import signing_openssl  # noqa: PLC0415 - see above

    return signing_openssl.ecdsa_nonce(signature)


def _ecdsa_fits(access_key: bytes, secret: bytes, signature: str, text: bytes) -> bool:
    from backroom.wire import signing_openssl  # noqa: PLC0415 - see above

    return signing_openssl.ecdsa_fits(access_key, secret, signature, text)
