"""What the real service looks like to a client: our server with nothing but the official calls."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.support.answering import Answering, Asked, answering

HIDDEN = ("/backroom/", "/healthz", "/readyz", "/metrics")
EXTRA_HEADERS = {"etag", "retry-after", "preference-applied"}
_UNKNOWN = json.dumps(
    {"error_code": "APIGW.0101", "error_msg": "The API does not exist.", "request_id": "0" * 32}
).encode()


@contextmanager
def official_only(endpoint: str) -> Iterator[Answering]:
    """In front of a server that speaks plain HTTP; signatures go through, Host and all."""
    url = urlsplit(endpoint)

    def reply(asked: Asked):
        if asked.path.startswith(HIDDEN):
            return 404, {"Content-Type": "application/json"}, _UNKNOWN
        link = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        try:
            link.request(asked.method, asked.target, asked.body or None, asked.headers)
            answer = link.getresponse()
            content = answer.read()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in EXTRA_HEADERS | {"content-length", "date", "server"}
            }
            return answer.status, headers, content
        finally:
            link.close()

    with answering(reply) as made:
        yield made
