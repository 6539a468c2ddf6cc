"""SM3 and ECDSA: what the standard library has not. Import it only when it is needed.

The SM3 functions raise UnsupportedAlgorithm if OpenSSL was built without it.
"""

import functools
import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC

__all__ = ["UnsupportedAlgorithm", "ecdsa_fits", "ecdsa_nonce", "hmac_sm3_hex", "sm3_hex"]

# FIPS 186-4, D.1.2.3
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DER_HEX_DIGITS_MAX: Final = 144  # two 33-byte integers with their tags in one sequence: 72 bytes
CANDIDATES_MAX: Final = 255  # the counter of the vendor's derivation is one byte

_ECDSA: Final = ec.ECDSA(hashes.SHA256())
_LABEL: Final = b"SDK-ECDSA-P256-SHA256"


def sm3_hex(content: bytes) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(content)
    return digest.finalize().hex()


def hmac_sm3_hex(secret: bytes, text: bytes) -> str:
    code = HMAC(secret, hashes.SM3())
    code.update(text)
    return code.finalize().hex()


def ecdsa_fits(access_key: bytes, secret: bytes, signature: str, text: bytes) -> bool:
    if len(signature) > DER_HEX_DIGITS_MAX or signature != signature.lower():
        return False
    try:
        _public_key(access_key, secret).verify(bytes.fromhex(signature), text, _ECDSA)
    except (InvalidSignature, ValueError):  # not its signature; not hexadecimal or not DER
        return False
    return True


def ecdsa_nonce(signature: str) -> str:
    """The half of a signature that fits that is the same in its only other form, (r, n - s)."""
    return f"{decode_dss_signature(bytes.fromhex(signature))[0]:x}"


@functools.lru_cache(maxsize=256)
def _public_key(access_key: bytes, secret: bytes) -> ec.EllipticCurvePublicKey:
    return ec.derive_private_key(_scalar(access_key, secret), ec.SECP256R1()).public_key()


def _scalar(access_key: bytes, secret: bytes) -> int:
    # [P] the first candidate all but always does: it is too large once in 2^32
    for counter in range(CANDIDATES_MAX):
        block = b"\0\0\0\1%b\0%b%c\0\0\1\0" % (_LABEL, access_key, counter)
        candidate = int.from_bytes(hmac.digest(secret, block, "sha256"), "big")
        if candidate <= P256_ORDER - 2:
            return candidate + 1
    raise ValueError(CANDIDATES_MAX)
