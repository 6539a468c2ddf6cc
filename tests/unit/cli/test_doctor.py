"""The doctor finds what is broken, and says what to do about it."""

import json
import os
import socket
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trustme
from tests.support.answering import answering
from tests.support.commands import command

from backroom.certificates import make_certificates
from backroom.cli import doctor
from backroom.cli.doctor import Surroundings, findings_of
from backroom.cli.sentences import choose
from backroom.data_folder import DATABASE_FILE, SERVER_FILE, TLS_FOLDER, ServerFile

CHECKS = ["data folder", "server", "port", "certificates", "clock", "database",
          "Java", "Maven", "PostgreSQL"]  # fmt: skip


@pytest.fixture(autouse=True)
def _english():
    choose("en")
    yield
    choose(None)


@pytest.fixture(autouse=True)
def _tools(monkeypatch):
    """Tools of other machines are not what is tested."""
    monkeypatch.setattr(doctor, "TOOLS", ())


@pytest.fixture
def healthy(data):
    data.chmod(0o700)
    make_certificates(data / TLS_FOLDER)
    return data


@pytest.fixture
def server():
    body = {"status": "ok", "store": "ok"}
    with answering(lambda _asked: (200, {}, json.dumps(body).encode())) as made:
        made.body = body
        yield made


def found(data, server=None, **more):
    served = None if server is None else ServerFile(server.endpoint, 1)
    return {one.check: one for one in findings_of(Surroundings(data, served, **more))}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_a_healthy_server_has_nothing_broken(healthy, server):
    findings = found(healthy, server)

    assert {one.verdict for one in findings.values()} == {"ok"}, findings
    assert list(findings) == CHECKS[:6]


def test_nothing_is_broken_where_nothing_was_started(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PORT", free_port())
    findings = found(tmp_path / "none")

    assert findings["data folder"].verdict == "warning"
    assert "backroom serve --data" in findings["data folder"].remedy
    assert "broken" not in {one.verdict for one in findings.values()}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["", "secret.key", "tls/server.key"])
def test_what_others_can_read(healthy, server, name):
    (healthy / name).chmod(0o755)
    finding = found(healthy, server)["data folder"]

    assert finding.verdict == "broken"
    assert finding.remedy == f"chmod go-rwx {healthy / name}"


def test_a_full_disk(healthy, server, monkeypatch):
    monkeypatch.setattr(doctor, "FREE_LEAST_MB", 2**40)

    assert found(healthy, server)["data folder"].verdict == "broken"


def test_a_server_that_is_down(healthy):
    port = free_port()

    class Down:
        endpoint = f"http://127.0.0.1:{port}"

    findings = found(healthy, Down)
    assert findings["server"].verdict == "broken"
    assert findings["server"].remedy == f"start it: backroom serve --data {healthy}"
    assert findings["port"].found == f"port {port} is free"


def test_a_server_that_is_not_ready(healthy, server):
    server.body |= {"status": "unavailable", "store": "no answer"}
    finding = found(healthy, server)["server"]

    assert finding.verdict == "broken"
    assert "no answer" in finding.found


def test_a_port_that_is_taken(healthy, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "PORT", taken.getsockname()[1])
        finding = found(healthy)["port"]

    assert finding.verdict == "broken"
    assert "--port" in finding.remedy


class TestCertificates:
    def test_one_is_missing(self, healthy, server):
        (healthy / TLS_FOLDER / "server.key").unlink()
        finding = found(healthy, server)["certificates"]

        assert finding.verdict == "broken"
        assert "server.key" in finding.found

    def test_one_is_nonsense(self, healthy, server):
        (healthy / TLS_FOLDER / "server.pem").write_text("nonsense")

        assert "is no certificate" in found(healthy, server)["certificates"].found

    def test_they_do_not_fit(self, healthy, server):
        (healthy / TLS_FOLDER / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        finding = found(healthy, server)["certificates"]

        assert finding.verdict == "warning"
        assert "not from the CA" in finding.found

    @pytest.mark.parametrize(
        ("from_now", "verdict", "said"),
        [
            (timedelta(days=60), "ok", "good until"),
            (timedelta(days=20), "warning", "expires in 19 days"),
            (timedelta(seconds=-5), "broken", "expired on"),
        ],
    )
    def test_their_age(self, healthy, server, from_now, verdict, said):
        now = datetime.now(UTC)
        authority = trustme.CA()
        own = authority.issue_cert("localhost", not_after=now + from_now)
        folder = healthy / TLS_FOLDER
        (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
        (folder / "server.pem").write_bytes(own.cert_chain_pems[0].bytes())
        finding = found(healthy, server)["certificates"]

        assert finding.verdict == verdict
        assert said in finding.found

    def test_not_yet_valid(self, healthy, server):
        early = datetime(1990, 1, 1, tzinfo=UTC)
        finding = found(healthy, server, now=lambda: early)["certificates"]

        assert finding.verdict == "broken"
        assert "clock" in finding.found


class TestClock:
    def test_it_differs_from_the_servers(self, healthy, server):
        ahead = datetime.now(UTC) + timedelta(minutes=20)
        finding = found(healthy, server, now=lambda: ahead)["clock"]

        assert finding.verdict == "broken"
        assert "NTP" in finding.remedy

    def test_it_went_back(self, healthy):
        later = datetime.now(UTC).timestamp() + 600
        os.utime(healthy / DATABASE_FILE, (later, later))

        assert "before the last write" in found(healthy)["clock"].found


class TestDatabase:
    def test_damage_is_found(self, healthy, server):
        (healthy / DATABASE_FILE).write_bytes(b"no database at all, but long enough" * 100)
        finding = found(healthy, server)["database"]

        assert finding.verdict == "broken"
        assert "backroom db check" in finding.remedy

    def test_one_that_is_gone(self, healthy, server):
        (healthy / DATABASE_FILE).unlink()

        assert found(healthy, server)["database"].verdict == "broken"

    def test_a_postgresql_that_is_away(self, healthy):
        served = ServerFile("http://127.0.0.1:1", 1, f"postgresql://u@127.0.0.1:{free_port()}/d")
        findings = {one.check: one for one in findings_of(Surroundings(healthy, served))}

        assert findings["database"].verdict == "broken"
        assert "start PostgreSQL" in findings["database"].remedy


class TestTools:
    @pytest.fixture
    def tool(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

        def made(text):
            program = tmp_path / "some-tool"
            program.write_text(f"#!/bin/sh\nprintf '{text}' >&2\n")
            program.chmod(0o755)
            return doctor._tool("Java", "java do", ("some-tool", "-version"), 11)

        return made

    @pytest.mark.parametrize(
        ("text", "verdict", "said"),
        [
            ('openjdk version "17.0.15" 2025\\nmore', "ok", 'openjdk version "17.0.15" 2025'),
            ('java version "1.8.0_402"', "warning", "older than 11"),
            ("\\033[1mApache Maven 3.8.7\\033[m", "warning", "Apache Maven 3.8.7, older"),
            ("nothing to say", "warning", "not found"),
        ],
    )
    def test_a_version_is_read(self, tool, text, verdict, said):
        finding = tool(text)

        assert finding.verdict == verdict
        assert said in finding.found

    def test_one_that_is_not_there_is_a_warning_with_a_remedy(self):
        finding = doctor._tool("Java", "java do", ("no-such-program",), 11)

        assert (finding.verdict, finding.found) == ("warning", "not found")
        assert "JDK of 11" in finding.remedy


class TestCommand:
    def test_it_exits_with_1_when_something_is_broken(self, healthy):
        (healthy / SERVER_FILE).write_bytes(
            msgspec.json.encode(ServerFile(f"http://127.0.0.1:{free_port()}", 1))
        )
        done = command("doctor", "--data", healthy, LANG="C")

        assert done.exit_code == 1
        assert f"server: start it: backroom serve --data {healthy}" in done.stdout
        assert "broken: 1" in done.stderr

    def test_it_exits_with_0_and_tells_programs_all(self, healthy, server):
        (healthy / SERVER_FILE).write_bytes(msgspec.json.encode(ServerFile(server.endpoint, 1)))
        done = command("doctor", "--data", healthy, "-o", "json")

        assert done.exit_code == 0
        assert [one["verdict"] for one in json.loads(done.stdout)] == ["ok"] * 6

    def test_in_chinese(self, healthy, server):
        (healthy / SERVER_FILE).write_bytes(msgspec.json.encode(ServerFile(server.endpoint, 1)))
        done = command("doctor", "--data", healthy, "--lang", "zh")

        assert "没有故障" in done.stderr
        assert "有应答" in done.stdout
