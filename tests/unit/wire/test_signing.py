import base64
import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run

import msgspec
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import (
    DerivationAKSKSigner,
    P256SHA256Signer,
    Signer,
    SM3Signer,
)

from backroom.wire import signing, signing_canonical, signing_openssl
from backroom.wire.signing import MalformedAuthorization, Reason, SignedRequest
from backroom.wire.signing_algorithms import SigningKey

GOLDEN = Path(__file__).parents[2] / "golden" / "signature-vectors.json"
VECTORS = {vector["id"]: vector for vector in json.loads(GOLDEN.read_bytes())["vectors"]}
NOW = datetime(2026, 11, 24, 3, 2, 43, tzinfo=UTC)
DATE = b"20261124T030243Z"
SECRET = "SKtest/abcdefghijklmnopqrstuvwxyz012345678"
EMPTY = hashlib.sha256().hexdigest().encode()
PATH = b"/v2/p/instances/i/tasks/t"


def wire_form(vector):
    path, _, query = vector["target"].partition("?")
    return SignedRequest(
        method=vector["method"],
        raw_path=path.encode("latin-1"),
        raw_query=query.encode("latin-1"),
        headers=[(n.encode("latin-1"), v.encode("latin-1")) for n, v in vector["headers"]],
        body=base64.b64decode(vector["body_base64"]),
    )


def credential_of(request):
    (value,) = [v for n, v in request.headers if n.lower() == b"authorization"]
    return signing.parse_authorization(value)


def judge(request, secret=SECRET, now=NOW):
    return signing.verify(request, credential_of(request), secret, now)


def sign(canonical, names, secret=SECRET, date=DATE):
    text = b"SDK-HMAC-SHA256\n%b\n%b" % (date, hashlib.sha256(canonical).hexdigest().encode())
    signature = hmac.digest(secret.encode(), text, "sha256").hex()
    return f"SDK-HMAC-SHA256 Access=AK, SignedHeaders={names}, Signature={signature}".encode()


def signed(  # the client of these tests: it says itself what it takes for canonical
    canonical_path=PATH + b"/",
    canonical_query=b"",
    payload=EMPTY,
    *,
    path=PATH,
    query=b"",
    body=b"",
    signed_too=(),
    unsigned=(),
    date=DATE,
    method="GET",
):
    headers = sorted([(b"host", b"127.0.0.1:8443"), (b"x-sdk-date", date), *signed_too])
    lines = b"".join(b"%b:%b\n" % header for header in headers)
    names = b";".join(dict.fromkeys(name for name, _ in headers))
    canonical = b"\n".join(
        (method.encode(), canonical_path, canonical_query, lines, names, payload)
    )
    value = sign(canonical, names.decode(), date=date)
    return SignedRequest(
        method=method,
        raw_path=path,
        raw_query=query,
        headers=[*headers, *unsigned, (b"Authorization", value)],
        body=body,
    )


def replaced(request, name, value):
    headers = [(n, value if n.lower() == name else v) for n, v in request.headers]
    return msgspec.structs.replace(request, headers=headers)


def test_golden_has_every_vector():
    assert len(VECTORS) == 126


@pytest.mark.parametrize("name", VECTORS)
def test_verdict_of_recorded_request(name):
    vector = VECTORS[name]
    request = wire_form(vector)
    verdict = judge(request, vector["sk"], signing.parse_date(vector["now"].encode()))
    assert verdict.accepted is (vector["expect"] == "valid")
    assert (verdict.reason == Reason.OK) is verdict.accepted
    assert bool(verdict.canonical_request) is not verdict.accepted


@pytest.mark.parametrize("name", [n for n, v in VECTORS.items() if "canonical_request" in v])
def test_recorded_canonical_request_is_a_candidate(name):
    vector = VECTORS[name]
    request = wire_form(vector)
    credential = credential_of(request)
    found = {
        form.canonical_request.decode(): form for form in signing.candidates(request, credential)
    }
    form = found[vector["canonical_request"]]
    to_sign = signing.string_to_sign(request, credential, form.canonical_request)
    assert to_sign.decode() == vector["string_to_sign"]
    assert f"path={vector['canonical_path_variant']} " in form.variant
    assert form.variant.endswith(f"payload={vector['body_hash_source']}")


@pytest.mark.parametrize("name", [n for n, v in VECTORS.items() if v["expect"] == "valid"])
@pytest.mark.parametrize("part", ["path", "query", "body", "date", "header", "secret"])
def test_recorded_request_is_refused_when_changed(name, part):
    vector = VECTORS[name]
    request = wire_form(vector)
    now, secret = signing.parse_date(vector["now"].encode()), vector["sk"]
    first = credential_of(request).signed_headers[0].encode()
    match part:
        case "path":
            request = msgspec.structs.replace(request, raw_path=request.raw_path + b"x")
        case "query":
            request = msgspec.structs.replace(request, raw_query=request.raw_query + b"&z=")
        case "body":
            request = msgspec.structs.replace(request, body=request.body + b" ")
        case "date":
            later = f"{now + timedelta(seconds=1):%Y%m%dT%H%M%SZ}".encode()
            request = replaced(request, b"x-sdk-date", later)
        case "header":
            request = replaced(request, first, b"other")
        case _:
            secret += "x"
    is_body_free = vector.get("canonical_request", "").endswith("UNSIGNED-PAYLOAD")
    assert judge(request, secret, now).accepted is (part == "body" and is_body_free)


OFFICIAL = {
    "SDK-HMAC-SHA256": Signer,
    "SDK-HMAC-SM3": SM3Signer,
    "SDK-ECDSA-P256-SHA256": P256SHA256Signer,
    "V11-HMAC-SHA256": DerivationAKSKSigner,
}


@pytest.mark.parametrize("algorithm", OFFICIAL)
@pytest.mark.parametrize(
    ("path", "query", "content_type", "body"),
    [
        ("/v2/p/instances/i/tasks", [], "application/json", ""),
        ("/v2/p/a%20b%2Fc%25", [("limit", 10), ("b", ["2", "10", "1"])], "application/json", ""),
        ("/v2/p/x", [("a b", "c+d=&~*'(é中"), ("flag", True), ("e", "")], "application/json", ""),
        ("/v2/p/topics", [], "application/json", '{"id": "主题"}'),
        ("/v2/p/file", [], "text/plain", "not signed"),
        ("/v2/p/file", [], "text/plain", ""),
    ],
)
def test_request_signed_by_the_official_sdk(algorithm, path, query, content_type, body):
    request = SdkRequest(
        method="POST" if body else "GET",
        schema="https",
        host="127.0.0.1:8443",
        resource_path=path,
        query_params=query,
        header_params={
            "Content-Type": content_type,
            "X-Project-Id": "0123456789abcdef0123456789abcdef",
            "User-Agent": "huaweicloud-usdk-python/3.0; é",
            "X_Not_Signed": "1",
            "X-Sdk-Date": DATE.decode(),
        },
        body=body,
    )
    signer = OFFICIAL[algorithm](BasicCredentials("AKTEST", SECRET, "p"))
    scope = ("kafka", "cn-north-4") if algorithm.startswith("V11") else ()
    signer.sign(request, *scope)
    raw_path, _, raw_query = request.uri.partition("?")
    wire = SignedRequest(
        method=request.method,
        raw_path=raw_path.encode(),
        raw_query=raw_query.encode(),
        headers=[(n.encode(), v.encode("latin-1")) for n, v in request.header_params.items()],
        body=request.body or b"",
    )
    credential = credential_of(wire)
    assert credential.algorithm == algorithm
    assert credential.access_key == "AKTEST"
    assert judge(wire).reason == Reason.OK
    assert judge(wire, SECRET + "x").reason == Reason.MISMATCH
    other = msgspec.structs.replace(credential, access_key="AKOTHER")
    is_bound_to_access_key = algorithm in ("SDK-ECDSA-P256-SHA256", "V11-HMAC-SHA256")
    verdict = signing.verify(wire, other, SECRET, NOW)
    assert verdict.accepted is not is_bound_to_access_key


def test_plain_request_is_accepted():
    assert judge(signed()) == signing.Verdict(
        accepted=True,
        variant="path=decoded query=none payload=computed",
        reason=Reason.OK,
        canonical_request="",
    )


@pytest.mark.parametrize("seconds", [0, 60, 899, 900, -60, -899, -900])
def test_date_within_fifteen_minutes_is_accepted(seconds):
    assert judge(signed(), now=NOW + timedelta(seconds=seconds)).accepted


@pytest.mark.parametrize("seconds", [901, -901, 900.5, -900.5, 86400, -86400])
def test_date_beyond_fifteen_minutes_is_refused(seconds):
    verdict = judge(signed(), now=NOW + timedelta(seconds=seconds))
    assert verdict.reason == Reason.EXPIRED
    assert verdict.canonical_request.startswith("GET\n/v2/p/instances/i/tasks/t/\n\nhost:")


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"20261124T030243",
        b"2026-11-24T03:02",
        b"20261324T030243Z",
        b"20261124t030243z",
        b"20261124T030243Z, 20261124T030243Z",
        b"2026112\xb2T030243Z",
    ],
)
def test_malformed_date_is_refused(date):
    assert judge(signed(date=date)).reason == Reason.DATE_MALFORMED


def test_missing_date_is_refused():
    request = signed()
    headers = [header for header in request.headers if header[0] != b"x-sdk-date"]
    changed = msgspec.structs.replace(request, headers=headers)
    assert judge(changed).reason == Reason.DATE_MISSING


def test_date_that_is_not_signed_is_refused():
    canonical = b"GET\n%b/\n\nhost:h\n\nhost\n%b" % (PATH, EMPTY)
    request = SignedRequest(
        method="GET",
        raw_path=PATH,
        raw_query=b"",
        headers=[
            (b"host", b"h"),
            (b"x-sdk-date", DATE),
            (b"authorization", sign(canonical, "host")),
        ],
        body=b"",
    )
    assert judge(request).reason == Reason.DATE_NOT_SIGNED


def test_date_may_be_the_only_signed_header():
    canonical = b"GET\n%b/\n\nx-sdk-date:%b\n\nx-sdk-date\n%b" % (PATH, DATE, EMPTY)
    headers = [(b"X-Sdk-Date", DATE), (b"authorization", sign(canonical, "x-sdk-date"))]
    request = SignedRequest(method="GET", raw_path=PATH, raw_query=b"", headers=headers, body=b"")
    assert judge(request).accepted


@pytest.mark.parametrize(
    ("name", "reason"),
    [(b"x-sdk-date", Reason.DATE_REPEATED), (b"authorization", Reason.AUTHORIZATION_REPEATED)],
)
def test_second_date_or_authorization_is_refused(name, reason):
    request = signed()
    (value,) = [v for n, v in request.headers if n.lower() == name]
    headers = [*request.headers, (name.upper(), value)]
    changed = msgspec.structs.replace(request, headers=headers)
    verdict = signing.verify(changed, credential_of(request), SECRET, NOW)
    assert verdict.reason == reason


def test_signed_header_that_is_missing_is_refused():
    request = signed()
    headers = [header for header in request.headers if header[0] != b"host"]
    changed = msgspec.structs.replace(request, headers=headers)
    assert judge(changed).reason == Reason.SIGNED_HEADER_MISSING


def test_header_names_have_no_case():
    request = signed(signed_too=[(b"x-a", b"1")])
    headers = [(name.title(), value) for name, value in request.headers]
    assert judge(msgspec.structs.replace(request, headers=headers)).accepted


def test_repeated_signed_header_is_one_line_for_each_value_sorted():
    request = signed(signed_too=[(b"x-a", b"1"), (b"x-a", b"2")])
    assert judge(request).accepted
    backwards = msgspec.structs.replace(request, headers=list(reversed(request.headers)))
    assert judge(backwards).accepted


def test_value_added_to_a_signed_header_is_refused():
    request = signed(signed_too=[(b"x-a", b"1")])
    headers = [*request.headers, (b"x-a", b"2")]
    assert judge(msgspec.structs.replace(request, headers=headers)).reason == Reason.MISMATCH


def test_line_break_can_not_stand_for_a_second_value():
    request = signed(signed_too=[(b"x-a", b"1"), (b"x-a", b"2")])
    headers = [header for header in request.headers if header[0] != b"x-a"]
    headers.append((b"x-a", b"1\nx-a:2"))
    changed = msgspec.structs.replace(request, headers=headers)
    assert judge(changed).reason == Reason.HEADER_MALFORMED


def test_values_are_trimmed_and_utf_8():
    request = signed(signed_too=[(b"x-a", "é中".encode())])
    changed = replaced(request, b"x-a", b" \t" + "é中".encode() + b"\t ")
    assert judge(changed).accepted
    assert judge(replaced(request, b"x-a", b"\xe9")).reason == Reason.MISMATCH


@pytest.mark.parametrize("host", [b"127.0.0.1", b"127.0.0.1:443", b"other"])
def test_other_host_is_refused_when_host_is_signed(host):
    assert judge(replaced(signed(), b"host", host)).reason == Reason.MISMATCH


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (b"/", b"/"),
        (b"/a/", b"/a/"),
        (b"//a//b", b"//a//b/"),
        (b"/a/../b/.", b"/a/../b/./"),
        (b"/a+b", b"/a%2Bb/"),
        (b"/a%2Fb", b"/a/b/"),
        (b"/a%7eb~", b"/a~b~/"),
        (b"/a%e9", b"/a%E9/"),
        (b"/%C3%A9\xc3\xa9", b"/%C3%A9%C3%A9/"),
        (b"/a%2541", b"/a%2541/"),
        (b"/a%zz%", b"/a%25zz%25/"),
        (b"/a:b@c[d]'(e)!*;=&$,", b"/a%3Ab%40c%5Bd%5D%27%28e%29%21%2A%3B%3D%26%24%2C/"),
        (b"", b"/"),
    ],
)
def test_path_is_decoded_once_and_encoded(path, canonical):
    verdict = judge(signed(canonical, path=path))
    assert verdict.variant == "path=decoded query=none payload=computed"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [(b"/a%41b", b"/a%2541b/"), (b"/a%20b%7Bc", b"/a%2520b%257Bc/"), (b"/a%2F", b"/a%252F/")],
)
def test_path_encoded_twice_is_accepted(path, canonical):
    assert judge(signed(canonical, path=path)).variant.startswith("path=double ")


@pytest.mark.parametrize("client", ["python", "go", "php", "net"])
def test_path_encoded_twice_is_refused_for_clients_that_decode(client):
    agent = (b"user-agent", f"huaweicloud-usdk-{client}/3.0".encode())
    request = signed(b"/a%2541/", path=b"/a%2541", signed_too=[agent])
    assert judge(request).accepted
    assert judge(msgspec.structs.replace(request, raw_path=b"/a%41")).reason == Reason.MISMATCH


@pytest.mark.parametrize("client", ["java", "nodejs"])
def test_path_encoded_twice_is_accepted_for_clients_that_do_not(client):
    agent = (b"user-agent", f"huaweicloud-usdk-{client}/3.0".encode())
    assert judge(signed(b"/a%2541/", path=b"/a%41", signed_too=[agent])).accepted


@pytest.mark.parametrize(
    ("query", "canonical", "variant"),
    [
        (b"a=1", b"a=1", "raw"),
        (b"b=2&a=1", b"a=1&b=2", "raw"),
        (b"a", b"a=", "raw"),
        (b"a=", b"a=", "raw"),
        (b"a=b=c", b"a=b%3Dc", "raw"),
        (b"a=b+c%2B", b"a=b%20c%2B", "raw"),
        (b"a+b=%7e~*", b"a%20b=~~%2A", "raw"),
        (b"a-b=w&a=x", b"a=x&a-b=w", "raw"),
        (b"b=2&b=10&b=1", b"b=1&b=10&b=2", "raw"),
        (b"c=1&b=2&b=10&b=1", b"b=2&b=10&b=1&c=1", "raw-key"),
        (b"a%5B=2&a-b=3&aB=1&a%5B=1", b"a%5B=2&a%5B=1&a-b=3&aB=1", "encoded-key"),
        (b"a%5B=2&a-b=3&aB=1&a%5B=1", b"a%5B=1&a%5B=2&a-b=3&aB=1", "encoded"),
        (b"2=a&10=b&9=c", b"2=a&10=b&9=c", "as-sent"),
        (b"a[b]=y", b"a%5Bb%5D=y&a[b]=y", "key-twice"),
        (
            b"b=1&a[b]=y&a%5Bb%5D=x&a[b]=",
            b"a%5Bb%5D=y&a%5Bb%5D=x&a%5Bb%5D=&a[b]=y&a[b]=x&b=1",
            "key-twice",
        ),
        (b"a=%zz&%=", b"%25=&a=%25zz", "raw"),
        (b"a=%E9", b"a=%E9", "raw"),
    ],
)
def test_query_forms(query, canonical, variant):
    verdict = judge(signed(canonical_query=canonical, query=query))
    assert verdict.variant == f"path=decoded query={variant} payload=computed"


@pytest.mark.parametrize(
    "change", [b"a=1&b=2&c=", b"a=1", b"b=1&a=2", b"a=1&b=2&", b"", b"A=1&b=2"]
)
def test_other_query_is_refused(change):
    request = signed(canonical_query=b"a=1&b=2", query=b"a=1&b=2")
    assert judge(msgspec.structs.replace(request, raw_query=change)).reason == Reason.MISMATCH


@pytest.mark.parametrize(
    ("signed_query", "other"),
    [
        # key-twice must not read one parameter as the three that were signed
        (b"x%3D1%26y=v&x=1&y=v", b"x%3D1%26y=v"),
        (b"a%2541=v&aA=v", b"a%2541=v"),
        (b"a%2Bb=v&a%20b=v", b"a%2Bb=v"),
    ],
)
def test_java_form_takes_nothing_away_from_what_was_signed(signed_query, other):
    request = signed(canonical_query=signed_query, query=signed_query)
    changed = msgspec.structs.replace(request, raw_query=other)
    assert judge(changed).reason == Reason.MISMATCH


def test_work_is_bounded_for_many_parameters():
    query = b"&".join(b"a%%5B%d=%d" % (number % 7, number) for number in range(10_000))
    request = signed(query=query)
    forms = list(signing.candidates(request, credential_of(request)))
    assert [form.variant for form in forms] == ["path=decoded query=raw payload=computed"]


def test_candidates_are_at_most_24():
    request = signed(
        path=b"/a%41",
        query=b"bB=0&b[=2&b[=1&9=3",
        unsigned=[(b"x-sdk-content-sha256", b"UNSIGNED-PAYLOAD")],
    )
    forms = [form.canonical_request for form in signing.candidates(request, credential_of(request))]
    assert len(forms) == len(set(forms)) == 24


BODY = b'{"id":"x"}'
BODY_HASH = hashlib.sha256(BODY).hexdigest().encode()


@pytest.mark.parametrize("declared", [BODY_HASH, BODY_HASH.upper()])
def test_declared_hash_of_the_body_is_accepted_as_written(declared):
    header = (b"x-sdk-content-sha256", declared)
    request = signed(payload=declared, body=BODY, signed_too=[header])
    assert judge(request).accepted
    changed = msgspec.structs.replace(request, body=BODY + b" ")
    assert judge(changed).reason == Reason.BODY_HASH_MISMATCH


@pytest.mark.parametrize("payload", [BODY_HASH, EMPTY])
def test_declared_hash_that_lies_is_refused(payload):
    header = (b"x-sdk-content-sha256", EMPTY)
    request = signed(payload=payload, body=BODY, signed_too=[header])
    assert judge(request).reason == Reason.BODY_HASH_MISMATCH


def test_declared_hash_need_not_be_signed():
    header = (b"x-sdk-content-sha256", BODY_HASH)
    assert judge(signed(payload=BODY_HASH, body=BODY, unsigned=[header])).accepted


def test_body_hash_may_not_be_declared_twice():
    header = (b"x-sdk-content-sha256", BODY_HASH)
    request = signed(payload=BODY_HASH, body=BODY, signed_too=[header, header])
    assert judge(request).reason == Reason.BODY_HASH_REPEATED


def test_unsigned_payload_leaves_the_body_free():
    header = (b"X-Sdk-Content-Sha256", b"UNSIGNED-PAYLOAD")
    request = signed(payload=b"UNSIGNED-PAYLOAD", body=BODY, unsigned=[header])
    assert judge(request).variant.endswith("payload=declared")
    assert judge(msgspec.structs.replace(request, body=b"other")).accepted


def test_unsigned_payload_can_not_be_added_to_a_signed_body():
    request = signed(payload=BODY_HASH, body=BODY)
    headers = [*request.headers, (b"X-Sdk-Content-Sha256", b"UNSIGNED-PAYLOAD")]
    changed = msgspec.structs.replace(request, headers=headers, body=b"other")
    assert judge(changed).reason == Reason.MISMATCH


def test_unsigned_payload_declared_and_empty_hash_signed_binds_the_body():
    header = (b"x-sdk-content-sha256", b"UNSIGNED-PAYLOAD")
    request = signed(signed_too=[header])
    assert judge(request).variant.endswith("payload=computed")
    assert judge(msgspec.structs.replace(request, body=b"x")).reason == Reason.MISMATCH


@pytest.mark.parametrize("declared", [b"unsigned-payload", b"STREAMING", b"", b"AAAA=="])
def test_unknown_declaration_does_not_unsign_the_body(declared):
    header = (b"x-sdk-content-sha256", declared)
    request = signed(payload=declared, body=BODY, signed_too=[header])
    assert judge(request).reason == Reason.MISMATCH
    assert judge(signed(payload=BODY_HASH, body=BODY, signed_too=[header])).accepted


def test_sm3_looks_at_its_own_header_only():
    vector = VECTORS["python/algp-HMAC_SM3"]
    request = wire_form(vector)
    now = signing.parse_date(vector["now"].encode())
    other = [*request.headers, (b"X-Sdk-Content-Sha256", EMPTY)]
    assert judge(msgspec.structs.replace(request, headers=other), vector["sk"], now).accepted
    own = [*request.headers, (b"X-Sdk-Content-Sm3", EMPTY)]
    verdict = judge(msgspec.structs.replace(request, headers=own), vector["sk"], now)
    assert verdict.reason == Reason.BODY_HASH_MISMATCH


@pytest.mark.parametrize("method", ["get", "GET\n/a/", "", "TRACE", "é"])
def test_unknown_method_is_refused(method):
    request = msgspec.structs.replace(signed(), method=method)
    assert judge(request).reason == Reason.METHOD_UNKNOWN


def test_other_method_is_refused():
    assert judge(msgspec.structs.replace(signed(), method="DELETE")).reason == Reason.MISMATCH


def test_signature_in_capitals_is_refused():
    request = signed()
    credential = credential_of(request)
    capital = msgspec.structs.replace(credential, signature=credential.signature.upper())
    assert signing.verify(request, capital, SECRET, NOW).reason == Reason.MISMATCH


@pytest.mark.parametrize("signature", ["00", "30", "3" * 5000, "zz", "3006020100020100", "ab" * 72])
def test_absurd_ecdsa_signature_is_refused(signature):
    vector = VECTORS["python/alg-ECDSA_P256_SHA256"]
    request = wire_form(vector)
    credential = msgspec.structs.replace(credential_of(request), signature=signature)
    now = signing.parse_date(vector["now"].encode())
    assert signing.verify(request, credential, vector["sk"], now).reason == Reason.MISMATCH


def test_v11_scope_of_another_day_is_refused():
    vector = VECTORS["go/derived"]
    request = wire_form(vector)
    credential = msgspec.structs.replace(credential_of(request), scope="20261123/cn-north-4/kafka")
    now = signing.parse_date(vector["now"].encode())
    verdict = signing.verify(request, credential, vector["sk"], now)
    assert verdict.reason == Reason.SCOPE_MISMATCH


def test_sm3_that_openssl_lacks_is_refused(monkeypatch):
    def lacks(_content):
        raise signing_openssl.UnsupportedAlgorithm("no SM3")

    monkeypatch.setattr(signing_openssl, "sm3_hex", lacks)
    vector = VECTORS["go/alg-HmacSM3"]
    verdict = judge(wire_form(vector), vector["sk"], signing.parse_date(vector["now"].encode()))
    assert verdict.reason == Reason.ALGORITHM_UNAVAILABLE


@pytest.mark.parametrize(
    "value",
    [
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=0a",
        b"SDK-HMAC-SHA256 Access=AK, SignedHeaders=Host;X-Sdk-Date, Signature=0a",
        b"SDK-HMAC-SHA256  Access=AK,SignedHeaders=host;x-sdk-date ,  Signature=0a ",
    ],
)
def test_authorization_is_parsed(value):
    credential = signing.parse_authorization(value)
    assert credential == signing.Credential(
        signing.Algorithm.HMAC_SHA256, "AK", ("host", "x-sdk-date"), "0a", None
    )


def test_v11_authorization_has_a_scope():
    credential = signing.parse_authorization(
        b"V11-HMAC-SHA256 Credential=A/K/20261124/cn-north-4/kafka, SignedHeaders=host, Signature=0"
    )
    assert credential.access_key == "A/K"
    assert credential.scope == "20261124/cn-north-4/kafka"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "begins with ''; use one of SDK-HMAC-SHA256"),
        (b"Bearer abc", "begins with 'Bearer'"),
        (b"SDK-SM2-SM3 Access=AK, SignedHeaders=host, Signature=00", "'SDK-SM2-SM3' is not supp"),
        (b"SDK-HMAC-SHA256 Access=AK, Signature=00", "has no SignedHeaders="),
        (b"SDK-HMAC-SHA256 SignedHeaders=host, Signature=00", "has no Access="),
        (b"V11-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=00", "has Credential=, not"),
        (b"SDK-HMAC-SHA256 Credential=AK, SignedHeaders=host, Signature=00", "has Access=, not"),
        (b"V11-HMAC-SHA256 Credential=AK, SignedHeaders=a, Signature=00", "<yyyymmdd>/<region>"),
        (b"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host", "has no Signature="),
        (b"SDK-HMAC-SHA256 ", "has no Access= and no SignedHeaders= and no Signature="),
        (b"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=", "must end in Signature="),
        (b"SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=\xe9", "must end in"),
        (b"SDK-HMAC-SHA256 Access=AK SignedHeaders=host, Signature=00", "must be: SDK-HMAC-SHA256"),
        (b"SDK-HMAC-SHA256 Access=A, SignedHeaders=host;HOST, Signature=00", "a name twice"),
        (b"SDK-HMAC-SHA256 Access=A, SignedHeaders=host;;b, Signature=00", "'', which is no"),
        (b"SDK-HMAC-SHA256 Access=A, SignedHeaders=a:b, Signature=00", "'a:b', which is no"),
        (b"x" * 9000, "longer than 8192"),
        (
            b"SDK-HMAC-SHA256 Access=A, SignedHeaders=%b, Signature=00"
            % b";".join(b"h%d" % number for number in range(65)),
            "more than 64 names",
        ),
    ],
)
def test_malformed_authorization_says_what_is_wrong(value, text):
    with pytest.raises(MalformedAuthorization) as raised:
        signing.parse_authorization(value)
    assert text in str(raised.value)


def test_no_signed_headers_is_a_refusal_not_a_fault():
    credential = signing.parse_authorization(
        "SDK-HMAC-SHA256 Access=AK, SignedHeaders=, Signature=00"
    )
    verdict = signing.verify(signed(), credential, SECRET, NOW)
    assert verdict.reason == Reason.DATE_NOT_SIGNED


def test_short_cut_needs_no_cryptography():
    code = (
        "import sys; import backroom.wire.signing; "
        "sys.exit(any(name.startswith('cryptography') for name in sys.modules))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_signing_key_does_not_show_its_secret():
    key = SigningKey(signing.Algorithm.HMAC_SHA256, "AK", SECRET, None)
    assert SECRET not in repr(key)


def test_reordering_keeps_the_parameters():
    query = b"b=2&b=10&a%5B=1&c&b=1"
    standard = sorted(signing_canonical.canonical_query(query).split(b"&"))
    for name, text in signing_canonical.query_candidates(query):
        if name != "key-twice":
            assert sorted(text.split(b"&")) == standard


def test_private_key_is_sought_until_one_fits_the_curve(monkeypatch):
    first = signing_openssl._scalar(b"AK", b"SK")
    monkeypatch.setattr(signing_openssl, "P256_ORDER", first)  # now its candidate is too large
    assert 0 < signing_openssl._scalar(b"AK", b"SK") < first
    monkeypatch.setattr(signing_openssl, "P256_ORDER", 0)
    with pytest.raises(ValueError, match="255"):
        signing_openssl._scalar(b"AK", b"SK")
