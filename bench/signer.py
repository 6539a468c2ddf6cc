"""Signs requests as an SDK does, many at once, so that signing is not what is measured."""

import hashlib
import hmac
from datetime import UTC, datetime

EMPTY = hashlib.sha256(b"").hexdigest()
USER_AGENT = "huaweicloud-usdk-python/3.0; bench"


def signed_get(
    port: int, path: str, query: str, access_key: str, secret_key: str, project_id: str
) -> bytes:
    """A whole HTTP/1.1 request; `query` must be sorted and encoded already."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/json",
        "host": f"127.0.0.1:{port}",
        "user-agent": USER_AGENT,
        "x-project-id": project_id,
        "x-sdk-date": date,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"GET\n{path}/\n{query}\n{lines}\n{names}\n{EMPTY}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"SDK-HMAC-SHA256\n{date}\n{digest}"
    signature = hmac.new(secret_key.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"SDK-HMAC-SHA256 Access={access_key}, SignedHeaders={names}, Signature={signature}"
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    target = f"{path}?{query}" if query else path
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()
