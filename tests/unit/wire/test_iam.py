from datetime import UTC, datetime

import msgspec
import pytest

from backroom.domain.account import AccessKey, Domain, Project, Role, Scope, Token
from backroom.domain.errors import InvalidInput
from backroom.domain.ids import ProjectId, UserId
from backroom.wire import iam

AT = datetime(2020, 1, 4, 9, 5, 22, 701000, tzinfo=UTC)
DOMAIN = Domain("d" * 32, "acme")
PROJECT = Project(id=ProjectId("a" * 32), name="cn-north-4")
SECRET = "top-secret-value"


def decode(document):
    return msgspec.convert(document, iam.AuthBody)


def login(scope=None, **user):
    known = {"name": "ann", "password": SECRET, "domain": {"name": "acme"}} | user
    auth = {"identity": {"methods": ["password"], "password": {"user": known}}}
    return decode({"auth": auth if scope is None else auth | {"scope": scope}})


def temporary(**token):
    return decode({"auth": {"identity": {"methods": ["token"], "token": token}}})


def encoded(answer):
    return msgspec.json.decode(msgspec.json.encode(answer))


def token(project_id):
    return Token(
        digest="0" * 64,
        project_id=project_id,
        user_id=UserId("c" * 32),
        user_name="ann",
        role=Role.VIEWER,
        issued_at=AT,
        expires_at=AT.replace(day=5),
    )


def test_password_login_is_decoded():
    assert iam.decode_login(login({"project": {"name": "cn-north-4"}})) == iam.PasswordLogin(
        "ann", SECRET, "acme", Scope(project_name="cn-north-4")
    )


@pytest.mark.parametrize(
    ("part", "scope"),
    [
        (None, Scope()),
        ({}, Scope()),
        ({"project": {"id": "p"}}, Scope(project_id="p")),
        ({"project": {"id": "p", "name": "n"}}, Scope(project_id="p", project_name="n")),
        ({"project": {"id": "", "name": "n"}}, Scope(project_name="n")),
        ({"project": {"name": "n"}, "domain": {"name": "d"}}, Scope(project_name="n")),
        ({"domain": {"name": "d"}}, Scope(domain="d")),
        ({"domain": {"id": "i", "name": "d"}}, Scope(domain="i")),
    ],
)
def test_scope_is_decoded(part, scope):
    assert iam.decode_login(login(part)).scope == scope


def test_domain_of_the_user_may_be_given_by_id():
    assert iam.decode_login(login(domain={"id": "i"})).domain == "i"


def test_token_login_is_decoded():
    body = decode(
        {
            "auth": {
                "identity": {"methods": ["token"], "token": {"id": SECRET}},
                "scope": {"project": {"id": "p"}},
            }
        }
    )
    assert iam.decode_login(body) == iam.TokenLogin(SECRET, Scope(project_id="p"))


LONG = "x" * 256


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (decode({}), "auth"),
        (decode({"auth": {}}), "auth.identity"),
        (decode({"auth": {"identity": {}}}), "auth.identity.methods"),
        (decode({"auth": {"identity": {"methods": ["totp"]}}}), "auth.identity.methods"),
        (
            decode({"auth": {"identity": {"methods": ["password", "totp"]}}}),
            "auth.identity.methods",
        ),
        (
            decode({"auth": {"identity": {"methods": ["password"]}}}),
            "auth.identity.password.user",
        ),
        (
            decode({"auth": {"identity": {"methods": ["password"], "password": {}}}}),
            "auth.identity.password.user",
        ),
        (login(name=None), "auth.identity.password.user.name"),
        (login(name=""), "auth.identity.password.user.name"),
        (login(name="a\x00b"), "auth.identity.password.user.name"),
        (login(name=LONG), "auth.identity.password.user.name"),
        (login(password=None), "auth.identity.password.user.password"),
        (login(password=""), "auth.identity.password.user.password"),
        (login(password=SECRET * 1025), "auth.identity.password.user.password"),
        (login(domain=None), "auth.identity.password.user.domain"),
        (login(domain={}), "auth.identity.password.user.domain"),
        (login({"project": {}}), "auth.scope.project"),
        (login({"project": {"name": LONG}}), "auth.scope.project"),
        (login({"project": {"id": "p", "name": "\n"}}), "auth.scope.project.name"),
        (login({"domain": {}}), "auth.scope.domain"),
        (temporary(), "auth.identity.token.id"),
    ],
)
def test_login_is_refused_naming_the_part_and_no_value(body, parameter):
    with pytest.raises(InvalidInput) as caught:
        iam.decode_login(body)
    assert caught.value.parameter == parameter
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "duration_s"),
    [(None, 900), (900, 900), ("900", 900), (86_400, 86_400), (0, 0), ("99999", 99_999)],
)
def test_duration_is_a_number_or_its_text(given, duration_s):
    assert iam.decode_temporary_key(temporary(duration_seconds=given)).duration_s == duration_s


@pytest.mark.parametrize(
    "given", ["", "15m", " 900", "-900", "٩٠٠", "1e3", -900, 10**10, -(10**30), "9" * 5000]
)
def test_duration_is_refused_when_it_is_no_whole_number(given):
    with pytest.raises(InvalidInput, match="duration_seconds"):
        iam.decode_temporary_key(temporary(duration_seconds=given))


def test_temporary_key_may_name_a_token():
    assert iam.decode_temporary_key(temporary(id=SECRET)).token == SECRET
    assert iam.decode_temporary_key(temporary(id="")).token is None
    bare = decode({"auth": {"identity": {"methods": ["token"]}}})
    assert iam.decode_temporary_key(bare) == iam.TemporaryKeyRequest(900, None)


@pytest.mark.parametrize("methods", [[], ["password"], ["assume_role"], ["token", "token"]])
def test_temporary_key_is_refused_by_other_methods(methods):
    body = decode({"auth": {"identity": {"methods": methods}}})
    with pytest.raises(InvalidInput, match=r"auth\.identity\.methods"):
        iam.decode_temporary_key(body)


def test_no_secret_shows_in_what_is_printed():
    bodies = (login(), temporary(id=SECRET))
    requests = (*map(iam.decode_login, bodies), iam.decode_temporary_key(bodies[1]))
    key = AccessKey(
        access_key="AK",
        secret_key=SECRET,
        project_id=PROJECT.id,
        user_id=UserId("c"),
        user_name="ann",
        role=Role.ADMIN,
        created_at=AT,
        expires_at=AT,
    )
    answer = iam.encode_credential(key, SECRET)
    assert SECRET not in repr((bodies, requests, answer))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, iam.ProjectQuery(None, None, None, 1, 5000)),
        (
            {"name": "n", "parent_id": "p", "domain_id": "d", "page": "2", "per_page": "7"},
            iam.ProjectQuery("n", "p", "d", 2, 7),
        ),
        ({"enabled": "true", "unheard": "of"}, iam.ProjectQuery(None, None, None, 1, 5000)),
    ],
)
def test_project_query_is_decoded(query, expected):
    assert iam.decode_project_query(query) == expected


@pytest.mark.parametrize("query", [{"page": "0"}, {"per_page": "0"}, {"per_page": "5001"}])
def test_project_query_is_refused_out_of_range(query):
    with pytest.raises(InvalidInput):
        iam.decode_project_query(query)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (AT, "2020-01-04T09:05:22.701000Z"),
        (AT.replace(microsecond=0), "2020-01-04T09:05:22.000000Z"),
    ],
)
def test_time_has_six_digits(moment, text):
    assert iam.encode_time(moment) == text


def test_project_token_is_encoded():
    assert encoded(iam.encode_token(token(PROJECT.id), "password", DOMAIN, PROJECT)) == {
        "token": {
            "expires_at": "2020-01-05T09:05:22.701000Z",
            "issued_at": "2020-01-04T09:05:22.701000Z",
            "methods": ["password"],
            "user": {
                "id": "c" * 32,
                "name": "ann",
                "domain": {"id": "d" * 32, "name": "acme"},
                "password_expires_at": "",
            },
            "roles": [{"id": "0", "name": "viewer"}],
            "catalog": [],
            "project": {
                "id": "a" * 32,
                "name": "cn-north-4",
                "domain": {"id": "d" * 32, "name": "acme"},
            },
        }
    }


def test_domain_token_has_a_domain_in_place_of_the_project():
    body = encoded(iam.encode_token(token(None), "token", DOMAIN, None))["token"]
    assert body["domain"] == {"id": "d" * 32, "name": "acme"}
    assert "project" not in body
    assert body["methods"] == ["token"]


def page(number=1, size=5000, parent_id=None, domain_id=None):
    return iam.ProjectQuery(None, parent_id, domain_id, number, size)


def test_projects_are_encoded():
    assert encoded(iam.encode_projects([PROJECT], DOMAIN, page())) == {
        "projects": [
            {
                "id": "a" * 32,
                "name": "cn-north-4",
                "domain_id": "d" * 32,
                "parent_id": "d" * 32,
                "enabled": True,
                "is_domain": False,
                "description": "",
                "links": {},
            }
        ],
        "links": {},
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (page(), 1),
        (page(1, 1), 1),
        (page(2, 1), 0),
        (page(2**31 - 1), 0),
        (page(parent_id="d" * 32, domain_id="d" * 32), 1),
        (page(parent_id="other"), 0),
        (page(domain_id="other", parent_id="d" * 32), 0),
    ],
)
def test_projects_are_filtered_and_paged(query, count):
    assert len(iam.encode_projects([PROJECT], DOMAIN, query).projects) == count


def test_domains_are_encoded():
    assert encoded(iam.encode_domains(DOMAIN)) == {
        "domains": [
            {"id": "d" * 32, "name": "acme", "enabled": True, "description": "", "links": {}}
        ],
        "links": {},
    }


def test_regions_are_encoded():
    assert encoded(iam.encode_regions(["cn-north-4"])) == {
        "regions": [
            {
                "id": "cn-north-4",
                "type": "public",
                "locales": {"zh-cn": "cn-north-4", "en-us": "cn-north-4"},
                "description": "",
                "parent_region_id": None,
                "links": {},
            }
        ],
        "links": {},
    }


def test_credential_of_a_permanent_key_is_a_bug():
    key = AccessKey(
        access_key="AK",
        secret_key=SECRET,
        project_id=PROJECT.id,
        user_id=UserId("c"),
        user_name="ann",
        role=Role.ADMIN,
        created_at=AT,
    )
    with pytest.raises(ValueError, match="AK is not temporary"):
        iam.encode_credential(key, SECRET)
