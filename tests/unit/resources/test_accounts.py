import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from backroom.domain.account import Identity, Project, Role, Scope
from backroom.domain.errors import (
    AdminOnly,
    BackroomError,
    InvalidInput,
    InvalidProjectId,
    NameTaken,
    Unauthenticated,
)
from backroom.domain.ids import ProjectId, UserId
from backroom.resources import accounts as module
from backroom.resources.accounts import (
    LOCK_TIME,
    LOGIN_LOCKED,
    LOGIN_REFUSED,
    TOKEN_LIFETIME,
    TOKEN_REFUSED,
    Accounts,
)

NOW = datetime(2020, 1, 4, 9, 5, 22, 701000, tzinfo=UTC)
OURS = Project(id=ProjectId("a" * 32), name="cn-north-4")
THEIRS = Project(id=ProjectId("b" * 32), name="eu-west-101")
PASSWORD = "correct horse"
AGREED_COST = module.SCRYPT_N  # before the tests make it cheap
IN_PROJECT = Scope(project_name="cn-north-4")


class StubStore:
    def __init__(self):
        self.keys, self.users, self.tokens = {}, {}, {}
        self.rows = {project.id: project for project in (OURS, THEIRS)}

    async def access_key(self, access_key):
        return self.keys.get(access_key)

    async def access_keys(self):
        return list(self.keys.values())

    async def add_access_key(self, key):
        if key.access_key in self.keys:
            raise NameTaken(key.access_key)
        self.keys[key.access_key] = key

    async def revoke_access_key(self, access_key):
        return self.keys.pop(access_key, None) is not None

    async def project(self, project_id):
        return self.rows.get(project_id)

    async def user(self, user_id):
        return next((user for user in self.users.values() if user.id == user_id), None)

    async def user_named(self, name):
        return self.users.get(name)

    async def add_user(self, user):
        if user.name in self.users:
            raise NameTaken(user.name)
        self.users[user.name] = user

    async def token(self, digest):
        return self.tokens.get(digest)

    async def add_token(self, token):
        self.tokens[token.digest] = token


class StubClock:
    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at

    def move(self, **delta):
        self.at += timedelta(**delta)


class World:
    def __init__(self, **settings):
        self.store, self.clock = StubStore(), StubClock()
        self.accounts = Accounts(
            self.store, self.clock, domain_id="d" * 32, domain_name="acme", **settings
        )

    async def with_user(self, role=Role.OPERATOR):
        await self.accounts.add_user("ann", PASSWORD, OURS.id, role)
        return self

    async def log_in(self, password=PASSWORD, user="ann", domain="acme", scope=IN_PROJECT):
        return await self.accounts.issue_token(user, password, domain, scope)

    async def refusal(self, **login):
        with pytest.raises(Unauthenticated) as caught:
            await self.log_in(**login)
        return caught.value.detail


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch):
    monkeypatch.setattr(module, "SCRYPT_N", 2)


def run(coroutine):
    return asyncio.run(coroutine)


def identity(role=Role.ADMIN, project=OURS.id):
    return Identity(project, UserId("c" * 32), "root", role)


def test_password_hash_says_how_it_was_made(monkeypatch):
    monkeypatch.setattr(module, "SCRYPT_N", AGREED_COST)
    text = run(World().accounts.hash_password(PASSWORD))
    assert text.startswith("scrypt$16384$8$1$")
    assert PASSWORD not in text
    assert module._is_password(PASSWORD, text)
    assert not module._is_password(PASSWORD + " ", text)


def test_password_hash_differs_for_each_call():
    accounts = World().accounts
    assert run(accounts.hash_password(PASSWORD)) != run(accounts.hash_password(PASSWORD))


def test_password_costs_little_where_it_guards_nothing():
    world = World(scrypt_n=module.OPEN_SCRYPT_N)
    text = run(world.accounts.hash_password(PASSWORD))
    assert text.startswith("scrypt$2$8$1$")
    assert module._is_password(PASSWORD, text)
    assert world.accounts._no_password.startswith("scrypt$2$8$1$")


def test_stored_password_keeps_its_own_cost_when_ours_changes(monkeypatch):
    text = module._hash_password(PASSWORD, 2)
    monkeypatch.setattr(module, "SCRYPT_N", 4)
    assert module._is_password(PASSWORD, text)


@pytest.mark.parametrize("stored", ["", "plain", "bcrypt$2$8$1$AAAA$AAAA"])
def test_stored_password_of_another_kind_is_a_bug(stored):
    with pytest.raises(ValueError, match=r"scrypt|unpack"):
        module._is_password(PASSWORD, stored)


def test_any_text_may_be_a_password():
    for password in ("\x00" * 8, "пароль-пароль", "\ud800" * 8, "x" * 10_000):
        assert module._is_password(password, module._hash_password(password, 2))


def test_login_gives_a_token_that_identifies_for_a_day():
    async def scenario():
        world = await World().with_user()
        text, token = await world.log_in()
        assert token.expires_at == NOW + TOKEN_LIFETIME == NOW + timedelta(hours=24)
        assert token.issued_at == NOW
        world.clock.move(hours=24, milliseconds=-1)
        who = await world.accounts.identify_token(text)
        assert who == Identity(OURS.id, token.user_id, "ann", Role.OPERATOR)
        world.clock.move(milliseconds=1)
        with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
            await world.accounts.identify_token(text)

    run(scenario())


def test_login_keeps_the_digest_only():
    async def scenario():
        world = await World().with_user()
        text, token = await world.log_in()
        assert len(text) == 64
        assert list(world.store.tokens) == [token.digest] == [module._digest(text)]
        assert text not in repr(world.store.tokens)

    run(scenario())


def test_login_gives_a_new_token_each_time_and_the_old_one_stays():
    async def scenario():
        world = await World().with_user()
        first, _ = await world.log_in()
        second, _ = await world.log_in()
        assert first != second
        assert (await world.accounts.identify_token(first)).user_name == "ann"

    run(scenario())


@pytest.mark.parametrize(
    ("scope", "project_id"),
    [
        (Scope(project_id=OURS.id), OURS.id),
        (Scope(project_name=OURS.name), OURS.id),
        (Scope(project_id=OURS.id, project_name=OURS.name), OURS.id),
        (Scope(), None),
        (Scope(domain="acme"), None),
        (Scope(domain="d" * 32), None),
    ],
)
def test_login_for_a_scope_of_the_user(scope, project_id):
    async def scenario():
        _, token = await (await World().with_user()).log_in(scope=scope)
        assert token.project_id == project_id

    run(scenario())


def test_login_takes_the_domain_by_id_too():
    async def scenario():
        _, token = await (await World().with_user()).log_in(domain="d" * 32)
        assert token.user_name == "ann"

    run(scenario())


WRONG_LOGINS = [
    {"password": "wrong"},
    {"user": "bob"},
    {"domain": "other"},
    {"scope": Scope(project_id=THEIRS.id)},
    {"scope": Scope(project_name=THEIRS.name)},
    {"scope": Scope(project_id=OURS.id, project_name=THEIRS.name)},
    {"scope": Scope(project_id="nowhere")},
    {"scope": Scope(domain="other")},
]


@pytest.mark.parametrize("login", WRONG_LOGINS)
def test_login_is_refused_the_same_way_whatever_is_wrong(login):
    async def scenario():
        world = await World().with_user()
        assert await world.refusal(**login) == LOGIN_REFUSED
        assert world.store.tokens == {}

    run(scenario())


@pytest.mark.parametrize("login", WRONG_LOGINS)
def test_login_costs_one_hash_whatever_is_wrong(login, monkeypatch):
    async def scenario():
        world = await World().with_user()
        costs = []
        scrypt = module.hashlib.scrypt

        def counted(*arguments, **settings):
            costs.append((settings["n"], settings["r"], settings["p"], len(settings["salt"])))
            return scrypt(*arguments, **settings)

        monkeypatch.setattr(module.hashlib, "scrypt", counted)
        await world.refusal(**login)
        assert costs == [(2, 8, 1, 16)]

    run(scenario())


def test_login_is_refused_for_a_user_without_password():
    async def scenario():
        world = World()
        await world.accounts.add_key(None, "AK", "secret-key", OURS.id, Role.ADMIN)
        assert await world.refusal(user="key-AK", password="") == LOGIN_REFUSED

    run(scenario())


def test_login_hashes_off_the_event_loop_and_few_at_once(monkeypatch):
    async def scenario():
        world = await World(lock_after=0).with_user()
        running, most, threads = 0, 0, set()
        guard = threading.Lock()
        meet = threading.Barrier(module.HASHED_AT_ONCE, timeout=10)

        def hashing(password, stored):
            nonlocal running, most
            with guard:
                running += 1
                most = max(most, running)
                threads.add(threading.get_ident())
            meet.wait()
            with guard:
                running -= 1
            return False

        monkeypatch.setattr(module, "_is_password", hashing)
        await asyncio.gather(*(world.refusal() for _ in range(6)))
        assert most == module.HASHED_AT_ONCE
        assert threading.get_ident() not in threads

    run(scenario())


def test_login_locks_a_name_after_five_failures_for_five_minutes():
    async def scenario():
        world = await World().with_user()
        for _ in range(5):
            assert await world.refusal(password="wrong") == LOGIN_REFUSED
        assert await world.refusal() == LOGIN_LOCKED
        world.clock.at += LOCK_TIME - timedelta(milliseconds=1)
        assert await world.refusal() == LOGIN_LOCKED
        world.clock.move(milliseconds=1)
        await world.log_in()

    run(scenario())


def test_login_locks_by_user_name_however_the_domain_is_written():
    async def scenario():
        world = await World().with_user()
        for domain in ("acme", "d" * 32, "acme", "d" * 32, "acme"):
            await world.refusal(password="wrong", domain=domain)
        assert await world.refusal() == LOGIN_LOCKED

    run(scenario())


def test_login_to_another_domain_locks_nobody_of_ours():
    async def scenario():
        world = await World().with_user()
        for _ in range(5):
            await world.refusal(domain="other")
        await world.log_in()

    run(scenario())


def test_login_locks_an_unknown_name_too():
    async def scenario():
        world = World()
        for _ in range(5):
            await world.refusal(user="nobody")
        assert await world.refusal(user="nobody") == LOGIN_LOCKED
        assert await world.refusal(user="nobody else") == LOGIN_REFUSED

    run(scenario())


def test_login_that_succeeds_forgets_the_failures_before():
    async def scenario():
        world = await World().with_user()
        for _ in range(4):
            await world.refusal(password="wrong")
        await world.log_in()
        for _ in range(4):
            await world.refusal(password="wrong")
        await world.log_in()

    run(scenario())


def test_login_checks_few_of_many_guesses_sent_at_once(monkeypatch):
    async def scenario():
        world = await World().with_user()
        guesses = []

        def counted(password, stored):
            guesses.append(password)
            return False

        monkeypatch.setattr(module, "_is_password", counted)
        details = await asyncio.gather(*(world.refusal(password=str(i)) for i in range(50)))
        assert len(guesses) <= 5 + module.HASHED_AT_ONCE
        assert details.count(LOGIN_LOCKED) == 50 - len(guesses)

    run(scenario())


def test_no_lock_when_switched_off():
    async def scenario():
        world = await World(lock_after=0).with_user()
        for _ in range(9):
            assert await world.refusal(password="wrong") == LOGIN_REFUSED
            world.accounts.note_failure("AK")
        assert not world.accounts.is_locked("AK")

    run(scenario())


def test_rescoped_token_ends_with_the_first():
    async def scenario():
        world = await World().with_user()
        text, first = await world.log_in(scope=Scope())
        world.clock.move(hours=23)
        rescoped, second = await world.accounts.rescope_token(text, IN_PROJECT)
        assert second.project_id == OURS.id
        assert second.expires_at == first.expires_at
        assert second.issued_at == NOW + timedelta(hours=23)
        assert (await world.accounts.identify_token(rescoped)).project_id == OURS.id

    run(scenario())


def test_rescope_is_refused_for_a_foreign_project_or_an_ended_token():
    async def scenario():
        world = await World().with_user()
        text, _ = await world.log_in()
        with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
            await world.accounts.rescope_token(text, Scope(project_id=THEIRS.id))
        world.store.users.clear()
        with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
            await world.accounts.rescope_token(text, IN_PROJECT)
        world.clock.move(hours=24)
        with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
            await world.accounts.rescope_token(text, IN_PROJECT)

    run(scenario())


@pytest.mark.parametrize("text", ["", "nonsense", "\ud800"])
def test_unknown_token_is_refused(text):
    with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
        run(World().accounts.identify_token(text))


def test_digest_of_a_token_is_no_token():
    async def scenario():
        world = await World().with_user()
        _, token = await world.log_in()
        with pytest.raises(Unauthenticated):
            await world.accounts.identify_token(token.digest)

    run(scenario())


def test_temporary_key_has_what_its_identity_has():
    async def scenario():
        world = World()
        key, text = await world.accounts.issue_temporary_key(identity(Role.VIEWER))
        assert (key.project_id, key.user_name, key.role) == (OURS.id, "root", Role.VIEWER)
        assert key.expires_at == NOW + timedelta(seconds=900)
        assert (len(key.access_key), len(key.secret_key)) == (20, 40)
        assert world.store.keys == {key.access_key: key}
        assert text not in {key.token_digest, key.secret_key}
        world.accounts.check_security_token(key, text)

    run(scenario())


@pytest.mark.parametrize("duration_s", [900, 86_400])
def test_temporary_key_lives_as_long_as_asked(duration_s):
    key, _ = run(World().accounts.issue_temporary_key(identity(), duration_s))
    assert key.expires_at == NOW + timedelta(seconds=duration_s)


@pytest.mark.parametrize("duration_s", [-1, 0, 899, 86_401])
def test_temporary_key_is_refused_for_a_duration_out_of_range(duration_s):
    world = World()
    with pytest.raises(InvalidInput, match="duration_seconds"):
        run(world.accounts.issue_temporary_key(identity(), duration_s))
    assert world.store.keys == {}


def test_temporary_key_of_a_domain_token_is_for_the_users_project():
    async def scenario():
        world = await World().with_user()
        text, _ = await world.log_in(scope=Scope())
        who = await world.accounts.identify_token(text)
        assert who.project_id is None
        key, _ = await world.accounts.issue_temporary_key(who)
        assert key.project_id == OURS.id

    run(scenario())


def test_temporary_key_is_refused_when_the_user_is_gone():
    with pytest.raises(Unauthenticated):
        run(World().accounts.issue_temporary_key(identity(project=None)))


def test_security_token_must_be_the_keys_own_and_unexpired():
    async def scenario():
        world = World()
        key, own = await world.accounts.issue_temporary_key(identity())
        _, other = await world.accounts.issue_temporary_key(identity())
        for presented in (None, "", other, own + "x", key.token_digest):
            with pytest.raises(Unauthenticated, match="verify security token fail,ak:") as caught:
                world.accounts.check_security_token(key, presented)
            assert key.access_key in caught.value.detail
            assert not presented or presented not in caught.value.detail
        world.clock.move(seconds=899, milliseconds=999)
        world.accounts.check_security_token(key, own)
        world.clock.move(milliseconds=1)
        with pytest.raises(Unauthenticated, match="expired"):
            world.accounts.check_security_token(key, own)

    run(scenario())


def test_permanent_key_has_no_security_token():
    async def scenario():
        accounts = World().accounts
        key = await accounts.add_key(None, "AK", "secret-key", OURS.id, Role.ADMIN)
        accounts.check_security_token(key, None)
        accounts.check_security_token(key, "")
        with pytest.raises(Unauthenticated, match="permanent"):
            accounts.check_security_token(key, "anything")

    run(scenario())


def test_projects_are_the_identitys_own_with_exactly_that_name():
    async def scenario():
        accounts = World().accounts
        assert await accounts.projects_of(identity()) == [OURS]
        assert await accounts.projects_of(identity(), "cn-north-4") == [OURS]
        for name in ("cn-north", "cn-north-4 ", "CN-NORTH-4", "", THEIRS.name):
            assert await accounts.projects_of(identity(), name) == []
        assert await accounts.projects_of(identity(project=THEIRS.id)) == [THEIRS]
        assert await accounts.projects_of(identity(project=ProjectId("gone"))) == []
        assert await accounts.projects_of(identity(project=None)) == []

    run(scenario())


def test_projects_of_a_domain_token_are_its_users():
    async def scenario():
        world = await World().with_user()
        text, _ = await world.log_in(scope=Scope())
        who = await world.accounts.identify_token(text)
        assert await world.accounts.projects_of(who, OURS.name) == [OURS]

    run(scenario())


def test_added_key_gets_a_user_of_its_own():
    async def scenario():
        world = World()
        key = await world.accounts.add_key(None, "AK", "secret-key", OURS.id, Role.VIEWER)
        user = world.store.users["key-AK"]
        assert (key.user_id, key.user_name) == (user.id, "key-AK")
        assert (user.project_id, user.role, user.password_hash) == (OURS.id, Role.VIEWER, None)
        assert (key.created_at, key.token_digest, key.expires_at) == (NOW, None, None)
        assert key.is_generated is False

    run(scenario())


def test_key_added_again_after_it_was_revoked_keeps_its_user():
    async def scenario():
        world = World()
        first = await world.accounts.add_key(None, "AK", "secret-key", OURS.id, Role.ADMIN)
        assert await world.accounts.revoke_key(None, "AK") is True
        second = await world.accounts.add_key(None, "AK", "other-secret", OURS.id, Role.ADMIN)
        assert second.user_id == first.user_id
        await world.accounts.revoke_key(None, "AK")
        with pytest.raises(NameTaken):
            await world.accounts.add_key(None, "AK", "secret-key", THEIRS.id, Role.ADMIN)

    run(scenario())


@pytest.mark.parametrize(
    "access_key", ["", "x" * 65, "a b", "a,b", "a\tb", "a\n", "ключ", "\x7f", "\ud800"]
)
def test_key_is_refused_that_a_header_could_not_carry(access_key):
    with pytest.raises(InvalidInput, match="access_key"):
        run(World().accounts.add_key(None, access_key, "secret-key", OURS.id, Role.ADMIN))


@pytest.mark.parametrize("access_key", ["x", "x" * 64, "!+-./:~", "AK/1"])
def test_key_may_be_of_any_visible_characters(access_key):
    key = run(World().accounts.add_key(None, access_key, "secret-key", OURS.id, Role.ADMIN))
    assert key.access_key == access_key


@pytest.mark.parametrize("secret_key", ["", "7-chars", "x" * 129, "secret-key\n", "секрет-ключ"])
def test_secret_key_is_refused_without_being_quoted(secret_key):
    with pytest.raises(InvalidInput, match="secret_key") as caught:
        run(World().accounts.add_key(None, "AK", secret_key, OURS.id, Role.ADMIN))
    assert not secret_key or secret_key not in str(caught.value)


@pytest.mark.parametrize("secret_key", ["8-chars.", "x" * 128])
def test_secret_key_may_have_8_to_128_characters(secret_key):
    key = run(World().accounts.add_key(None, "AK", secret_key, OURS.id, Role.ADMIN))
    assert key.secret_key == secret_key


def test_known_key_is_not_added_again_and_makes_no_user():
    async def scenario():
        world = World()
        temporary, _ = await world.accounts.issue_temporary_key(identity())
        with pytest.raises(NameTaken):
            await world.accounts.add_key(
                None, temporary.access_key, "secret-key", OURS.id, Role.ADMIN
            )
        assert world.store.users == {}

    run(scenario())


def test_missing_and_foreign_project_are_refused_alike():
    async def scenario():
        world = World()
        errors = []
        for who, project_id in ((None, "gone"), (identity(), "gone"), (identity(), THEIRS.id)):
            with pytest.raises(InvalidProjectId) as caught:
                await world.accounts.add_key(
                    who, "AK", "secret-key", ProjectId(project_id), Role.ADMIN
                )
            errors.append(str(caught.value))
        assert len(set(errors)) == 1
        assert world.store.users == world.store.keys == {}

    run(scenario())


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_admin_manages_keys(role):
    async def scenario():
        world = World()
        await world.accounts.add_key(identity(), "AK", "secret-key", OURS.id, Role.ADMIN)
        who = identity(role)
        with pytest.raises(AdminOnly):
            await world.accounts.add_key(who, "AK2", "secret-key", OURS.id, Role.VIEWER)
        with pytest.raises(AdminOnly):
            await world.accounts.list_keys(who)
        with pytest.raises(AdminOnly):
            await world.accounts.revoke_key(who, "AK")
        assert list(world.store.keys) == ["AK"]

    run(scenario())


def test_admin_sees_and_revokes_keys_of_the_own_project_only():
    async def scenario():
        world = World()
        await world.accounts.add_key(None, "AK1", "secret-key", OURS.id, Role.ADMIN)
        await world.accounts.add_key(None, "AK2", "secret-key", THEIRS.id, Role.ADMIN)
        assert [key.access_key for key in await world.accounts.list_keys(identity())] == ["AK1"]
        assert await world.accounts.revoke_key(identity(), "AK2") is False
        assert await world.accounts.revoke_key(identity(), "AK3") is False
        assert await world.accounts.revoke_key(None, "AK2") is True
        assert list(world.store.keys) == ["AK1"]

    run(scenario())


def test_admin_whose_user_is_gone_manages_nothing():
    async def scenario():
        world = World()
        await world.accounts.add_key(None, "AK", "secret-key", OURS.id, Role.ADMIN)
        with pytest.raises(Unauthenticated):
            await world.accounts.list_keys(identity(project=None))

    run(scenario())


def test_listed_keys_hold_have_no_secret_and_are_oldest_first():
    async def scenario():
        world = World()
        await world.accounts.add_key(None, "B", "secret-key", OURS.id, Role.ADMIN)
        await world.accounts.add_key(None, "A", "secret-key", THEIRS.id, Role.ADMIN)
        world.clock.move(seconds=-1)
        temporary, _ = await world.accounts.issue_temporary_key(identity())
        keys = await world.accounts.list_keys(None)
        assert [key.access_key for key in keys] == [temporary.access_key, "A", "B"]
        assert {key.secret_key for key in keys} == {""}
        world.clock.move(seconds=900)
        assert [key.access_key for key in await world.accounts.list_keys(None)] == ["A", "B"]

    run(scenario())


@pytest.mark.parametrize(
    ("user_name", "password", "parameter"),
    [
        ("", PASSWORD, "user_name"),
        ("x" * 65, PASSWORD, "user_name"),
        ("a\x00", PASSWORD, "user_name"),
        ("ann", "7-chars", "password"),
        ("ann", "x" * 129, "password"),
    ],
)
def test_user_is_refused_without_quoting_the_password(user_name, password, parameter):
    with pytest.raises(InvalidInput, match=parameter) as caught:
        run(World().accounts.add_user(user_name, password, OURS.id, Role.VIEWER))
    assert password not in str(caught.value)


def test_user_needs_a_project_and_a_free_name():
    async def scenario():
        world = await World().with_user()
        with pytest.raises(InvalidProjectId):
            await world.accounts.add_user("bob", PASSWORD, ProjectId("gone"), Role.VIEWER)
        with pytest.raises(NameTaken):
            await world.accounts.add_user("ann", PASSWORD, OURS.id, Role.VIEWER)

    run(scenario())


def test_key_is_locked_after_five_failures_in_a_row():
    world = World()
    for _ in range(4):
        world.accounts.note_failure("AK")
    assert not world.accounts.is_locked("AK")
    world.accounts.note_failure("AK")
    assert world.accounts.is_locked("AK")
    assert not world.accounts.is_locked("AK2")


def test_key_is_unlocked_by_a_success_or_by_time_and_counts_anew():
    world = World()
    for release in (
        lambda: world.accounts.note_success("AK"),
        lambda: world.clock.move(minutes=5),
    ):
        for _ in range(5):
            world.accounts.note_failure("AK")
        assert world.accounts.is_locked("AK")
        release()
        assert not world.accounts.is_locked("AK")
        for _ in range(4):
            world.accounts.note_failure("AK")
        assert not world.accounts.is_locked("AK")
        world.accounts.note_success("AK")


def test_failures_during_a_lock_do_not_prolong_it():
    world = World()
    for _ in range(5):
        world.accounts.note_failure("AK")
    world.clock.move(minutes=4)
    world.accounts.note_failure("AK")
    world.clock.move(minutes=1)
    assert not world.accounts.is_locked("AK")


def test_lock_ends_when_the_clock_is_set_back():
    world = World()
    for _ in range(5):
        world.accounts.note_failure("AK")
    world.clock.move(minutes=-4)
    assert world.accounts.is_locked("AK")
    world.clock.move(days=-400)
    assert not world.accounts.is_locked("AK")


def test_failures_of_a_login_do_not_lock_a_key_of_that_name():
    async def scenario():
        world = World()
        for _ in range(5):
            await world.refusal(user="AK")
        assert not world.accounts.is_locked("AK")

    run(scenario())


def test_locks_take_bounded_memory_and_keep_the_latest():
    world = World(lock_after=1)
    for number in range(10_001):
        world.accounts.note_failure(f"AK{number}")
    assert len(world.accounts._key_failures._streaks) == 10_000
    assert not world.accounts.is_locked("AK0")
    assert world.accounts.is_locked("AK1")
    assert world.accounts.is_locked("AK10000")


def test_name_that_failed_again_outlasts_older_ones(monkeypatch):
    monkeypatch.setattr(module, "LOCKED_NAMES_MOST", 2)
    world = World(lock_after=2)
    for name in ("old", "middle", "old", "new"):
        world.accounts.note_failure(name)
    assert world.accounts.is_locked("old")


def test_no_secret_shows_in_what_is_printed():
    async def scenario():
        world = await World().with_user()
        text, token = await world.log_in()
        key, security_token = await world.accounts.issue_temporary_key(identity())
        shown = repr((key, token, world.store.users, world.store.tokens, world.store.keys))
        assert "ann" in shown
        for secret in (text, key.secret_key, security_token, PASSWORD, "scrypt"):
            assert secret not in shown

    run(scenario())


def test_errors_are_of_the_tree_and_hold_no_password():
    async def scenario():
        world = await World().with_user()
        with pytest.raises(BackroomError) as caught:
            await world.log_in(password="wrong-secret")
        assert "wrong-secret" not in repr(caught.value)
        assert caught.value.__cause__ is None

    run(scenario())


def test_domain_is_the_one_given():
    domain = World().accounts.domain()
    assert (domain.id, domain.name) == ("d" * 32, "acme")
