"""Signs requests as the vendor's signing guide says, in four algorithms; knows no server code."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote, unquote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hmac import HMAC

Headers = list[tuple[bytes, bytes]]

HMAC_SHA256 = "SDK-HMAC-SHA256"
HMAC_SM3 = "SDK-HMAC-SM3"
ECDSA = "SDK-ECDSA-P256-SHA256"
V11 = "V11-HMAC-SHA256"
ALGORITHMS = (HMAC_SHA256, HMAC_SM3, ECDSA, V11)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class Signer:
    access_key: str
    secret_key: str
    algorithm: str = HMAC_SHA256
    security_token: str | None = None
    service: str = "cn-north-4/kafka"

    def headers(
        self, method: str, target: str, body: bytes, at: datetime, host: str = "localhost"
    ) -> Headers:
        """All that the request must carry, Authorization included."""
        date = at.strftime("%Y%m%dT%H%M%SZ")
        fields = {"content-type": "application/json", "host": host, "x-sdk-date": date}
        if self.security_token is not None:
            fields["x-security-token"] = self.security_token
        authorization = self.authorization(method, target, body, fields)
        return [
            *((name.encode(), value.encode()) for name, value in fields.items()),
            (b"authorization", authorization.encode()),
        ]

    def authorization(self, method: str, target: str, body: bytes, fields: dict[str, str]) -> str:
        names = ";".join(sorted(fields))
        canonical = "\n".join(
            (
                method,
                canonical_path(target),
                canonical_query(target),
                *(f"{name}:{fields[name]}" for name in sorted(fields)),
                "",
                names,
                self._digest(body),
            )
        )
        lines = [self.algorithm, fields["x-sdk-date"], self._digest(canonical.encode())]
        who = f"Access={self.access_key}"
        if self.algorithm == V11:
            scope = f"{fields['x-sdk-date'][:8]}/{self.service}"
            lines.insert(2, scope)
            who = f"Credential={self.access_key}/{scope}"
            signature = _hmac_sha256(self._v11_key(scope), "\n".join(lines)).hex()
        else:
            signature = self._signature("\n".join(lines))
        return f"{self.algorithm} {who}, SignedHeaders={names}, Signature={signature}"

    def _signature(self, text: str) -> str:
        match self.algorithm:
            case "SDK-HMAC-SHA256":
                return _hmac_sha256(self.secret_key.encode(), text).hex()
            case "SDK-HMAC-SM3":
                code = HMAC(self.secret_key.encode(), hashes.SM3())
                code.update(text.encode())
                return code.finalize().hex()
            case _:
                key = ec.derive_private_key(self._scalar(), ec.SECP256R1())
                return key.sign(text.encode(), ec.ECDSA(hashes.SHA256())).hex()

    def _digest(self, content: bytes) -> str:
        if self.algorithm != HMAC_SM3:
            return hashlib.sha256(content).hexdigest()
        digest = hashes.Hash(hashes.SM3())
        digest.update(content)
        return digest.finalize().hex()

    def _v11_key(self, scope: str) -> bytes:
        extracted = hmac.digest(self.access_key.encode(), self.secret_key.encode(), "sha256")
        return hmac.digest(extracted, scope.encode() + b"\x01", "sha256").hex().encode()

    def _scalar(self) -> int:
        for counter in range(255):
            label = b"\0\0\0\1" + ECDSA.encode() + b"\0" + self.access_key.encode()
            block = label + bytes([counter]) + b"\0\0\1\0"
            candidate = int.from_bytes(hmac.digest(self.secret_key.encode(), block, "sha256"))
            if candidate <= P256_ORDER - 2:
                return candidate + 1
        raise AssertionError("no candidate fits")


def canonical_path(target: str) -> str:
    path = quote(unquote(target.partition("?")[0]), safe="/~")
    return path if path.endswith("/") else path + "/"


def canonical_query(target: str) -> str:
    query = target.partition("?")[2]
    if not query:
        return ""
    pairs = (part.partition("=") for part in query.split("&"))
    decoded = sorted((unquote_plus(key), unquote_plus(value)) for key, _, value in pairs)
    return "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in decoded)


def _hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
