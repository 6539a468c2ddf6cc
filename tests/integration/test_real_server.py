"""What the HTTP server in front adds or takes away: framing, sizes, HTTP/2."""

import json
import shutil
import ssl
import subprocess
from http.client import HTTPSConnection

import pytest
from tests.support.bodies import login_body
from tests.support.processes import environment

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
LOGIN = "/v3/auth/tokens"


@pytest.fixture(scope="module")
def context(served):
    return ssl.create_default_context(cafile=str(served.authority))


@pytest.fixture
def connection(served, context):
    made = HTTPSConnection("127.0.0.1", served.port, context=context, timeout=20)
    yield made
    made.close()


def ask(connection, method, target, body=None, headers=None):
    connection.request(method, target, body, headers or {})
    response = connection.getresponse()
    return response, response.read()


def error(response, body):
    assert response.headers["Content-Type"] == "application/json"
    content = json.loads(body)
    assert response.headers["X-Request-Id"] == content["request_id"]
    return response.status, content["error_code"]


def raw(served, context, request):
    """The bytes as they are; what comes back until the server closes."""
    connection = HTTPSConnection("127.0.0.1", served.port, context=context, timeout=20)
    try:
        connection.connect()
        connection.sock.sendall(request)
        answer = b""
        while part := connection.sock.recv(65536):
            answer += part
        return answer
    finally:
        connection.close()


def test_a_session_by_token(served, connection):
    env = environment(served.data)
    login = login_body(
        env["BACKROOM_USER_NAME"],
        env["BACKROOM_USER_PASSWORD"],
        project={"name": env["BACKROOM_REGION"]},
    )
    response, _ = ask(connection, "POST", LOGIN, json.dumps(login))
    assert response.status == 201
    token = {"X-Auth-Token": response.headers["X-Subject-Token"]}
    path = f"/v2/{env['BACKROOM_PROJECT_ID']}/instances/{env['BACKROOM_INSTANCE_ID']}"
    response, body = ask(connection, "GET", f"{path}/tasks", headers=token)
    assert response.status == 200
    assert isinstance(json.loads(body)["task_count"], str)


def test_one_connection_serves_refusals_and_goes_on(connection):
    for _ in range(3):
        assert error(*ask(connection, "GET", "/nowhere")) == (404, "DMS.00404001")
        assert error(*ask(connection, "POST", LOGIN, b"{")) == (400, "DMS.00400005")
        response, body = ask(connection, "HEAD", LOGIN)
        assert (response.status, body) == (405, b"")
        assert response.headers["X-Request-Id"]


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB, 12 * MIB])
def test_too_large_a_body_is_sent_to_its_end_and_answered(connection, size):
    for target in (LOGIN, "/nowhere"):
        assert error(*ask(connection, "POST", target, b"x" * size)) == (413, "APIGW.0201")


def test_too_large_a_body_in_chunks(connection):
    chunks = (b"x" * 65536 for _ in range(40))
    connection.request("POST", LOGIN, chunks, {}, encode_chunked=True)
    response = connection.getresponse()
    assert error(response, response.read()) == (413, "APIGW.0201")


def test_a_body_in_chunks(connection):
    connection.request("POST", LOGIN, iter([b"{", b"}"]), {}, encode_chunked=True)
    response = connection.getresponse()
    assert error(response, response.read()) == (400, "DMS.00400062")


def test_headers_of_more_than_64_kib(connection):
    headers = {"X-Large": "a" * 70_000}
    assert error(*ask(connection, "GET", "/v3/regions", headers=headers)) == (494, "APIGW.0201")


def test_a_long_path(connection):
    assert error(*ask(connection, "GET", "/" + "a" * 60_000)) == (404, "DMS.00404001")


@pytest.mark.parametrize(
    "request_line",
    [b"OPTIONS * HTTP/1.1", b"GET http://else.where/nowhere HTTP/1.1", b"GET /%00 HTTP/1.1",
     b"GET //// HTTP/1.1", b"GET /v2/../../etc/passwd HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1"],
)  # fmt: skip
def test_odd_targets_are_not_found(served, context, request_line):
    answer = raw(served, context, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 404 " in answer.splitlines()[0]
    assert b"DMS.00404001" in answer


@pytest.mark.parametrize(
    "request_text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\nX-\xff: y\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        b"GET /v3/regions HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_what_is_no_http_is_refused_before_it_gets_to_us(served, context, request_text):
    """By the server in front, with its own bare answer: 4xx all the same."""
    status = raw(served, context, request_text).splitlines()[0]
    assert status.startswith(b"HTTP/1.1 4")


def test_a_body_longer_than_its_announced_length_is_cut_there(served, context):
    request = b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{}"
    answer = raw(served, context, request)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"DMS.00400005") == 1
    assert answer.count(b"HTTP/1.1 ") == 2  # what was left over is no request


def test_two_ways_to_say_the_length_at_once_smuggle_nothing(served, context):
    request = (
        b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 60\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v3/regions HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    answer = raw(served, context, request)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.fixture(scope="module")
def curl(served):
    path = shutil.which("curl")
    has_http_2 = path and "HTTP2" in subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()  # fmt: skip
    if not has_http_2:
        pytest.skip("needs a curl that speaks HTTP/2")

    def run(*arguments, data=b""):
        done = subprocess.run(
            [path, "--silent", "--show-error", "--http2", "--cacert", str(served.authority),
             "--write-out", "\n%{http_version} %{http_code}", *arguments],
            input=data, capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        body, _, last = done.stdout.rpartition(b"\n")
        version, status = last.split()
        assert version == b"2"
        return int(status), body

    return run


def code(body):
    return json.loads(body)["error_code"]


def test_http_2_head_has_no_body(served, curl):
    status, _ = curl("--head", served.endpoint + LOGIN)
    assert status == 405


def test_http_2_body_of_a_length_not_told(served, curl):
    status, body = curl("-X", "POST", "-T", "-", served.endpoint + LOGIN, data=b'{"x":1}')
    assert (status, code(body)) == (400, "DMS.00400062")


def test_http_2_body_too_large(served, curl):
    for how in ("-T", "--data-binary"):
        where = "-" if how == "-T" else "@-"
        status, body = curl("-X", "POST", how, where, served.endpoint + LOGIN, data=b"x" * 3 * MIB)
        assert (status, code(body)) == (413, "APIGW.0201")
