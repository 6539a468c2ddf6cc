import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.builders import NOW, OTHER_PROJECT, PROJECT, USER, after
from tests.support.promises import promised

from backroom.domain.account import AccessKey, Project, Role, Token, User
from backroom.domain.errors import NameTaken
from backroom.ports import AccountStore

SECRET = "a-secret-nobody-may-read-at-rest"


def make_key(access_key="AK1", **given):
    about = {
        "access_key": access_key, "secret_key": SECRET, "project_id": PROJECT, "user_id": USER,
        "user_name": "tester", "role": Role.OPERATOR, "created_at": NOW,
    }  # fmt: skip
    return AccessKey(**about | given)


def make_token(digest="d1", **given):
    about = {
        "digest": digest, "project_id": PROJECT, "user_id": USER, "user_name": "tester",
        "role": Role.VIEWER, "issued_at": NOW, "expires_at": after(60),
    }  # fmt: skip
    return Token(**about | given)


@pytest.fixture
def accounts(stores):
    return stores.accounts


@pytest.mark.parametrize(
    "key",
    [
        make_key(),
        make_key(is_generated=True, role=Role.ADMIN),
        make_key(token_digest="t", expires_at=after(900)),
    ],
)
async def test_key_comes_back_as_added_in_any_process(database, key):
    await database.open().accounts.add_access_key(key)
    other = database.open().accounts
    for _ in range(2):
        assert await other.access_key("AK1") == key
    assert await other.access_keys() == [key]
    assert await other.access_key("ak1") is None


@promised(AccountStore.add_access_key, "Raises NameTaken for a known access key.")
async def test_key_is_refused_when_its_name_is_taken(accounts):
    await accounts.add_access_key(make_key())
    with pytest.raises(NameTaken, match="AK1"):
        await accounts.add_access_key(make_key(secret_key="another"))
    assert (await accounts.access_key("AK1")).secret_key == SECRET


async def until(look, is_right):
    """The port allows another process's change a second; far more is given to a busy machine."""
    async with asyncio.timeout(5):
        while not is_right(await look()):  # noqa: ASYNC110  no event comes from another process
            await asyncio.sleep(0)


@promised(AccountStore.access_key, "a change by another process may take a second to be seen.")
@promised(AccountStore.access_key, "By this process, a revoked key is gone at once.")
async def test_revoked_key_is_gone_at_once_in_every_process(database):
    one, other = database.open().accounts, database.open().accounts
    await one.add_access_key(make_key())
    assert await other.access_key("AK1") is not None
    assert await one.access_key("AK1") is not None
    assert await one.revoke_access_key("AK1") is True
    assert await one.access_key("AK1") is None
    await until(lambda: other.access_key("AK1"), lambda key: key is None)
    assert await other.access_keys() == []


async def test_key_added_again_has_its_new_secret_in_every_process(shared):
    one, other = shared.open().accounts, shared.open().accounts
    await one.add_access_key(make_key())
    assert (await other.access_key("AK1")).secret_key == SECRET
    await one.revoke_access_key("AK1")
    await one.add_access_key(make_key(secret_key="another"))
    await until(lambda: other.access_key("AK1"), lambda key: key and key.secret_key == "another")
    assert (await one.access_key("AK1")).secret_key == "another"


@promised(AccountStore.revoke_access_key, "False if it was not there.")
async def test_revoke_says_false_when_there_is_no_such_key(accounts):
    await accounts.add_access_key(make_key())
    assert await accounts.revoke_access_key("AK2") is False
    assert await accounts.revoke_access_key("AK1") is True
    assert await accounts.revoke_access_key("AK1") is False


async def test_keys_are_in_the_order_they_were_made(accounts):
    for name, at in (("B", 2), ("A", 2), ("C", 1)):
        await accounts.add_access_key(make_key(name, created_at=after(at)))
    assert [key.access_key for key in await accounts.access_keys()] == ["C", "A", "B"]


async def test_secret_key_is_not_readable_at_rest(database):
    accounts = database.open().accounts
    await accounts.add_access_key(make_key())
    await accounts.add_access_key(make_key("AK2"))
    kept = database.kept_bytes()
    assert b"AK1" in kept
    assert SECRET.encode() not in kept
    assert SECRET.encode().hex().encode() not in kept


async def test_projects_are_listed_by_name(accounts):
    ours, theirs = Project(id=PROJECT, name="z"), Project(id=OTHER_PROJECT, name="a")
    await accounts.add_project(ours)
    await accounts.add_project(theirs)
    assert await accounts.projects() == [theirs, ours]
    assert await accounts.project(PROJECT) == ours
    assert await accounts.project("0" * 32) is None
    with pytest.raises(NameTaken):
        await accounts.add_project(Project(id=PROJECT, name="again"))
    assert await accounts.project(PROJECT) == ours


async def test_user_is_found_by_id_and_by_name(accounts):
    user = User(
        id=USER, name="tester", project_id=PROJECT, role=Role.VIEWER, password_hash="scrypt$1"
    )
    plain = User(id="c" * 32, name="guest", project_id=PROJECT, role=Role.ADMIN)
    await accounts.add_user(user)
    await accounts.add_user(plain)
    assert await accounts.user(USER) == await accounts.user_named("tester") == user
    assert await accounts.user_named("guest") == plain
    assert await accounts.user("0" * 32) is None
    assert await accounts.user_named("Tester") is None


@pytest.mark.parametrize(("user_id", "name"), [(USER, "other"), ("c" * 32, "tester")])
async def test_user_is_refused_when_id_or_name_is_taken(accounts, user_id, name):
    await accounts.add_user(User(id=USER, name="tester", project_id=PROJECT, role=Role.ADMIN))
    with pytest.raises(NameTaken):
        await accounts.add_user(User(id=user_id, name=name, project_id=PROJECT, role=Role.ADMIN))
    assert (await accounts.user(USER)).name == "tester"


@pytest.mark.parametrize("project_id", [PROJECT, None])
async def test_token_comes_back_as_added(accounts, project_id):
    token = make_token(project_id=project_id)
    await accounts.add_token(token)
    assert await accounts.token("d1") == token
    assert await accounts.token("d2") is None


async def test_tokens_that_ended_are_dropped_when_one_is_added(accounts):
    await accounts.add_token(make_token("old", expires_at=after(10)))
    await accounts.add_token(make_token("edge", expires_at=after(20)))
    await accounts.add_token(make_token("new", issued_at=after(20), expires_at=after(30)))
    assert await accounts.token("old") is None
    assert await accounts.token("edge") is not None


@promised(AccountStore.use_signature, "True for the first use of a signature in all processes")
async def test_signature_is_good_once_in_all_processes(database):
    one, other = database.open().accounts, database.open().accounts
    assert await one.use_signature(b"s1", NOW, after(60)) is True
    assert await one.use_signature(b"s1", NOW, after(60)) is False
    assert await other.use_signature(b"s1", NOW, after(60)) is False
    assert await other.use_signature(b"s2", NOW, after(60)) is True


async def test_signature_is_good_once_when_used_at_the_same_time(accounts):
    uses = await asyncio.gather(*(accounts.use_signature(b"s1", NOW, after(60)) for _ in range(20)))
    assert sorted(uses) == [False] * 19 + [True]


def test_signature_is_good_once_for_threads(shared):
    start = threading.Barrier(3)

    async def uses():
        accounts = shared.open().accounts
        start.wait()
        return [
            number
            for number in range(30)
            if await accounts.use_signature(b"%d" % number, NOW, after(60))
        ]

    with ThreadPoolExecutor(3) as threads:
        first_uses = [threads.submit(lambda: asyncio.run(uses())) for _ in range(3)]
    assert sorted(number for one in first_uses for number in one.result()) == list(range(30))


@promised(AccountStore.use_signature, "remembered until `until`")
async def test_signature_is_remembered_until_its_end(accounts):
    await accounts.use_signature(b"s1", NOW, after(60))
    assert await accounts.use_signature(b"s1", after(60), after(120)) is False
    assert await accounts.use_signature(b"s2", after(60.001), after(120)) is True
    assert await accounts.use_signature(b"s1", after(60.001), after(120)) is True


@promised(AccountStore.forget_signature, "it may be sent again.")
async def test_signature_is_good_again_when_forgotten(accounts):
    await accounts.use_signature(b"s1", NOW, after(60))
    await accounts.forget_signature(b"s2")
    assert await accounts.use_signature(b"s1", NOW, after(60)) is False
    await accounts.forget_signature(b"s1")
    assert await accounts.use_signature(b"s1", NOW, after(60)) is True


@promised(AccountStore.remove_token, "Gone, or was not there")
async def test_a_removed_token_is_gone(accounts):
    await accounts.add_token(make_token())
    await accounts.add_token(make_token("d2"))
    await accounts.remove_token("d1")
    await accounts.remove_token("d1")
    assert await accounts.token("d1") is None
    assert await accounts.token("d2") == make_token("d2")
