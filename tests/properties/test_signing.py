import hashlib
import hmac
import string
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from backroom.wire import signing
from backroom.wire.signing import Algorithm, Credential, Reason, SignedRequest

NOW = datetime(2026, 11, 24, 3, 2, 43, tzinfo=UTC)
DATE = "20261124T030243Z"
SECRET = "a made-up secret"

wild_bytes = st.binary(max_size=60)
wild_text = st.text(st.characters(codec=None), max_size=30)  # surrogates too
known_names = st.sampled_from([
    b"host", b"Host", b"X-Sdk-Date", b"x-sdk-content-sha256", b"X-Sdk-Content-Sm3",
    b"authorization", b"user-agent",
])  # fmt: skip
known_values = st.sampled_from([DATE.encode(), b"UNSIGNED-PAYLOAD", b"0" * 64])
wild_requests = st.builds(
    SignedRequest,
    method=st.sampled_from(["GET", "POST"]) | wild_text,
    raw_path=wild_bytes,
    raw_query=wild_bytes,
    headers=st.lists(st.tuples(known_names | wild_bytes, known_values | wild_bytes), max_size=6),
    body=wild_bytes,
)
wild_credentials = st.builds(
    Credential,
    algorithm=st.sampled_from(Algorithm),
    access_key=wild_text,
    signed_headers=st.lists(
        st.sampled_from(["x-sdk-date", "host", "user-agent"]) | wild_text, max_size=4
    ).map(tuple),
    signature=wild_text | st.binary(max_size=80).map(bytes.hex),
    scope=st.none() | wild_text | st.just("20261124/r/s"),
)

letters = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.text(string.printable.strip(), min_size=1, max_size=12)


def sign(method, path, parameters, headers, body):
    """A client of its own: canonical from the *decoded* request, as the guide says."""
    lines = {name.lower(): value.strip() for name, value in headers.items()}
    names = sorted(lines)
    pairs = sorted((k.encode(), v.encode()) for k, v in parameters)
    canonical = "\n".join(
        [
            method,
            quote(path, safe="/~") + ("" if path.endswith("/") else "/"),
            "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs),
            *[f"{name}:{lines[name]}" for name in names],
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"SDK-HMAC-SHA256\n{lines['x-sdk-date']}\n{digest}"
    signature = hmac.new(SECRET.encode(), to_sign.encode(), "sha256").hexdigest()
    return f"SDK-HMAC-SHA256 Access=AK, SignedHeaders={';'.join(names)}, Signature={signature}"


@st.composite
def requests(draw, words=texts):
    """A signed request on the wire, quoted in one of the ways clients do it."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    path = "/" + "/".join(draw(st.lists(words, max_size=4)))
    parameters = draw(st.lists(st.tuples(words, words), max_size=4))
    headers = {"Host": "127.0.0.1:8443", "X-Sdk-Date": DATE}
    headers |= draw(st.dictionaries(letters.map("X-A{}".format), values, max_size=3))
    body = draw(st.binary(max_size=40))
    value = sign(method, path, parameters, headers, body)
    plain = draw(st.sampled_from(["", "~", "~!$'()*,:;@[]"]))
    blank = draw(st.sampled_from(["%20", "+"]))
    query = "&".join(
        f"{quote(k, safe=plain)}={quote(v, safe=plain)}" for k, v in parameters
    ).replace("%20", blank)
    sent = [(n.encode(), v.encode()) for n, v in headers.items()]
    return SignedRequest(
        method=method,
        raw_path=quote(path, safe=plain + "/").encode(),
        raw_query=query.encode(),
        headers=[*sent, (b"Authorization", value.encode())],
        body=body,
    )


def judge(request):
    (value,) = [v for n, v in request.headers if n.lower() == b"authorization"]
    return signing.verify(request, signing.parse_authorization(value), SECRET, NOW)


@given(wild_requests, wild_credentials)
def test_nothing_a_client_sends_makes_it_raise(request, credential):
    verdict = signing.verify(request, credential, SECRET, NOW)
    assert not verdict.accepted
    assert verdict.reason != Reason.OK
    verdict.canonical_request.encode()
    assert len(list(signing.candidates(request, credential))) <= 24
    signing.signed_at(request)


def outcome_of_parsing(value):
    try:
        return signing.parse_authorization(value)
    except signing.MalformedAuthorization as error:
        return str(error)


@given(wild_bytes | wild_text)
@example(b"SDK-HMAC-SHA256 Access=A, SignedHeaders=host, Signature=" + b"0" * 64)
@example("V11-HMAC-SHA256 Credential=A/20261124/r/s, SignedHeaders=host, Signature=00")
def test_authorization_is_parsed_or_malformed(value):
    assert outcome_of_parsing(value)


@given(st.sampled_from([*Algorithm, "Basic"]), letters, st.lists(wild_text, max_size=4), wild_text)
def test_authorization_with_wild_parts_is_parsed_or_malformed(algorithm, key, names, signature):
    value = f"{algorithm} Access={key}, SignedHeaders={';'.join(names)}, Signature={signature}"
    assert outcome_of_parsing(value)


@given(requests())
def test_signed_request_is_accepted(request):
    assert judge(request).reason == Reason.OK


@given(requests())
def test_short_cut_agrees_with_the_whole_rule(request):
    names = {name.lower() for name, _ in request.headers}
    assume(len(names) == len(request.headers))  # one that comes twice is in doubt, and goes slowly
    value = dict(request.headers)[b"Authorization"]
    credential = signing.parse_authorization(value)
    slowly = signing._verify_each_candidate(request, credential, SECRET, NOW)
    assert signing._fits_plainly(request, credential, SECRET, NOW)
    assert slowly == judge(request)


@given(wild_requests, wild_credentials, st.booleans())
def test_short_cut_accepts_nothing_the_whole_rule_refuses(request, credential, is_dated):
    if is_dated:
        request = msgspec.structs.replace(
            request, method="GET", headers=[*request.headers, (b"x-sdk-date", DATE.encode())]
        )
    names = tuple({name.lower().decode("latin-1") for name, _ in request.headers})
    credential = msgspec.structs.replace(
        credential, algorithm=Algorithm.HMAC_SHA256, signed_headers=names, scope=None
    )
    standard = next(signing.candidates(request, credential)).canonical_request
    to_sign = signing.string_to_sign(request, credential, standard)
    signature = hmac.digest(SECRET.encode(), to_sign, "sha256").hex()
    credential = msgspec.structs.replace(credential, signature=signature)
    if signing._fits_plainly(request, credential, SECRET, NOW):
        assert signing._verify_each_candidate(request, credential, SECRET, NOW).accepted


def changed_byte(content, at, byte):
    at %= len(content)
    assume(content[at] != byte)
    return content[:at] + bytes([byte]) + content[at + 1 :]


@pytest.mark.parametrize("part", ["raw_path", "raw_query", "body"])
@given(data=st.data(), at=st.integers(0, 1000), byte=st.integers(0, 255))
def test_any_changed_byte_is_refused(part, data, at, byte):
    # letters and digits only: of those no two spellings mean the same
    request = data.draw(requests(letters))
    content = getattr(request, part)
    assume(content)
    changed = msgspec.structs.replace(request, **{part: changed_byte(content, at, byte)})
    assert not judge(changed).accepted


@given(requests(), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 255))
def test_any_changed_byte_of_a_signed_header_is_refused(request, which, at, byte):
    headers = list(request.headers)
    which %= len(headers) - 1  # the last is Authorization
    name, value = headers[which]
    headers[which] = (name, changed_byte(value, at, byte))
    assert not judge(msgspec.structs.replace(request, headers=headers)).accepted


@given(requests(letters), st.data())
def test_added_or_dropped_parameter_is_refused(request, data):
    pairs = request.raw_query.split(b"&") if request.raw_query else []
    if pairs and data.draw(st.booleans()):
        del pairs[data.draw(st.integers(0, len(pairs) - 1))]
    else:
        added = data.draw(st.tuples(texts, texts).map(lambda pair: [quote(t) for t in pair]))
        pairs.append("=".join(added).encode())
    changed = msgspec.structs.replace(request, raw_query=b"&".join(pairs))
    assert not judge(changed).accepted
