import asyncio
from types import SimpleNamespace

import pytest
from tests.support.person import Person

from backroom.console.attempts import FAILURES_MOST, AddressAttempts
from backroom.console.sessions import LIFETIME, Sessions
from backroom.domain.account import Identity, Role
from backroom.domain.errors import Unauthenticated

SIGN_IN = "/console/sign-in"


def attempt(person, name, secret, way="key"):
    page = person.get(f"{SIGN_IN}?with={way}")
    return person.send(page.form(SIGN_IN), name=name, secret=secret)


def test_a_key_pair_signs_in_and_leads_back(world):
    person = Person(world)
    asked = person.get("/console/tasks?state=failed")
    assert asked.status == 303
    page = person.get(asked.headers["location"])
    answer = person.send(page.form(SIGN_IN), name=world.key.access_key, secret=world.key.secret_key)
    assert (answer.status, answer.headers["location"]) == (303, "/console/tasks?state=failed")
    assert person.follow(answer).status == 200


def test_a_user_signs_in_with_a_password(world):
    world.user("ann", "a password", Role.VIEWER)
    person = Person(world)
    assert attempt(person, "ann", "a password", "password").status == 303
    assert "ann viewer" in person.get("/console/tasks").text


def test_the_cookie_is_for_this_site_and_no_script_and_says_nothing(world):
    person = Person(world).sign_in()
    (cookie,) = [one for one in person.set_cookies if one.startswith("backroom_session")]
    words = cookie.lower()
    assert "httponly" in words
    assert "samesite=strict" in words
    assert "secure" in words
    assert "path=/console" in words
    assert world.key.access_key not in cookie
    assert world.key.secret_key not in cookie


@pytest.mark.parametrize("way", ["key", "password"])
def test_what_is_wrong_is_told_alike_with_the_official_code(world, way):
    world.user("ann", "a password")
    known = world.key.access_key if way == "key" else "ann"
    texts = set()
    for name, secret in (
        (known, "wrong"),
        ("nobody", "wrong"),
        ("no\0body", "x"),
        ("x" * 999, "x"),
    ):
        answer = attempt(Person(world), name, secret, way)
        assert answer.status == 401
        assert "APIGW.0301" in answer.text
        assert "wrong" not in [value for form in answer.forms for _, value in form.fields]
        texts.add(answer.text)
    assert len(texts) == 1


@pytest.mark.parametrize("way", ["key", "password"])
def test_a_name_is_locked_after_five_failures_for_five_minutes(world, way):
    world.user("ann", "a password")
    name = world.key.access_key if way == "key" else "ann"
    secret = world.key.secret_key if way == "key" else "a password"
    for _ in range(5):
        assert attempt(Person(world), name, "wrong", way).status == 401
    locked = attempt(Person(world), name, secret, way)
    assert locked.status == 429
    assert "reach the limit,forbidden" in locked.text
    world.clock.move(minutes=5)
    assert attempt(Person(world), name, secret, way).status == 303


def test_an_address_is_locked_whatever_names_it_tries(world):
    for number in range(FAILURES_MOST):
        assert attempt(Person(world, address="10.0.0.9"), f"name{number}", "x").status == 401
    key = world.key
    assert attempt(Person(world, address="10.0.0.9"), key.access_key, key.secret_key).status == 429
    assert attempt(Person(world, address="10.0.0.8"), key.access_key, key.secret_key).status == 303
    world.clock.move(minutes=5)
    assert attempt(Person(world, address="10.0.0.9"), key.access_key, key.secret_key).status == 303


def test_an_address_is_locked_for_all_that_come_at_once(world):
    accounts, began = world.backroom.accounts, []

    async def slow(access_key, _secret):
        began.append(access_key)
        await asyncio.sleep(0.01)
        raise Unauthenticated("no")

    sessions = Sessions(
        SimpleNamespace(
            accounts=SimpleNamespace(issue_token_for_key=slow, domain=accounts.domain),
            account_store=world.backroom.account_store,
            vault=None,
            real_clock=world.clock,
        )
    )

    async def work():
        attempts = [sessions.begin_with_key(f"n{n}", "x", "10.0.0.9") for n in range(100)]
        await asyncio.gather(*attempts, return_exceptions=True)

    world.do(work())
    assert len(began) == FAILURES_MOST


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "nowhere", False),
    ],
)
def test_all_addresses_of_one_network_count_together(world, first, second, is_one):
    attempts = AddressAttempts(world.clock)
    for _ in range(FAILURES_MOST):
        attempts.note(first)
    assert attempts.is_locked(second) is is_one


def test_who_succeeds_has_not_failed(world):
    for _ in range(FAILURES_MOST + 1):
        Person(world, address="10.0.0.9").sign_in()


def test_a_session_ends_when_its_key_comes_anew_as_another(world):
    accounts = world.backroom.accounts
    world.do(accounts.add_key(None, "AKX", "secret-of-x", world.project_id, Role.ADMIN))
    person = Person(world).sign_in("AKX", "secret-of-x")
    world.do(accounts.revoke_key(None, "AKX"))
    world.clock.move(seconds=1)
    world.do(accounts.add_key(None, "AKX", "another-secret", world.project_id, Role.VIEWER))
    assert person.get("/console/tasks").status == 303


def test_a_form_of_another_site_is_refused(world):
    key = world.key
    fields = [("with", "key"), ("name", key.access_key), ("secret", key.secret_key)]
    assert Person(world).post(SIGN_IN, fields).status == 403
    person = Person(world)
    form = person.get(SIGN_IN).form(SIGN_IN)
    fields = [*[pair for pair in form.fields if pair[0] == "csrf"], *fields]
    assert person.post(SIGN_IN, fields, origin="https://evil.example").status == 403
    for origin in ("http://[", "null", "", "127.0.0.1:8443", "\xff"):
        assert person.post(SIGN_IN, fields, origin=origin).status == 403, origin
    assert person.post(SIGN_IN, fields, origin="https://127.0.0.1:8443").status == 303


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "/consolefoo",
        "//evil.example",
        "/console//evil.example",
        "/v2/x",
        "\\\\x",
    ],
)
def test_nobody_is_led_elsewhere(world, back):
    person = Person(world)
    page = person.get(f"{SIGN_IN}?back={back}")
    answer = person.send(
        page.form(SIGN_IN), name=world.key.access_key, secret=world.key.secret_key, back=back
    )
    assert answer.headers["location"] == "/console/tasks"


def test_who_signs_out_is_out_everywhere_with_that_cookie(world):
    person = Person(world).sign_in()
    kept = dict(person.cookies)
    page = person.get("/console/tasks")
    assert person.send(page.form("/console/sign-out")).status == 303
    assert person.get("/console/tasks").status == 303
    person.cookies = kept
    assert person.get("/console/tasks").status == 303


def test_a_session_ends_by_itself(world):
    person = Person(world).sign_in()
    world.clock.move(seconds=LIFETIME.total_seconds() - 1)
    assert person.get("/console/tasks").status == 200
    world.clock.move(seconds=1)
    assert person.get("/console/tasks").status == 303


def test_a_session_ends_when_its_key_is_revoked(world):
    world.do(
        world.backroom.accounts.add_key(None, "AKX", "secret-of-x", world.project_id, Role.ADMIN)
    )
    person = Person(world).sign_in("AKX", "secret-of-x")
    assert person.get("/console/tasks").status == 200
    world.do(world.backroom.accounts.revoke_key(None, "AKX"))
    assert person.get("/console/tasks").status == 303


def test_a_temporary_key_is_not_enough(world):
    who = Identity(world.project_id, world.key.user_id, world.key.user_name, Role.ADMIN)
    key, _ = world.do(world.backroom.accounts.issue_temporary_key(who))
    assert attempt(Person(world), key.access_key, key.secret_key).status == 401


@pytest.mark.parametrize("cookie", ["", "x", "gAAAA", "%00", "a" * 5000])
def test_a_forged_cookie_is_nobody(world, cookie):
    person = Person(world)
    person.cookies["backroom_session"] = cookie
    assert person.get("/console/tasks").status == 303


def test_a_live_page_and_htmx_are_told_where_to_sign_in(world):
    person = Person(world)
    assert person.get("/console/live").status == 204
    told = person.get("/console/tasks", hx_request="true")
    assert (told.status, told.headers["hx-redirect"]) == (204, SIGN_IN)
