"""Secrets come from where no list of processes shows them."""

import pytest
import typer
from tests.support.commands import command
from tests.support.secret_files import written

from backroom.cli.secret_input import given_secret
from backroom.cli.sentences import choose


@pytest.fixture(autouse=True)
def _english():
    choose("en")
    yield
    choose(None)


def test_a_file_gives_its_first_line(tmp_path, capsys):
    file = written(tmp_path / "sk", "  my-secret \nmore\n")
    assert given_secret(None, file, "--sk") == "my-secret"
    assert capsys.readouterr().err == ""


def test_a_secret_among_the_words_of_a_command_is_warned_of(capsys):
    assert given_secret("my-secret", None, "--sk") == "my-secret"
    said = capsys.readouterr().err
    assert "--sk-file FILE" in said
    assert "my-secret" not in said


def test_nothing_said_is_no_secret(capsys):
    assert given_secret(None, None, "--sk") is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfemy-secret"])
def test_a_file_without_a_secret_is_refused(tmp_path, content):
    file = tmp_path / "sk"
    file.write_bytes(content)
    with pytest.raises(typer.BadParameter) as refused:
        given_secret(None, file, "--sk")
    assert refused.value.param_hint == "--sk-file"
    assert "my-secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(typer.BadParameter, match="No such file"):
        given_secret(None, tmp_path / "none", "--sk")
    with pytest.raises(typer.BadParameter, match="directory"):
        given_secret(None, tmp_path, "--sk")


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_secret_is_refused(value, capsys):
    with pytest.raises(typer.BadParameter, match="is empty") as refused:
        given_secret(value, None, "--password")
    assert refused.value.param_hint == "--password"


REMOTE = ("--endpoint", "http://127.0.0.1:1", "--project-id", "p")


@pytest.mark.parametrize(
    ("words", "blamed"),
    [
        (("instances", "list", *REMOTE, "--ak", "AK", "--sk", "-"), "--sk"),
        (("instances", "list", *REMOTE, "--ak", "AK", "--sk", ""), "--sk"),
        (("instances", "list", *REMOTE, "--ak", "", "--sk", "x"), "--ak"),
        (("instances", "list", "--endpoint", ""), "--endpoint"),
        (("instances", "list", "--project-id", ""), "--project-id"),
        (("instances", "restart", "x", *REMOTE, "--client-token", ""), "--client-token"),
        (("keys", "add", "--ak", "AK", "--project-id", "p", "--sk", "-"), "--sk"),
        (("keys", "add", "--ak", "AK", "--project-id", "p", "--sk", ""), "--sk"),
        (("keys", "add", "--ak", "", "--project-id", "p", "--sk", "x"), "--ak"),
        (("instances", "create", "x", "--user", "u", "--password", "-", *REMOTE), "--password"),
        (("instances", "create", "x", "--user", "u", "--password", "", *REMOTE), "--password"),
    ],
)
def test_nothing_else_stands_in_for_what_is_said_and_empty(tmp_path, words, blamed):
    done = command(
        *words, input="\n", BACKROOM_DATA=str(tmp_path / "none"), CLOUD_SDK_AK="ENVAK",
        CLOUD_SDK_SK="env-secret", BACKROOM_NEW_SK="env-secret",
        BACKROOM_INSTANCE_PASSWORD="env-secret",
    )  # fmt: skip
    assert done.exit_code == 2, (done.stderr, done.refusal)
    assert blamed in done.stderr
    assert "is empty" in done.stderr
    assert not (tmp_path / "none").exists()


def test_both_ways_at_once_are_refused(tmp_path):
    with pytest.raises(typer.BadParameter, match="one of them"):
        given_secret("a", tmp_path, "--sk")


@pytest.mark.parametrize(
    "words",
    [
        ("instances", "list", "--ak", "AK", "--sk-file", "nowhere"),
        ("keys", "add", "--ak", "AK", "--project-id", "p", "--sk-file", "nowhere"),
        ("instances", "create", "x", "--user", "u", "--password-file", "nowhere",
         "--endpoint", "http://127.0.0.1:1", "--ak", "AK", "--sk", "-", "--project-id", "p"),
    ],
)  # fmt: skip
def test_each_command_with_a_secret_takes_a_file(words):
    done = command(*words, input="secret\n")
    assert done.exit_code == 2
    assert "nowhere: No such file" in done.stderr
