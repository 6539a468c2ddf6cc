"""The client meets what networks and servers do, and never does a change twice by accident."""

import json
import socket
import threading
from datetime import UTC, datetime

import pytest
from tests.support.answering import DROP, answering

from backroom.cli.calls import Calls, Purpose
from backroom.cli.client import (
    Call,
    Client,
    Server,
    is_in_the_clear,
    quoted,
    told_by,
)
from backroom.cli.exits import (
    AnswerLost,
    CallRefused,
    NoNativeApi,
    NotConnected,
    NotTheApi,
    Unreachable,
)
from backroom.cli.sentences import choose
from backroom.wire.signing import SignedRequest, parse_authorization, verify
from backroom.wire.signing_requests import RequestKey

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
OK = (200, JSON, b'{"status": "ok"}')
CHANGE = Call(method="POST", path="/v2/p/x", content={"a": "ä"}, headers=[("X-Client-Token", "t")])
READ = Call(path="/v2/p/x", query={"b": "2 &", "a": "ä"})


@pytest.fixture(autouse=True)
def _english():
    choose("en")
    yield
    choose(None)


OPENED = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPENED:
        OPENED.pop().close()


def client(endpoint, pauses=None):
    key = RequestKey(access_key="AK", secret_key="secret")
    server = Server(endpoint=endpoint, key=key, project_id="p")
    said = [] if pauses is None else pauses
    made = Client(server, now=lambda: NOW, pause=said.append)
    OPENED.append(made)
    return made


def replies(*answers):
    """One after the other; /healthz says that it is Backroom."""
    left = list(answers)
    return lambda asked: OK if asked.path == "/healthz" else left.pop(0)


class TestWhatIsSent:
    @pytest.mark.parametrize("call", [READ, CHANGE], ids=["read", "change"])
    def test_a_server_can_verify_it(self, call):
        with answering(lambda _asked: OK) as server:
            client(server.endpoint).call(call)

        (asked,) = server.asked
        path, _, query = asked.target.encode().partition(b"?")
        headers = [(n.encode(), v.encode("latin-1")) for n, v in asked.headers.items()]
        request = SignedRequest(asked.method, path, query, headers, asked.body)
        credential = parse_authorization(asked.headers["authorization"])
        assert verify(request, credential, "secret", NOW).accepted
        assert {"host", "x-sdk-date", "x-project-id"} <= set(credential.signed_headers)
        assert ("x-client-token" in credential.signed_headers) == (call is CHANGE)

    def test_a_probe_shows_no_key(self):
        with answering(lambda _asked: OK) as server:
            assert client(server.endpoint).is_backroom

        assert "authorization" not in server.asked[0].headers

    def test_chinese_is_asked_for(self):
        choose("zh")
        with answering(lambda _asked: OK) as server:
            client(server.endpoint).call(READ)

        assert server.asked[0].headers["x-language"] == "zh-cn"

    def test_a_part_of_a_path_can_not_become_another_path(self):
        assert quoted("../a/b?c#d%") == "..%2Fa%2Fb%3Fc%23d%25"


class TestWhatComesBack:
    def test_one_connection_serves_several_calls(self):
        with answering(lambda _asked: OK) as server:
            one = client(server.endpoint)
            one.call(READ)
            link = one._link
            one.call(READ)
            assert one._link is link
            one.close()

    @pytest.mark.parametrize(
        "body", [b"<b>", b"[]", b"1", b"\xff", b"[" * 100_000, b'{"a": ' * 100_000]
    )
    def test_what_is_no_answer_of_the_api_is_told(self, body):
        with answering(lambda _asked: (200, JSON, body)) as server:
            answer = client(server.endpoint).call(READ)
            with pytest.raises(NotTheApi, match="does not speak this API"):
                _ = answer.json
            refused = client(server.endpoint).probe("/healthz")
            assert told_by(refused) == {}

    def test_what_is_not_in_an_answer_is_told(self):
        with answering(lambda _asked: (200, JSON, b'{"a": {"b": 1}}')) as server:
            calls = Calls(client(server.endpoint))
            for ask in (
                lambda: calls.list_tasks("i", None, {}),
                lambda: calls.show_task("i", "t"),
                lambda: calls.client.call(READ).json["a"]["c"],
            ):
                with pytest.raises(NotTheApi, match=r"no |missing"):
                    ask()

    def test_a_date_of_no_calendar_is_passed_over(self):
        date = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
        with answering(lambda _asked: (200, {"Date": date}, b"{}")) as server:
            assert client(server.endpoint).call(READ).json == {}

    def test_an_idle_connection_that_was_closed_is_opened_again(self):
        with answering(replies(OK, DROP, OK)) as server:
            one = client(server.endpoint)
            assert one.call(READ).status == 200
            assert one.call(READ).status == 200

        assert len(server.asked) == 3

    def test_a_server_that_drops_every_read_is_unreachable(self):
        with (
            answering(replies(DROP)) as server,
            pytest.raises(Unreachable, match="can't be reached"),
        ):
            client(server.endpoint).call(READ)

    def test_nobody_there(self):
        with answering(lambda _asked: OK) as server:
            pass
        with pytest.raises(Unreachable, match="Connection refused"):
            client(server.endpoint).call(READ)

    def test_an_error_of_the_api_is_told_with_its_code(self):
        body = {"error_code": "DMS.00404022", "error_msg": "Gone \x1b[31m.", "request_id": "1"}
        with (
            answering(lambda _asked: (404, JSON, json.dumps(body).encode())) as server,
            pytest.raises(CallRefused) as refused,
        ):
            client(server.endpoint).call(READ)

        assert str(refused.value) == "DMS.00404022: Gone \\x1b[31m."
        assert (refused.value.status, refused.value.code) == (404, "DMS.00404022")
        assert refused.value.exit_code == 5

    @pytest.mark.parametrize(
        ("status", "content", "said"),
        [
            (404, b"<html>not here</html>", "404: <html>not here</html>"),
            (500, b"", "500: Internal Server Error"),
            (
                302,
                b"",
                "302: Found; it points to /elsewhere, "  # noqa: ISC004  one sentence
                "and no redirect is followed: look at the endpoint",
            ),
            (400, b"[1]", "400: [1]"),
            (400, b"\xff", "400: �"),
        ],
    )
    def test_whatever_else_answers_is_told_as_it_is(self, status, content, said):
        with (
            answering(lambda _asked: (status, {"Location": "/elsewhere"}, content)) as server,
            pytest.raises(CallRefused) as refused,
        ):
            client(server.endpoint).call(READ)

        assert str(refused.value) == said
        assert len(server.asked) == 1

    @pytest.mark.parametrize(
        ("location", "shown"),
        [
            ("https://u:pass-word@h/x", "https://h/x,"),
            ("/a\r\n b\x1b[31m", "\\x1b[31m,"),
            ("//u:pass-word@h", "points to //h,"),
        ],
    )
    def test_where_a_redirect_points_to_is_one_safe_line(self, location, shown):
        with (
            answering(lambda _asked: (302, {"Location": location}, b"")) as server,
            pytest.raises(CallRefused) as refused,
        ):
            client(server.endpoint).call(READ)

        assert shown in str(refused.value)
        assert "pass-word" not in str(refused.value)
        assert str(refused.value).isprintable()

    def test_a_server_that_sends_the_probe_elsewhere_is_told_as_such(self):
        def reply(asked):
            return (301, {"Location": "https://h/healthz"}, b"") if asked.path == "/healthz" else OK

        with (
            answering(reply) as server,
            pytest.raises(CallRefused, match="points to https://h/healthz, and no redirect"),
        ):
            Calls(client(server.endpoint)).full_task("t")

        assert [asked.path for asked in server.asked] == ["/healthz"]

    def test_a_refused_identity_gets_a_hint(self):
        with (
            answering(lambda _asked: (401, JSON, b"{}")) as server,
            pytest.raises(CallRefused, match="clock is right"),
        ):
            client(server.endpoint).call(READ)


class TestLater:
    def test_a_busy_server_is_asked_again_when_it_says(self):
        busy = (503, {**JSON, "Retry-After": "3"}, b"{}")
        pauses = []
        with answering(replies(busy, OK)) as server:
            assert client(server.endpoint, pauses).call(READ).status == 200

        assert pauses == [3.0]

    def test_one_that_stays_busy_is_unreachable_for_now(self):
        busy = (503, {**JSON, "Retry-After": "1"}, b"{}")
        with answering(replies(busy, busy, busy)) as server, pytest.raises(Unreachable) as away:
            client(server.endpoint, []).call(READ)

        assert away.value.again_s == 1.0
        assert len(server.asked) == 3

    def test_a_long_wait_is_left_to_the_caller(self):
        busy = (429, {**JSON, "Retry-After": "60"}, b"{}")
        with answering(replies(busy)) as server, pytest.raises(Unreachable) as away:
            client(server.endpoint).call(READ)

        assert away.value.again_s == 60.0


class TestChanges:
    def test_a_lost_answer_is_asked_for_again_with_the_same_token(self):
        with answering(replies(DROP, OK)) as server:
            assert client(server.endpoint).call(CHANGE).status == 200

        changes = [asked for asked in server.asked if asked.method == "POST"]
        assert [asked.headers["x-client-token"] for asked in changes] == ["t", "t"]
        assert changes[0].body == changes[1].body

    def test_without_a_token_it_is_not_sent_twice(self):
        bare = Call(method="POST", path="/v2/p/x", content={})
        with answering(replies(DROP)) as server, pytest.raises(AnswerLost, match="may have been"):
            client(server.endpoint).call(bare)

        assert [asked.method for asked in server.asked] == ["POST"]

    def test_to_a_server_that_does_not_know_tokens_it_is_not_sent_twice(self):
        def reply(asked):
            return DROP if asked.method == "POST" else (404, JSON, b"{}")

        with answering(reply) as server, pytest.raises(AnswerLost):
            client(server.endpoint).call(CHANGE)

        assert [asked.method for asked in server.asked] == ["POST", "GET"]

    def test_a_lost_answer_is_told_also_where_the_probe_leads_elsewhere(self):
        def reply(asked):
            return DROP if asked.method == "POST" else (302, {"Location": "/"}, b"")

        with answering(reply) as server, pytest.raises(AnswerLost):
            client(server.endpoint).call(CHANGE)

        assert [asked.method for asked in server.asked] == ["POST", "GET"]

    def test_each_change_of_a_run_has_a_token_of_its_own(self):
        with answering(lambda _asked: (200, JSON, b'{"status": "ok", "task_id": "t"}')) as server:
            calls = Calls(client(server.endpoint), Purpose("one-run", "because ä"))
            for task_id in ("a", "b", "a"):
                calls.retry(task_id, from_step=False)

        changes = [asked for asked in server.asked if asked.method == "POST"]
        first, second, again = (asked.headers["x-client-token"] for asked in changes)
        assert first == again != second
        assert {asked.headers["x-backroom-reason"] for asked in changes} == {"because %C3%A4"}
        assert json.loads(changes[0].body)["reason"] == "because ä"


def test_native_calls_are_not_tried_on_a_server_without_them():
    with (
        answering(lambda _asked: (404, JSON, b"{}")) as server,
        pytest.raises(NoNativeApi, match="no native API"),
    ):
        Calls(client(server.endpoint)).full_task("t")

    assert [asked.path for asked in server.asked] == ["/healthz"]


@pytest.mark.parametrize(
    "endpoint",
    ["", "127.0.0.1:8443", "ftp://h", "https://", "https://h/?x", "https://h /", "file:///x"],
)
def test_a_bad_endpoint_is_refused(endpoint):
    with pytest.raises(NotConnected, match="no URL"):
        client(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://h:99999", "https://[", "http://h:abc", "http://\x1b[31m", "http://h\x1b",
        "ftp://h", "h:1", "https://u:pass-word@x y", "http://h:0",
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_told_without_a_password(endpoint):
    with pytest.raises(NotConnected) as raised:
        client(endpoint)
    assert "pass-word" not in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_password_in_an_endpoint_is_never_told():
    with pytest.raises(Unreachable) as raised:
        client("http://u:pass-word@127.0.0.1:1").call(READ)
    assert "pass-word" not in str(raised.value)


def test_a_status_line_gives_a_terminal_no_orders():
    listening = socket.create_server(("127.0.0.1", 0))

    def answer():
        link, _ = listening.accept()
        link.recv(65_536)
        link.sendall(b"EVIL\x1b[31m\x9b31m\r\n\r\n")
        link.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(Unreachable, match="EVIL") as raised:
        client(f"http://127.0.0.1:{listening.getsockname()[1]}").call(READ)
    thread.join()
    listening.close()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("endpoint", "is_clear"),
    [
        ("http://127.0.0.1:1", False), ("http://[::1]:1", False), ("http://localhost", False),
        ("https://example.com", False), ("http://example.com", True), ("http://10.0.0.1", True),
        ("http://localhost.example.com", True),
    ],
)  # fmt: skip
def test_what_leaves_the_machine_unencrypted_is_known(endpoint, is_clear):
    assert is_in_the_clear(endpoint) is is_clear
