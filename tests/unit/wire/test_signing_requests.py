"""What we send, the verifier accepts: in its standard form, and only as it was signed."""

from datetime import UTC, datetime

import msgspec
import pytest
from tests.support.signer import Signer

from backroom.wire.signing import SignedRequest, parse_authorization, verify
from backroom.wire.signing_requests import RequestKey, Unsigned, signed_headers

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
KEY = RequestKey(access_key="AK1", secret_key="the-secret")
HOST = ("Host", "127.0.0.1:8443")

REQUESTS = [
    Unsigned("GET", "/v2/p/instances", [HOST]),
    Unsigned("GET", "/v2/p/instances?b=2&a=1&a=%20x&empty=", [HOST]),
    Unsigned("GET", "/v2/p/t%C3%B6pics/a%2Fb%20c", [HOST, ("X-Project-Id", "p")]),
    Unsigned("POST", "/v2/p/x", [HOST, ("Content-Type", "application/json")], b'{"a": 1}'),
    Unsigned("DELETE", "/v2/p/x/", [HOST, ("X-Client-Token", "t 1"), ("User-Agent", "me/1")]),
]


def verdict(request, key=KEY, secret=None, at=AT, **changes):
    headers = [(n.encode(), v.encode()) for n, v in signed_headers(request, key, at)]
    fields = {name.lower(): value for name, value in headers}
    path, _, query = request.target.encode().partition(b"?")
    sent = SignedRequest(request.method, path, query, headers, request.body)
    sent = msgspec.structs.replace(sent, **changes)
    credential = parse_authorization(fields[b"authorization"])
    return verify(sent, credential, secret or key.secret_key, AT)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.target)
class TestAccepted:
    def test_it_is_accepted_in_the_standard_form(self, request_):
        found = verdict(request_)

        assert found.accepted, found
        assert found.variant.startswith("path=decoded query=")
        assert found.variant.endswith("payload=computed")

    def test_another_signer_comes_to_the_same_signature(self, request_):
        headers = dict(signed_headers(request_, KEY, AT))
        authorization = headers.pop("Authorization")
        fields = {name.lower(): value for name, value in headers.items()}

        assert authorization == Signer("AK1", "the-secret").authorization(
            request_.method, request_.target, request_.body, fields
        )

    def test_each_part_is_signed(self, request_):
        assert not verdict(request_, method="PUT").accepted
        assert not verdict(request_, raw_path=b"/v2/other").accepted
        assert not verdict(request_, raw_query=b"other=1").accepted
        assert not verdict(request_, body=request_.body + b" ").accepted
        assert not verdict(request_, secret="another").accepted

    def test_every_header_is_signed(self, request_):
        headers = dict(signed_headers(request_, KEY, AT))
        credential = parse_authorization(headers["Authorization"])

        names = sorted(name.lower() for name in headers if name != "Authorization")
        assert list(credential.signed_headers) == names


def test_a_temporary_key_sends_its_security_token_signed():
    key = RequestKey(access_key="AK1", secret_key="the-secret", security_token="token")
    headers = dict(signed_headers(REQUESTS[0], key, AT))

    assert headers["X-Security-Token"] == "token"
    assert "x-security-token" in headers["Authorization"]
    assert verdict(REQUESTS[0], key).accepted


def test_the_date_is_the_clocks():
    assert dict(signed_headers(REQUESTS[0], KEY, AT))["X-Sdk-Date"] == "20260304T050607Z"


def test_a_key_does_not_show_its_secret():
    assert "the-secret" not in repr(KEY)
