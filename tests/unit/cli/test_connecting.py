"""Which server, as whom: a key goes only to the server that it was given for."""

from pathlib import Path

import pytest
from tests.support.filled import filled_world  # noqa: F401  the fixture `data` stands on it

from backroom.cli.connecting import Connection, connected
from backroom.cli.exits import NotConnected
from backroom.cli.sentences import choose
from backroom.data_folder import SERVER_FILE

ENVIRONMENT = {
    "BACKROOM_ENDPOINT": "https://env:1",
    "BACKROOM_PROJECT_ID": "env-project",
    "BACKROOM_INSTANCE_ID": "env-instance",
    "CLOUD_SDK_AK": "ENVAK",
    "CLOUD_SDK_SK": "env-sk",
    "REQUESTS_CA_BUNDLE": "/env/ca.pem",
}


@pytest.fixture(autouse=True)
def _english():
    choose("en")
    yield
    choose(None)


@pytest.fixture
def served(data):
    (data / SERVER_FILE).write_text('{"endpoint":"https://127.0.0.1:7","pid":1,"database":null}')
    return data


def test_the_environment_says_all():
    server, instance = connected(Connection(), ENVIRONMENT)

    assert (server.endpoint, server.project_id) == ("https://env:1", "env-project")
    assert (server.key.access_key, server.key.secret_key) == ("ENVAK", "env-sk")
    assert server.authority == Path("/env/ca.pem")
    assert instance == "env-instance"


def test_options_win():
    said = Connection(
        endpoint="https://said:2", project_id="said", access_key="AK", secret_key="sk",
        authority=Path("ca"),
    )  # fmt: skip
    server, _ = connected(said, ENVIRONMENT | {"CLOUD_SDK_SECURITY_TOKEN": "of-the-other-key"})

    assert (server.endpoint, server.project_id) == ("https://said:2", "said")
    assert (server.key.access_key, server.key.secret_key) == ("AK", "sk")
    assert server.key.security_token is None
    assert server.authority == Path("ca")


def test_the_variables_of_the_sdks_are_taken_after_ours():
    names = {
        "BACKROOM_ENDPOINT": "https://env:1",
        "HUAWEICLOUD_SDK_AK": "AK",
        "HUAWEICLOUD_SDK_SK": "sk",
        "HUAWEICLOUD_SDK_SECURITY_TOKEN": "token",
        "HUAWEICLOUD_SDK_PROJECT_ID": "p",
    }
    server, instance = connected(Connection(), names)

    assert (server.key.access_key, server.key.security_token) == ("AK", "token")
    assert server.project_id == "p"
    assert instance is None


def test_a_data_folder_that_is_said_wins_over_the_environment(served):
    server, instance = connected(Connection(data=served), ENVIRONMENT)

    assert server.endpoint == "https://127.0.0.1:7"
    assert server.key.access_key != "ENVAK"
    assert instance is None


def test_the_key_of_a_data_folder_never_goes_elsewhere(served):
    names = {"BACKROOM_DATA": str(served)}
    with pytest.raises(NotConnected, match="no key for https://elsewhere"):
        connected(Connection(endpoint="https://elsewhere"), names)


def test_without_a_project_it_is_refused():
    said = Connection(endpoint="https://said:2", access_key="AK", secret_key="sk")
    with pytest.raises(NotConnected, match="--project-id"):
        connected(said, {})


def test_without_anything_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("BACKROOM_DATA", str(tmp_path / "none"))
    with pytest.raises(NotConnected, match="backroom serve"):
        connected(Connection(), {})


def test_a_folder_that_no_server_has_run_on(tmp_path):
    with pytest.raises(NotConnected, match="no server has run"):
        connected(Connection(data=tmp_path), {})


def test_a_broken_note_of_the_server(tmp_path):
    (tmp_path / SERVER_FILE).write_text("{")
    with pytest.raises(NotConnected, match="no server has run"):
        connected(Connection(data=tmp_path), {})


def test_keys_in_postgresql_are_not_looked_for(tmp_path):
    (tmp_path / SERVER_FILE).write_text(
        '{"endpoint":"https://127.0.0.1:7","pid":1,"database":"postgresql://h/d"}'
    )
    with pytest.raises(NotConnected, match="PostgreSQL"):
        connected(Connection(data=tmp_path), {})


def test_looking_makes_nothing(tmp_path):
    (tmp_path / SERVER_FILE).write_text('{"endpoint":"https://127.0.0.1:7","pid":1}')
    with pytest.raises(NotConnected, match="holds no data"):
        connected(Connection(data=tmp_path), {})
    assert [path.name for path in tmp_path.iterdir()] == [SERVER_FILE]
