"""No secret lies in the clear in the data folder, or leaves it in an export."""

from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.bodies import CREATE_BODY, login_body
from tests.support.commands import command
from tests.support.world import make_world

from backroom.domain.account import Role
from backroom.settings import DATABASE_FILE

KEYS = {"secret.key", "audit.key"}  # what the rest is sealed and signed with: mode 0600


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A data folder while its server still runs, the WAL beside it, and the secrets used on it."""
    data = tmp_path_factory.mktemp("used")
    world = make_world(data, database=None)
    secrets = {"generated key": world.key.secret_key}

    sealed = (data / "user.sealed").read_bytes()
    secrets["generated password"] = world.backroom.around.vault.unseal(sealed).decode()

    secrets["password of an instance"] = "Str0ng-and-secret"
    sasl = {
        "ssl_enable": True, "access_user": "root-1", "password": "Str0ng-and-secret",
        "sasl_enabled_mechanisms": ["SCRAM-SHA-512"],
    }  # fmt: skip
    assert world.admin.post(world.create_path, CREATE_BODY | sasl).status < 300
    refused = sasl | {"password": "We4k-but-secret", "access_user": "?", "name": "kafka-other"}
    assert world.admin.post(world.create_path, CREATE_BODY | refused).status == 400
    secrets["refused password"] = "We4k-but-secret"

    secrets["key of somebody"] = world.caller(Role.OPERATOR).signer.secret_key
    secrets["password of a user"] = "Passw0rd-of-a-user"
    world.user("someone", "Passw0rd-of-a-user")
    caller = world.log_in("someone", "Passw0rd-of-a-user")
    secrets["token"] = caller.token
    mistyped = world.nobody.post("/v3/auth/tokens", login_body("someone", "Passw0rd-mistyped"))
    assert mistyped.status == 401
    secrets["mistyped password"] = "Passw0rd-mistyped"

    asked = {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": 900}}}}
    answer = world.admin.post("/v3.0/OS-CREDENTIAL/securitytokens", asked)
    assert answer.status == 201, answer.body
    secrets["temporary key"] = answer.json["credential"]["secret"]
    secrets["security token"] = answer.json["credential"]["securitytoken"]

    for _ in range(2):
        world.bind()
    world.submit(execute_at=world.clock.now().replace(year=2030))
    world.run_round()
    world.lose_brokers()
    world.run_until_idle()
    yield data, secrets
    world.close()


def forms(secret):
    """In the clear, and as anything reads it again."""
    plain = secret.encode()
    return [plain, plain.hex().encode(), *(in_base64(plain, shift) for shift in range(3))]


def in_base64(plain, shift):
    """What stays the same of it wherever in a document that is base64 as a whole."""
    begin = (0, 2, 3)[shift]
    return b64encode(bytes(shift) + plain).rstrip(b"=")[begin:-1]


def readable(content, secrets):
    return [name for name, secret in secrets.items() if any(f in content for f in forms(secret))]


def test_no_file_of_the_data_folder_holds_a_secret(used):
    data, secrets = used
    files = [path for path in data.rglob("*") if path.is_file() and path.name not in KEYS]
    assert {f"{DATABASE_FILE}-wal", DATABASE_FILE} <= {path.name for path in files}
    assert {path.name: found for path in files
            if (found := readable(path.read_bytes(), secrets))} == {}  # fmt: skip


def test_what_is_secret_is_its_owners_only(used):
    data, _ = used
    for path in data.rglob("*"):
        if path.name in KEYS or path.name.startswith(DATABASE_FILE) or path.suffix == ".sealed":
            assert path.stat().st_mode & 0o077 == 0, path


def exported(data: Path, folder: Path) -> dict[str, bytes]:
    dump, bundle = folder / "dump", folder / "bundle"
    at = ("--data", data)
    done = {
        "db export": command("db", "export", "--output", dump, *at),
        "audit export": command("audit", "export", "--output", bundle, *at),
        "audit verify": command("audit", "verify", "--json", *at),
        "audit key": command("audit", "key", *at),
        "db check": command("db", "check", *at),
        "keys list": command("keys", "list", "-o", "json", *at),
    }
    assert {name: result.exit_code for name, result in done.items()} == dict.fromkeys(done, 0)
    printed = {name: result.output.encode() for name, result in done.items()}
    return printed | {"dump": dump.read_bytes(), "bundle": bundle.read_bytes()}


def test_no_export_holds_a_secret(used, tmp_path):
    data, secrets = used
    found = exported(data, tmp_path)
    secrets = secrets | {
        "key that seals": (data / "secret.key").read_text().strip(),
        "key that signs": (data / "audit.key").read_text().splitlines()[1],
    }
    assert {name: readable(content, secrets) for name, content in found.items()} == {
        name: [] for name in found
    }
    assert len(found["bundle"].splitlines()) > 10


def test_the_search_finds_what_is_there():
    """It must be able to fail."""
    for form in forms("Str0ng-and-secret"):
        assert readable(b"x" + form + b"y", {"it": "Str0ng-and-secret"}) == ["it"]
    for before in (b"", b"a", b"ab", b"abc"):
        content = b64encode(before + b"Str0ng-and-secret" + b"more")
        assert readable(content, {"it": "Str0ng-and-secret"}) == ["it"]
