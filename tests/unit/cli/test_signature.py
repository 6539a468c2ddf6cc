import base64
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backroom.cli import signature_reports
from backroom.cli.signature import app

GOLDEN = Path(__file__).parents[2] / "golden" / "signature-vectors.json"
VECTORS = {vector["id"]: vector for vector in json.loads(GOLDEN.read_bytes())["vectors"]}
SECRET = VECTORS["python/plain-query"]["sk"]


def run(*arguments, stdin=None, **environment):
    env = {"BACKROOM_SK": None, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", **environment}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], stdin, env)


@pytest.fixture
def written(tmp_path):
    def write(content):
        file = tmp_path / "recorded"
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        file.write_bytes(content)
        return file

    return write


def vector(name="python/plain-query", **changes):
    return {**VECTORS[name], **changes}


def with_header(recorded, name, value):
    headers = [[n, value if n == name else v] for n, v in recorded["headers"]]
    return {**recorded, "headers": headers}


def without(recorded, *keys):
    return {key: value for key, value in recorded.items() if key not in keys}


def raw_request(recorded, line_end="\r\n"):
    lines = [f"{recorded['method']} {recorded['target']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in recorded["headers"]]
    head = line_end.join([*lines, "", ""]).encode("latin-1")
    return head + base64.b64decode(recorded["body_base64"])


def test_check_accepts_the_golden_vectors():
    result = run("check", GOLDEN)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[-1] == "126 checked, 0 not as expected"
    assert "python/plain-query  accepted  path=decoded query=raw payload=computed" in lines
    assert "negative/wrong-sk  refused  mismatch" in lines


def test_check_takes_a_bare_list(written):
    assert run("check", written([vector()])).exit_code == 0


@pytest.mark.parametrize("change", [{"expect": "invalid"}, {"sk": "another"}])
def test_check_fails_if_one_verdict_is_not_as_expected(written, change):
    result = run("check", written([vector(), vector(**change)]))
    assert result.exit_code == 1
    assert "NOT AS EXPECTED" in result.stdout
    assert "2 checked, 1 not as expected" in result.stdout


def test_check_marks_the_first_difference(written):
    changed = with_header(vector(), "X-Project-Id", "0123456789abcdef0123456789abcdee")
    result = run("check", written([changed]))
    lines = result.stdout.splitlines()
    at = lines.index("    recorded | x-project-id:0123456789abcdef0123456789abcdef")
    assert lines[at + 1] == "    server   | x-project-id:0123456789abcdef0123456789abcdee"
    assert lines[at + 2].index("^ first difference") == len(lines[at]) - 1
    assert "    both     | GET" in lines


def test_check_as_json_is_one_document(written):
    changed = vector(target=VECTORS["python/plain-query"]["target"] + "1")
    result = run("check", written({"vectors": [vector(), changed]}), "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["total"], document["wrong"]) == (2, 1)
    good, bad = document["vectors"]
    assert good["accepted"]
    assert good["as_expected"]
    assert (bad["reason"], bad["as_expected"]) == ("mismatch", False)
    recorded, server = bad["recorded_canonical_request"], bad["server_canonical_request"]
    assert recorded[: bad["first_difference"]] == server[: bad["first_difference"]]
    assert SECRET not in result.stdout


def test_check_takes_a_missing_or_malformed_authorization_for_a_refusal(written):
    malformed = with_header(vector(expect="invalid"), "Authorization", "Basic abc")
    missing = vector(expect="invalid", headers=[])
    result = run("check", written([malformed, missing]))
    assert result.exit_code == 0
    assert "refused  Authorization begins with 'Basic'" in result.stdout
    assert "refused  there is no Authorization header" in result.stdout


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not the JSON"),
        (b"{", "not the JSON"),
        (b"\xff\xfe", "not the JSON"),
        (b"[" * 100_000, "not the JSON"),
        ([], "no vector"),
        ({"vectors": {}}, "$.vectors"),
        ([without(vector(), "sk")], "missing required field `sk` - at `$[0]`"),
        ([without(vector(), "expect")], "missing required field `expect`"),
        ([vector(expect="maybe")], "$[0].expect"),
        ([vector(headers=[["a"]])], "$[0].headers[0]"),
        ([vector(body_base64="%%%")], "python/plain-query: body_base64 is not base64"),
        ([vector(body_base64="é")], "python/plain-query: body_base64 is not base64"),
        ([vector(now="yesterday")], "now is 'yesterday', not like"),
        ([vector(target="/中")], "'/中' is not a latin-1 view of bytes"),
    ],
)
def test_check_says_in_one_line_what_is_wrong_with_a_file(written, content, text):
    result = run("check", written(content))
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_check_of_a_missing_file_is_one_line(tmp_path):
    result = run("check", tmp_path / "nothing")
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path / 'nothing'}: No such file or directory\n"


@pytest.mark.parametrize("shape", [lambda v: v, lambda v: [v], lambda v: {"vectors": [v]}])
def test_explain_says_which_form_fitted(written, shape):
    result = run("explain", written(shape(vector("java/path-pct"))))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "accepted: path=double query=none payload=computed"
    assert "tried path=decoded query=none payload=computed: no" in lines
    assert "tried path=double query=none payload=computed: fits" in lines


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize("name", ["python/plain-query", "go/post-unicode", "php/post-unicode"])
def test_explain_reads_a_raw_request(written, name, line_end):
    recorded = VECTORS[name]
    raw = raw_request(recorded, line_end)
    result = run("explain", written(raw), BACKROOM_SK=recorded["sk"])
    assert result.stdout.startswith("accepted: ")
    assert result.exit_code == 0


def test_explain_reads_standard_input_and_a_named_variable():
    raw = raw_request(vector()).replace(b"GET /", b"GET https://dms.example.com/", 1) + b"\n"
    result = run("explain", "-", "--secret-key-env", "MY_SK", stdin=raw, MY_SK=SECRET)
    assert result.stdout.startswith("accepted: ")


def test_explain_prefers_the_environment_to_the_record(written):
    assert run("explain", written(vector()), BACKROOM_SK="another").exit_code == 1


@pytest.mark.parametrize(
    ("recorded", "hint"),
    [
        (vector(now="20261124T033000Z"), "signed 32.5 minutes before it; 15 minutes are allowed"),
        (vector(now="20261124T020000Z"), "signed 57.5 minutes after it; 15 minutes are allowed"),
        (with_header(vector(), "User-Agent", "proxy/1"), "proxy rewrote User-Agent"),
        (with_header(vector(), "Host", "elsewhere"), "host not as signed: a proxy set its own"),
        (vector(body_base64="e30="), "body changed"),
        (vector(sk="another"), "the request arrived as it was signed"),
        (vector(sk="another"), "another secret key"),
        (vector(method="POST"), "method is not as signed"),
        (vector(target="/v3"), "path not as signed"),
        (vector(sk=SECRET + "\n"), "the secret key has blanks or a line end around it"),
        (
            without(with_header(vector(), "Host", "127.0.0.1"), "canonical_request"),
            "the secret key is another one than the client's, or something signed was changed",
        ),
        (
            without(with_header(vector(), "User-Agent", "x"), "canonical_request"),
            "User-Agent is signed: has a proxy rewritten it?",
        ),
        (
            without(with_header(vector("net/path-star"), "Host", "127.0.0.1:80"), "now"),
            "host not as signed: 127.0.0.1 was signed",
        ),
        (
            without(
                vector(
                    "go/post-unicode",
                    body_base64=base64.b64encode(
                        base64.b64decode(VECTORS["go/post-unicode"]["body_base64"]).rstrip()
                    ).decode(),
                ),
                "canonical_request",
            ),
            "body changed: what was signed has lost its last line end",
        ),
        (
            vector(headers=[h for h in vector()["headers"] if h[0] != "User-Agent"]),
            "a proxy removed what was signed, or the record lacks it: user-agent",
        ),
        (
            vector(headers=[h for h in vector()["headers"] if h[0] != "X-Sdk-Date"]),
            "X-Sdk-Date must be there in UTC",
        ),
        (
            vector(headers=[*vector()["headers"], ["X-Sdk-Content-Sha256", "0" * 64]]),
            "have not the hash the client declares",
        ),
        (
            vector(headers=[[n, v.replace(";x-sdk-date", "")] for n, v in vector()["headers"]]),
            "x-sdk-date must be one of SignedHeaders",
        ),
        (
            with_header(
                vector(),
                "Authorization",
                VECTORS["python/plain-query"]["headers"][-1][1][:-64]
                + VECTORS["python/plain-query"]["signature"].upper(),
            ),
            "the signature is right but not in lower case",
        ),
        (
            vector(headers=[*vector()["headers"], ["X-Sdk-Date", "20261124T025730Z"]]),
            "see docs/wire/signing.md",
        ),
    ],
)
def test_explain_hints_at_the_cause(written, recorded, hint):
    result = run("explain", written(recorded))
    assert result.exit_code == 1
    assert result.stdout.startswith("refused: ")
    hints = [line for line in result.stdout.splitlines() if line.startswith("hint: ")]
    assert any(hint in line for line in hints), result.stdout


def test_explain_of_a_forwarded_host_names_the_signed_one(written):
    recorded = without(with_header(vector(), "Host", "inner"), "canonical_request")
    recorded["headers"].append(["X-Forwarded-Host", "127.0.0.1:8443"])
    result = run("explain", written(recorded))
    assert "hint: host not as signed: 127.0.0.1:8443 was signed" in result.stdout


def test_explain_of_a_malformed_authorization(written):
    result = run("explain", written(with_header(vector(), "Authorization", "Bearer x")))
    assert result.exit_code == 1
    assert result.stdout.startswith("refused: Authorization begins with 'Bearer'")


# one secret key is the word "another"
@pytest.mark.parametrize("name", [n for n, v in VECTORS.items() if len(v["sk"]) > 20])
def test_explain_never_shows_the_secret_key(written, name):
    for recorded in (vector(name), vector(name, now="20200101T000000Z")):
        result = run("explain", written(recorded))
        assert result.exit_code in (0, 1)
        assert VECTORS[name]["sk"] not in result.output


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is empty"),
        (b"hello", "neither JSON nor a request line"),
        (b"GET /\r\n\r\n", "neither JSON nor a request line"),
        (b"GET / HTTP/1.1\r\nhost\r\n\r\n", "'host' has no colon"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0", "the body is chunked"),
        (b"{", "not the JSON"),
        ({"a": 1}, "missing required field `method`"),
        ([], "it holds 0 requests; explain takes one"),
        ([vector(), vector()], "it holds 2 requests; explain takes one"),
        (without(vector(), "sk"), "no secret key; set the environment variable BACKROOM_SK"),
        (vector(now="x"), "now is 'x'"),
    ],
)
def test_explain_says_in_one_line_what_is_wrong_with_a_file(written, content, text):
    result = run("explain", written(content))
    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["check", "explain"])
def test_help_has_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.stdout
    assert f"backroom signature {command}" in result.stdout


def test_output_holds_no_escape_sequences(written):
    recorded = with_header(vector(), "X-Project-Id", "\x1b[2J\x85\xe9")
    result = run("explain", written(recorded))
    assert "x-project-id:\\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x1b" not in run("check", written([vector(id="\x1b[2J")])).stdout


def test_table_for_a_terminal_has_both_texts(capsys):
    signature_reports._print_table("GET\n/signed/", "GET\n/re[ceiv]ed\x1b/")
    signature_reports._print_table(None, "GET\n/")
    shown = capsys.readouterr().out
    assert "/signed/" in shown
    assert "/re[ceiv]ed\\x1b/" in shown
    assert "(not recorded)" in shown


def test_terminal_gets_the_table(monkeypatch):
    shown = []
    monkeypatch.setattr(signature_reports, "_print_table", lambda *texts: shown.append(texts))
    monkeypatch.setattr(signature_reports.sys, "stdout", Terminal())
    signature_reports._print_difference("a", "b")
    assert shown == [("a", "b")]


class Terminal:
    def isatty(self):
        return True
