"""Whatever is sent gets an official answer, and what is refused leaves no trace."""

import json
from typing import ClassVar

import pytest
from tests.support.bodies import CREATE_BODY
from tests.support.world import Caller

from backroom.domain.account import Role
from backroom.domain.errors import StoreUnavailable

UNKNOWN = (404, "DMS.00404001")
WRONG_METHOD = (405, "DMS.00405001")
BAD_PROJECT = (400, "DMS.00400002")
BAD_INSTANCE = (400, "DMS.00400030")
BAD_TASK = (400, "DMS.00400070")
BAD_PARAMETER = (400, "DMS.00400062")
BAD_JSON = (400, "DMS.00400005")
EMPTY = (400, "DMS.00400004")
TOO_LARGE = (413, "APIGW.0201")
HEADERS_TOO_LARGE = (494, "APIGW.0201")
UNAUTHENTICATED = (401, "APIGW.0301")

MIB = 1024 * 1024
P, N, T = "a" * 32, "4fdd8f3d-5d3c-4f0e-9c5e-3b6a3f9f1a01", "b" * 32


@pytest.fixture(scope="module")
def admin(quiet_world):
    """By token, so that nothing here depends on how a client signs odd requests."""
    quiet_world.user("ann", "correct horse")
    return quiet_world.log_in("ann", "correct horse")


@pytest.fixture(autouse=True)
def nothing_stored(quiet_world, admin):
    before = quiet_world.dump()
    yield
    assert quiet_world.dump() == before


def raw(world: Caller, method, target, body=b"", headers=()):
    proof = [(b"x-auth-token", world.token.encode())]
    return world.send(method, target, body, [*proof, *headers])


PATHS = [
    ("/", UNKNOWN),
    ("", UNKNOWN),
    ("*", UNKNOWN),
    ("/v2", UNKNOWN),
    ("/v2/", UNKNOWN),
    ("//", UNKNOWN),
    ("/favicon.ico", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks/", UNKNOWN),
    (f"//v2/{P}/instances/{N}/tasks", UNKNOWN),
    (f"/v2//{P}/instances/{N}/tasks", UNKNOWN),
    (f"/v2/{P}/instances//tasks", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks//", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks/{T}/", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks/{T}/progress/", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks/{T}/steps", UNKNOWN),
    (f"/V2/{P}/instances/{N}/tasks", UNKNOWN),
    (f"/v2/{P}/Instances/{N}/tasks", UNKNOWN),
    (f"/v1/{P}/instances/{N}/tasks", UNKNOWN),
    (f"/v2/{P}/instances/{N}/public-boundwidth", UNKNOWN),
    (f"/v2/{P}/instances/{N}/%74asks", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks%2F{T}", UNKNOWN),
    (f"/v2%2F{P}/instances/{N}/tasks", UNKNOWN),
    (f"/v2/{P}/instances/{N}/../{N}/tasks", UNKNOWN),
    (f"/v2/{P}/./instances/{N}/tasks", UNKNOWN),
    (f"/v2/{P}/instances/{N}/tasks/..", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/.", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%2e%2e", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/..%2f..%2fetc%2fpasswd", BAD_TASK),
    (f"/v2/{P}/instances/../tasks", BAD_INSTANCE),
    (f"/v2/../instances/{N}/tasks", BAD_PROJECT),
    (f"/v2/{P}/instances/{N}/tasks/{T[:-1]}", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}b", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T.upper()}", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T[:-1]}g", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}%00", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}%0A", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}%20", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%20{T}", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T};x=1", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}+", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%zz", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%ff%fe", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%EF%BC%91{T[1:]}", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/%7Btask_id%7D", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/{T}%2F", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/任务".encode(), BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/".encode() + b"\xff\xfe", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/".encode() + b"\x00", BAD_TASK),
    (f"/v2/{P}/instances/{N}/tasks/' OR 1=1 --".encode(), BAD_TASK),
    (f"/v2/{P}/instances/x/tasks/{T}", BAD_INSTANCE),
    (f"/v2/{P}/instances/{N.upper()}/tasks", BAD_INSTANCE),
    (f"/v2/{P}/instances/{N.replace('-', '')}/tasks", BAD_INSTANCE),
    (f"/v2/{P}/instances/{N}%00/tasks", BAD_INSTANCE),
    (f"/v2/{P}/instances/%7Binstance_id%7D/tasks/x", BAD_INSTANCE),
    (f"/v2/{P}/instances/{N}x", BAD_INSTANCE),
    (f"/v2/%7Bproject_id%7D/instances/{N}/tasks", BAD_PROJECT),
    (f"/v2/x/instances/{N}/tasks/y", BAD_PROJECT),
    (f"/v2/{P.upper()}/instances/{N}/tasks", BAD_PROJECT),
    (f"/v2/{P}%00/instances", BAD_PROJECT),
    ("/v2/x/instances", BAD_PROJECT),
    ("/" + "a" * 65536, UNKNOWN),
    ("/v2" + "/a" * 32768, UNKNOWN),
    ("/" * 65536, UNKNOWN),
    ("/v2/" + "a" * 65536 + "/instances", BAD_PROJECT),
    (f"/v2/{P}/instances/{N}/tasks/" + "%61" * 21845, BAD_TASK),
]


@pytest.mark.parametrize(("path", "error"), PATHS, ids=lambda value: repr(value)[-40:])
def test_a_path_that_leads_nowhere(admin, path, error):
    assert raw(admin, "GET", path).error == error


def test_an_id_may_be_percent_encoded(world):
    task_id = world.submit()
    encoded = "".join(f"%{ord(letter):02X}" for letter in task_id)
    assert world.admin.get(f"{world.tasks_path}/{encoded}").status == 200
    first = f"%{ord(world.project_id[0]):x}"
    path = world.tasks_path.replace(world.project_id, first + world.project_id[1:])
    assert world.admin.get(path).status == 200


METHODS = ["HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "PROPFIND", "get", "FOO", ""]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_no_call_has(admin, quiet_world, method):
    for target, allowed in (
        (quiet_world.tasks_path, "GET"),
        (f"{quiet_world.tasks_path}/{T}", "DELETE, GET"),
        (quiet_world.public_access_path, "POST"),
        (f"{quiet_world.scheduled_path}/{T}", "DELETE, PUT"),
        ("/v3/auth/tokens", "POST"),
    ):
        answer = raw(admin, method, target)
        assert answer.status == 405
        assert answer.headers["allow"] == allowed
        if method != "HEAD":
            assert answer.error == WRONG_METHOD


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "{tasks}"),
        ("PUT", "{tasks}"),
        ("DELETE", "{tasks}"),
        ("POST", "{tasks}/" + T),
        ("PUT", "{tasks}/" + T),
        ("DELETE", "{tasks}/" + T + "/progress"),
        ("GET", "{scheduled}/" + T),
        ("POST", "{scheduled}"),
        ("GET", "{public}"),
        ("PUT", "{public}"),
        ("DELETE", "/v3/projects"),
        ("GET", "/v3/auth/tokens"),
        ("POST", "/backroom/v1/openapi.json"),
    ],
)
def test_a_method_that_this_call_has_not(admin, quiet_world, method, target):
    target = target.format(
        tasks=quiet_world.tasks_path,
        scheduled=quiet_world.scheduled_path,
        public=quiet_world.public_access_path,
    )
    assert raw(admin, method, target, b"{}").error == WRONG_METHOD


BAD_QUERIES = [
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1.0",
    "limit=1e1",
    "limit=ten",
    "limit=0x10",
    "limit=+5",
    "limit=%2B5",
    "limit=%205",
    "limit=5%20",
    "limit=5%00",
    "limit=1_0",
    "limit=%EF%BC%95",
    "limit=%D9%A5",
    "limit=99999999999999999999",
    "limit=" + "9" * 5000,
    "limit=5&limit=6",
    "limit=5&limit=5",
    "limit=5&%6Cimit=5",
    "start=-1",
    "start=x",
    "start=2147483648",
    "start=1.5",
    "start=" + "9" * 5000,
    "offset=-1",
    "offset=x",
    "offset=2147483648",
    "begin_time=2026",
    "begin_time=20260304",
    "begin_time=20261304000000",
    "begin_time=20260230000000",
    "begin_time=20260304240000",
    "begin_time=20260304006000",
    "begin_time=20260304000060",
    "begin_time=00000101000000",
    "begin_time=2026-03-04T05:06:07Z",
    "begin_time=1772600767000",
    "begin_time=-0260304000000",
    "begin_time=2026030400000x",
    "begin_time=%EF%BC%92026030400000",
    "end_time=20260304",
    "end_time=202603040000000",
    "end_time=%00",
    "end_time=20260304000000&end_time=20260304000000",
    "x=%FF",
    "x=%00",
    "%FF=x",
    "&".join(f"x{n}=1" for n in range(101)),
    "&" * 101,
]


@pytest.mark.parametrize("query", BAD_QUERIES, ids=lambda value: value[:40])
@pytest.mark.parametrize("which", ["tasks_path", "scheduled_path"])
def test_a_bad_query(admin, quiet_world, query, which):
    answer = raw(admin, "GET", f"{getattr(quiet_world, which)}?{query}")
    assert answer.error == BAD_PARAMETER


def test_a_query_of_raw_bytes(admin, quiet_world):
    for query in (b"limit=\xe4\xbb\xbb", b"x=\xff", b"\x80"):
        target = quiet_world.tasks_path.encode() + b"?" + query
        assert raw(admin, "GET", target).error == BAD_PARAMETER


@pytest.mark.parametrize(
    "query",
    [
        "", "?", "&", "=", "&&&", "=x", "limit", "limit=", "start=&limit=", "start=007",
        "limit=00000010", "unknown=1", "a=1&b=2&c=3", "%20=%20",
        "x=" + "y" * 60000, "?limit=0", "Limit=0", "limit%00=5",
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_an_odd_query_that_means_no_harm(admin, quiet_world, query):
    assert raw(admin, "GET", f"{quiet_world.tasks_path}?{query}").status == 200


def nested(opening, closing=b"", depth=100_000):
    return opening * depth + closing * depth


BAD_BODIES = [
    (b"", EMPTY),
    (b" ", EMPTY),
    (b"\r\n\t ", EMPTY),
    (b"null", BAD_JSON),
    (b"true", BAD_JSON),
    (b"1", BAD_JSON),
    (b'"text"', BAD_JSON),
    (b"[]", BAD_JSON),
    (b'[{"publicip_id":"a"}]', BAD_JSON),
    (b"{", BAD_JSON),
    (b"}", BAD_JSON),
    (b"{}}", BAD_JSON),
    (b"{}{}", BAD_JSON),
    (b'{"publicip_id"}', BAD_JSON),
    (b'{"publicip_id":}', BAD_JSON),
    (b'{"publicip_id":"a",}', BAD_JSON),
    (b'{"publicip_id":"a"', BAD_JSON),
    (b'{"publicip_id":"a}', BAD_JSON),
    (b"{'publicip_id':'a'}", BAD_JSON),
    (b'{publicip_id:"a"}', BAD_JSON),
    (b'{"publicip_id":"a"} // comment', BAD_JSON),
    (b'{"public_boundwidth":NaN}', BAD_JSON),
    (b'{"public_boundwidth":Infinity}', BAD_JSON),
    (b'{"public_boundwidth":-}', BAD_JSON),
    (b'{"public_boundwidth":01}', BAD_JSON),
    (b'{"public_boundwidth":0x1}', BAD_JSON),
    (b'{"publicip_id":"\x01"}', BAD_JSON),
    (b'{"publicip_id":"\\x"}', BAD_JSON),
    (b'{"publicip_id":"\\ud800"}', BAD_JSON),
    (b'{"publicip_id":"\\ud800\\ud800"}', BAD_JSON),
    (b'{"publicip_id":"\\udc00"}', BAD_JSON),
    (b'{"other":"\\udc00","publicip_id":"a"}', BAD_JSON),
    (b'{"publicip_id":"\xff"}', BAD_JSON),
    (b'{"other":"\xff","publicip_id":"a"}', BAD_JSON),
    (b'{"\xff":1,"publicip_id":"a"}', BAD_JSON),
    (b'{"publicip_id":"\xc0\x80"}', BAD_JSON),
    (b'{"publicip_id":"\xed\xa0\x80"}', BAD_JSON),
    (b'\xef\xbb\xbf{"publicip_id":"a"}', BAD_JSON),
    ('{"publicip_id":"a"}'.encode("utf-16"), BAD_JSON),
    (b"\x1f\x8b\x08\x00\x00", BAD_JSON),
    (b"publicip_id=a&public_boundwidth=5", BAD_JSON),
    (b"<xml/>", BAD_JSON),
    (b"\x00", BAD_JSON),
    (b'{"publicip_id":"a"}\x00', BAD_JSON),
    (nested(b"["), BAD_JSON),
    (nested(b"[", b"]"), BAD_JSON),
    (nested(b'{"a":'), BAD_JSON),
    (b'{"other":' + nested(b"[", b"]") + b',"publicip_id":"a"}', BAD_JSON),
    (b'{"publicip_id":' + nested(b"[", b"]") + b"}", BAD_JSON),
    (b"[" + b"{}," * 100_000 + b"{}]", BAD_JSON),
    (b" " * MIB, EMPTY),
    (b"x" * MIB, BAD_JSON),
    (b"x" * (MIB + 1), TOO_LARGE),
    (b" " * (MIB + 1), TOO_LARGE),
    (b'{"publicip_id":"a"}' + b" " * MIB, TOO_LARGE),
]


@pytest.mark.parametrize(("body", "error"), BAD_BODIES, ids=lambda value: repr(value)[:50])
def test_a_bad_body(admin, quiet_world, body, error):
    for target in (quiet_world.public_access_path, quiet_world.create_path):
        answer = raw(admin, "POST", target, body)
        assert answer.error == error
        assert len(answer.body) < 1000


@pytest.mark.parametrize("number", ["1e400", "9" * 5000, "-" + "9" * 5000])
def test_a_number_beyond_all_bounds(admin, quiet_world, number):
    body = f'{{"public_boundwidth":{number},"broker_num":{number}}}'.encode()
    for target in (quiet_world.public_access_path, quiet_world.create_path):
        assert raw(admin, "POST", target, body).error == BAD_JSON


@pytest.mark.parametrize(("body", "error"), BAD_BODIES, ids=lambda value: repr(value)[:50])
def test_a_bad_body_of_a_login(quiet_world, body, error):
    assert quiet_world.nobody.send("POST", "/v3/auth/tokens", body).error == error


LOGINS = [
    {},
    {"auth": None},
    {"auth": {}},
    {"auth": {"identity": {}}},
    {"auth": {"identity": {"methods": []}}},
    {"auth": {"identity": {"methods": ["password", "token"]}}},
    {"auth": {"identity": {"methods": ["totp"]}}},
    {"auth": {"identity": {"methods": ["password"]}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "\0"}}}}},
    {"auth": {"identity": {"methods": ["token"], "token": {"id": ""}}}},
]


@pytest.mark.parametrize("body", LOGINS, ids=json.dumps)
def test_a_login_that_is_no_login(quiet_world, body):
    assert quiet_world.nobody.post("/v3/auth/tokens", body).error == BAD_PARAMETER


class TestBodyThatIsFine:
    """Odd, but official clients send such things, or may."""

    @pytest.fixture(autouse=True)
    def nothing_stored(self):
        """These do store."""

    @pytest.mark.parametrize(
        "body",
        [
            b'{"publicip_id":"a"}\n',
            b'\t {"publicip_id" : "a"}',
            b'{"publicip_id":"\\u0061"}',
            b'{"publicip_id":"x","publicip_id":"a"}',
            b'{"publicip_id":"a","public_boundwidth":-0}',
            b'{"other":[[[[1.5e3,"\xe4\xbb\xbb"]]]],"publicip_id":"a"}',
            b'{"other":' + b"[" * 500 + b"]" * 500 + b',"publicip_id":"a"}',
            b'{"publicip_id":"a"}' + b" " * (MIB - 19),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_it_is_taken(self, world, body):
        answer = world.admin.call("POST", world.public_access_path, body)
        assert answer.status == 204
        assert json.loads(world.newest()["params"])["public_ip_id"] == "a"

    def test_it_may_come_in_parts_of_a_length_not_told(self, world):
        body = b'{"publicip_id":"a"}'
        headers = world.admin.proof("POST", world.public_access_path, body)
        parts = [body[:1], b"", body[1:5], body[5:]]
        answer = world.nobody.send("POST", world.public_access_path, parts, headers)
        assert answer.status == 204

    def test_http_2_need_not_announce_it(self, world):
        body = b'{"publicip_id":"a"}'
        headers = world.admin.proof("POST", world.public_access_path, body)
        answer = world.nobody.send(
            "POST", world.public_access_path, [body], headers, http_version="2"
        )
        assert answer.status == 204

    def test_a_read_and_a_delete_may_have_one(self, world):
        """[O] the Python SDK sends {} where its caller gave an empty body."""
        task_id = world.submit()
        world.run_until_idle()
        target = f"{world.tasks_path}/{task_id}"
        assert world.admin.call("GET", target, b"{}").status == 200
        assert world.admin.call("GET", target, b"not json").status == 200
        assert world.admin.call("DELETE", target, b"{}").status == 204


def test_parts_that_are_too_much_together(admin, quiet_world):
    parts = [b"x" * 65536] * 17
    assert raw(admin, "POST", quiet_world.public_access_path, parts).error == TOO_LARGE


def test_a_length_that_nobody_could_send(admin, quiet_world):
    """A server in front refuses such a header; if it doesn't, the body counts."""
    for length in (b"9" * 5000, b"-1", b"abc", b"\xb2", b"1" * 20, b""):
        headers = [(b"x-auth-token", admin.token.encode()), (b"content-length", length)]
        answer = admin.send("POST", quiet_world.public_access_path, [b"{", b""], headers, "1.0")
        assert answer.error == BAD_JSON


def test_too_much_is_read_up_to_12_mib_so_that_the_client_sees_why_it_is_refused(quiet_world):
    taken = 0
    sent = []

    async def receive():
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * MIB, "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v3/auth/tokens",
        "raw_path": b"/v3/auth/tokens", "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked")],
    }  # fmt: skip
    quiet_world.do(quiet_world.backroom.application(scope, receive, send))
    assert sent[0]["status"] == 413
    assert taken == 13


def test_a_client_that_leaves_gets_no_answer_and_leaves_nothing(quiet_world):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    target = quiet_world.public_access_path
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": target,
        "raw_path": target.encode(), "query_string": b"",
        "headers": [*quiet_world.admin.proof("POST", target, b"{}"), (b"content-length", b"2")],
    }  # fmt: skip
    quiet_world.do(quiet_world.backroom.application(scope, receive, send))
    assert sent == []


BAD_BODY = b'{"publicip_id":1}'


class TestWhichErrorWins:
    """docs/wire/errors.md has the order."""

    @pytest.mark.parametrize(
        ("method", "target", "body", "error"),
        [
            ("POST", "/nowhere", b"x" * (MIB + 1), TOO_LARGE),
            ("PUT", "{public}", b"x" * (MIB + 1), TOO_LARGE),
            ("GET", "/v2/x/instances/y/tasks/z?limit=0", b"", BAD_PROJECT),
            ("GET", "/v2/{project}/instances/y/tasks/z?limit=0", b"", BAD_INSTANCE),
            ("GET", f"/v2/{P}/instances?limit=0", b"", (401, "DMS.10240104")),
            ("POST", f"/v2/{P}/kafka/instances", BAD_BODY, (401, "DMS.10240104")),
            ("GET", f"/v2/{{project}}/instances/{N}/tasks?limit=0", b"", BAD_PARAMETER),
            ("POST", f"/v1/{{project}}/instances/{N}/public-boundwidth", BAD_BODY,
             (404, "DMS.00404022")),
        ],
    )  # fmt: skip
    def test_the_first_in_the_order(self, admin, quiet_world, method, target, body, error):
        target = target.format(
            public=quiet_world.public_access_path, project=quiet_world.project_id
        )
        assert raw(admin, method, target, body).error == error

    def test_no_identity_before_all_that_the_call_checks(self, quiet_world):
        for method, target, body in (
            ("GET", "/v2/x/instances/y/tasks/z", b""),
            ("GET", f"/v2/{P}/instances?limit=0", b""),
            ("POST", quiet_world.public_access_path, BAD_BODY),
        ):
            assert quiet_world.nobody.send(method, target, body).error == UNAUTHENTICATED

    def test_the_role_before_the_instance_and_the_body(self, world):
        viewer = world.caller(Role.VIEWER)
        missing = world.public_access_path.replace(world.instance.id, N)
        assert viewer.call("POST", missing, BAD_BODY).error == (403, "DMS.00403002")
        assert viewer.call("POST", world.create_path, b"").error == (403, "DMS.00403002")

    def test_the_body_before_the_instances_status(self, world):
        made = world.admin.post(world.create_path, CREATE_BODY).json["instance_id"]
        creating = world.public_access_path.replace(world.instance.id, made)
        assert world.admin.call("POST", creating, BAD_BODY).error == BAD_JSON


class TestHeaders:
    def test_many_small_ones_are_read(self, admin, quiet_world):
        many = [(b"x-%d" % number, b"v") for number in range(1000)]
        assert raw(admin, "GET", quiet_world.tasks_path, b"", many).status == 200

    def test_64_kib_are_read_and_more_are_not(self, admin, quiet_world):
        base = len(admin.token)  # values count
        fits = [(b"x", b"v" * (64 * 1024 - base))]
        assert raw(admin, "GET", quiet_world.tasks_path, b"", fits).status == 200
        one_more = [(b"x", b"v" * (64 * 1024 - base + 1))]
        answer = raw(admin, "GET", quiet_world.tasks_path, b"", one_more)
        assert answer.error == HEADERS_TOO_LARGE
        assert answer.message == "Request headers too large. At most 65536 bytes."

    def test_a_flood_is_refused_whoever_sends_it(self, quiet_world):
        for flood in (
            [(b"x-%d" % number, b"v" * 100) for number in range(1000)],
            [(b"x", b"v" * 100)] * 1000,
        ):
            for method, target in (("GET", quiet_world.tasks_path), ("POST", "/v3/auth/tokens")):
                answer = quiet_world.nobody.send(method, target, b"", flood)
                assert answer.error == HEADERS_TOO_LARGE

    @pytest.mark.parametrize(
        "header",
        [
            (b"user-agent", b"\xff\xfe"),
            (b"user_agent", b"x"),
            (b"accept", b"application/xml"),
            (b"accept-encoding", b"br"),
            (b"content-type", b"text/plain"),
            (b"content-type", b"application/json;charset=utf-8"),
            (b"content-encoding", b"gzip"),
            (b"cookie", b"a=b"),
            (b"host", b""),
            (b"host", b"evil.example\r"),
            (b"x-language", b"\xff"),
            (b"x-request-id", b"mine"),
            (b"x-forwarded-for", b"1.2.3.4"),
            (b"x-http-method-override", b"DELETE"),
            (b"range", b"bytes=0-1"),
            (b"if-none-match", b"*"),
            (b"expect", b"100-continue"),
            (b"upgrade", b"websocket"),
            (b"", b""),
        ],
        ids=repr,
    )
    def test_one_that_is_odd_changes_nothing(self, admin, quiet_world, header):
        answer = raw(admin, "GET", quiet_world.tasks_path, b"", [header])
        assert answer.status == 200
        assert answer.headers["x-request-id"] != "mine"

    def test_ids_of_answers_are_all_different(self, admin, quiet_world):
        asked = [raw(admin, "GET", quiet_world.tasks_path) for _ in range(20)]
        assert len({answer.headers["x-request-id"] for answer in asked}) == 20


class TestLanguage:
    CASES: ClassVar = [
        ("GET", "/v2/x", b"", "请求的URL不存在。"),
        ("POST", "/v3/projects", b"", "不允许该请求方法。Allowed: GET."),
        ("GET", f"/v2/x/instances/{N}/tasks", b"", "项目ID格式无效。"),
        ("GET", "{tasks}?limit=0", b"", "请求参数limit无效。"),
        ("POST", "{public}", b"", "请求体为空。"),
        ("POST", "{public}", b"{}", "公网访问参数无效。"),
        ("GET", f"/v2/{{project}}/instances/{N}", b"", "该实例不存在。"),
    ]

    @pytest.mark.parametrize(("method", "target", "body", "text"), CASES)
    @pytest.mark.parametrize("language", [b"zh-cn", b"zh_CN", b"ZH"])
    def test_chinese_where_it_is_asked_for(
        self, admin, quiet_world, language, method, target, body, text
    ):
        target = target.format(
            tasks=quiet_world.tasks_path,
            public=quiet_world.public_access_path,
            project=quiet_world.project_id,
        )
        answer = raw(admin, method, target, body, [(b"x-language", language)])
        assert answer.message.startswith(text)
        english = raw(admin, method, target, body)
        assert english.error == answer.error
        assert english.message.isascii()

    @pytest.mark.parametrize("language", [b"en-us", b"de", b"", b"\xff"])
    def test_english_otherwise(self, admin, language):
        answer = raw(admin, "GET", "/v2/x", b"", [(b"x-language", language)])
        assert answer.message == "The requested URL does not exist."

    def test_chinese_without_an_identity(self, quiet_world):
        headers = [(b"x-language", b"zh-cn")]
        answer = quiet_world.nobody.send("GET", quiet_world.tasks_path, b"", headers)
        assert answer.error == UNAUTHENTICATED
        assert answer.message.startswith("IAM认证信息错误")


def test_a_bug_of_ours_is_answered_500_without_its_text(quiet_world, monkeypatch, caplog):
    """The only way to a 500: something raises what is in no table."""

    async def broken(*_):
        raise KeyError("secret")

    monkeypatch.setattr(quiet_world.backroom.service, "show", broken)
    status, headers, body = quiet_world.do(_bare(quiet_world, f"{quiet_world.tasks_path}/{T}"))
    assert status == 500
    assert json.loads(body) == {
        "error_code": "DMS.00500000",
        "error_msg": "Internal service error.",
        "request_id": headers[b"x-request-id"].decode(),
    }
    assert "request broke" in caplog.text


def test_a_database_that_is_away_is_answered_503_and_when_to_try_again(quiet_world, monkeypatch):
    async def away(*_):
        raise StoreUnavailable("disk I/O error")

    monkeypatch.setattr(quiet_world.backroom.service, "show", away)
    status, headers, body = quiet_world.do(_bare(quiet_world, f"{quiet_world.tasks_path}/{T}"))
    assert status == 503
    assert headers[b"retry-after"] == b"1"
    assert json.loads(body)["error_code"] == "DMS.00500000"
    assert b"disk" not in body


async def _bare(world, target):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": target,
        "raw_path": target.encode(), "query_string": b"",
        "headers": world.admin.proof("GET", target),
    }  # fmt: skip
    await world.backroom.application(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_nothing_is_created_by_a_body_with_a_name_twice(world):
    body = json.dumps(CREATE_BODY).replace('"kafka-test"', '"kafka-test","name":"1"').encode()
    before = world.dump()
    assert world.admin.call("POST", world.create_path, body).error == (400, "DMS.00400010")
    assert world.dump() == before
