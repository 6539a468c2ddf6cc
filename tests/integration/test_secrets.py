"""No secret lies in the clear in data folder, database or log, or leaves them in an export."""

import io
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.support.bodies import CREATE_BODY, login_body
from tests.support.commands import command
from tests.support.databases import postgres_files
from tests.support.postgres_server import DATABASES
from tests.support.world import ON_EACH_DATABASE, make_world

from backroom.cli.logs import JsonFormatter, TextFormatter
from backroom.data_folder import SERVER_FILE, ServerFile
from backroom.domain.account import Role
from backroom.settings import DATABASE_FILE

KEYS = {"secret.key", "audit.key"}  # what the rest is sealed and signed with: mode 0600


@dataclass(frozen=True)
class Used:
    """A deployment while its server still runs: where it keeps all, and the secrets used on it.

    `log` is what the server said, in both forms; `database` None for that of the data folder.
    """

    data: Path
    database: str | None
    secrets: dict[str, str]
    log: str
    files: Callable[[], list[Path]]  # of PostgreSQL

    @property
    def all_files(self) -> list[Path]:
        """But the keys."""
        own = (path for path in self.data.rglob("*") if path.is_file() and path.name not in KEYS)
        return [*own, *self.files()]


@contextmanager
def overheard() -> Iterator[io.StringIO]:
    """All that is logged, also what a server is not asked to say."""
    root, said = logging.getLogger(), io.StringIO()
    level, handlers = root.level, [logging.StreamHandler(said) for _ in range(2)]
    for handler, formatter in zip(handlers, (JsonFormatter(), TextFormatter()), strict=True):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)


@contextmanager
def postgres():
    """Its URL and name."""
    name = DATABASES.take()
    try:
        yield DATABASES.cluster.url(name), name
    finally:
        DATABASES.give_back(name)


@pytest.fixture(scope="module", params=ON_EACH_DATABASE)
def used(request, tmp_path_factory):
    data = tmp_path_factory.mktemp("used")
    lent = postgres() if request.param == "postgres" else nullcontext((None, None))
    with lent as (url, name), overheard() as said:
        world = make_world(data, database=url)
        secrets = use(world, data)
        try:
            if url is not None:  # as a server writes it, for other commands
                served = ServerFile("https://127.0.0.1:1", 1, url)
                (data / SERVER_FILE).write_bytes(msgspec.json.encode(served))
            yield Used(
                data, url, secrets, said.getvalue(),
                list if name is None else lambda: postgres_files(name),
            )  # fmt: skip
        finally:
            world.close()


def use(world, data):
    """Everything that takes or makes a secret, and tasks that go well and wrong: the secrets."""
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

    secrets["password in an error"] = fault_with_a_password(world, sasl | {"name": "kafka-lost"})
    for _ in range(2):
        world.bind()
    world.submit(execute_at=world.clock.now().replace(year=2030))
    world.run_round()
    world.lose_brokers()
    world.run_until_idle()
    return secrets


def fault_with_a_password(world, body):
    """A platform that can't create, and quotes what it was given."""
    password = "Qu0ted-in-an-error"

    async def create_cluster(*_given):
        raise RuntimeError(password)

    assert (
        world.admin.post(world.create_path, CREATE_BODY | body | {"password": password}).status
        < 300
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.backroom.platform, "create_cluster", create_cluster)
        world.run_until_idle()
    return password


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


def test_no_file_of_data_folder_or_database_holds_a_secret(used):
    files = used.all_files
    if used.database is None:
        assert {f"{DATABASE_FILE}-wal", DATABASE_FILE} <= {path.name for path in files}
    else:
        assert any(b"bindInstancePublicIp" in path.read_bytes() for path in used.files())
    assert {path.name: found for path in files
            if (found := readable(path.read_bytes(), used.secrets))} == {}  # fmt: skip


def test_no_log_line_holds_a_secret(used):
    for line in ("task accepted", "step faulted"):
        assert used.log.count(line) >= 2, "both forms"
    assert readable(used.log.encode(), used.secrets) == []
    if used.database is not None:
        log = (DATABASES.cluster.folder / "log").read_bytes()
        assert b"ready to accept connections" in log
        assert readable(log, used.secrets) == []


def test_what_is_secret_is_its_owners_only(used):
    for path in used.data.rglob("*"):
        if path.name in KEYS or path.name.startswith(DATABASE_FILE) or path.suffix == ".sealed":
            assert path.stat().st_mode & 0o077 == 0, path


def exported(used: Used, folder: Path) -> dict[str, bytes]:
    dump, bundle = folder / "dump", folder / "bundle"
    at = ("--data", used.data)
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
    found = exported(used, tmp_path)
    secrets = used.secrets | {
        "key that seals": (used.data / "secret.key").read_text().strip(),
        "key that signs": (used.data / "audit.key").read_text().splitlines()[1],
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
