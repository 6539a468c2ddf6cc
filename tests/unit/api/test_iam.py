import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.auth.internal import FederalAccessor, IamHelper
from huaweicloudsdkcore.exceptions.exceptions import SdkException
from huaweicloudsdkcore.http.http_config import HttpConfig

from backroom.api.exchange import Request
from backroom.api.iam import IamHandlers
from backroom.domain.account import Identity, Project, Role
from backroom.domain.errors import (
    EmptyBody,
    Forbidden,
    InvalidInput,
    InvalidJson,
    Unauthenticated,
)
from backroom.domain.ids import ProjectId, UserId
from backroom.resources import accounts as module
from backroom.resources.accounts import LOGIN_REFUSED, TOKEN_REFUSED, Accounts

NOW = datetime(2020, 1, 4, 9, 5, 22, 701000, tzinfo=UTC)
OURS = Project(id=ProjectId("a" * 32), name="cn-north-4")
ANN = Identity(OURS.id, UserId("c" * 32), "ann", Role.OPERATOR)
PASSWORD = "correct horse"
REGIONS = ("cn-north-4", "x-local-1")


class StubStore:
    def __init__(self):
        self.keys, self.users, self.tokens = {}, {}, {}

    async def add_access_key(self, key):
        self.keys[key.access_key] = key

    async def project(self, project_id):
        return OURS if project_id == OURS.id else None

    async def user(self, user_id):
        return next((user for user in self.users.values() if user.id == user_id), None)

    async def user_named(self, name):
        return self.users.get(name)

    async def add_user(self, user):
        self.users[user.name] = user

    async def token(self, digest):
        return self.tokens.get(digest)

    async def add_token(self, token):
        self.tokens[token.digest] = token


class World:
    def __init__(self):
        self.store = StubStore()
        self.clock = SimpleNamespace(now=lambda: NOW)
        self.accounts = Accounts(self.store, self.clock, domain_id="d" * 32, domain_name="acme")
        self.handlers = IamHandlers(self.accounts, REGIONS)
        asyncio.run(self.accounts.add_user("ann", PASSWORD, OURS.id, Role.OPERATOR))

    def ask(self, name, **request):
        return asyncio.run(getattr(self.handlers, name)(make_request(**request)))

    def log_in(self, scope=None, query=b"", **user):
        return self.ask(
            "keystone_create_user_token_by_password",
            body=login_body(scope, **user),
            raw_query=query,
        )

    def temporary_key(self, identity=ANN, headers=(), **token):
        body = {"auth": {"identity": {"methods": ["token"], "token": token}}}
        return self.ask(
            "create_temporary_access_key_by_token",
            body=json.dumps(body).encode(),
            identity=identity,
            headers=list(headers),
        )


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(module, "SCRYPT_N", 2)
    return World()


def make_request(body=b"", raw_query=b"", headers=(), identity=None):
    return Request(
        method="POST" if body else "GET",
        raw_path=b"/v3/anything",
        raw_query=raw_query,
        headers=list(headers),
        request_id="r",
        body=body,
        identity=identity,
    )


def login_body(scope=None, **user):
    known = {"name": "ann", "password": PASSWORD, "domain": {"name": "acme"}} | user
    auth = {
        "identity": {"methods": ["password"], "password": {"user": known}},
        "scope": scope or {"project": {"name": "cn-north-4"}},
    }
    return json.dumps({"auth": auth}).encode()


def subject_token(response):
    (text,) = [value for name, value in response.headers if name == b"x-subject-token"]
    return text.decode()


@pytest.mark.parametrize("query", [b"", b"nocatalog=true"])
def test_login_answers_the_token_in_the_header_only(world, query):
    response = world.log_in(query=query)
    assert response.status == 201
    text = subject_token(response)
    assert text.encode() not in response.body
    token = json.loads(response.body)["token"]
    assert token["project"] == {
        "id": OURS.id,
        "name": "cn-north-4",
        "domain": {"id": "d" * 32, "name": "acme"},
    }
    assert token["methods"] == ["password"]
    assert token["catalog"] == []
    assert token["expires_at"] == "2020-01-05T09:05:22.701000Z"
    assert PASSWORD.encode() not in response.body
    who = asyncio.run(world.accounts.identify_token(text))
    assert (who.project_id, who.user_name) == (OURS.id, "ann")


def test_login_to_the_domain_answers_a_domain(world):
    token = json.loads(world.log_in(scope={"domain": {"name": "acme"}}).body)["token"]
    assert token["domain"]["id"] == "d" * 32
    assert "project" not in token


def test_login_with_a_token_changes_its_scope(world):
    text = subject_token(world.log_in(scope={"domain": {"name": "acme"}}))
    body = {
        "auth": {
            "identity": {"methods": ["token"], "token": {"id": text}},
            "scope": {"project": {"id": OURS.id}},
        }
    }
    response = world.ask("keystone_create_user_token_by_password", body=json.dumps(body).encode())
    assert response.status == 201
    token = json.loads(response.body)["token"]
    assert (token["methods"], token["project"]["id"]) == (["token"], OURS.id)
    who = asyncio.run(world.accounts.identify_token(subject_token(response)))
    assert who.project_id == OURS.id


@pytest.mark.parametrize(
    "wrong", [{"name": "bob"}, {"password": "wrong"}, {"domain": {"name": "other"}}]
)
def test_wrong_login_is_refused(world, wrong):
    with pytest.raises(Unauthenticated) as caught:
        world.log_in(**wrong)
    assert caught.value.detail == LOGIN_REFUSED


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", EmptyBody),
        (b"{", InvalidJson),
        (b"[]", InvalidJson),
        (b'{"auth":{"identity":{"methods":"password"}}}', InvalidJson),
        (b"{}", InvalidInput),
    ],
)
@pytest.mark.parametrize(
    "name", ["keystone_create_user_token_by_password", "create_temporary_access_key_by_token"]
)
def test_malformed_body_is_refused(world, name, body, error):
    with pytest.raises(error):
        world.ask(name, body=body, identity=ANN)


def test_password_of_a_wrong_type_is_refused_without_being_quoted(world):
    with pytest.raises(InvalidJson) as caught:
        world.log_in(password=[12345678])
    assert "12345678" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (b"", 1),
        (b"name=cn-north-4", 1),
        (b"name=cn%2Dnorth-4", 1),
        (b"name=cn-north", 0),
        (b"name=cn-north-4&page=2&per_page=1", 0),
        (b"domain_id=other", 0),
        (b"enabled=true", 1),
    ],
)
def test_projects_are_listed_by_exact_name(world, query, count):
    response = world.ask("keystone_list_projects", raw_query=query, identity=ANN)
    assert response.status == 200
    projects = json.loads(response.body)["projects"]
    assert [project["id"] for project in projects] == [OURS.id] * count


def test_regions_are_listed(world):
    response = world.ask("keystone_list_regions", identity=ANN)
    assert [(region["id"], region["type"]) for region in json.loads(response.body)["regions"]] == [
        ("cn-north-4", "public"),
        ("x-local-1", "public"),
    ]


@pytest.mark.parametrize(
    "name", ["keystone_list_projects", "keystone_list_auth_domains", "keystone_list_regions"]
)
def test_lists_need_an_identity(world, name):
    with pytest.raises(LookupError):
        world.ask(name)


def test_temporary_key_is_made_for_the_proven_identity(world):
    response = world.temporary_key(duration_seconds="3600")
    assert response.status == 201
    credential = json.loads(response.body)["credential"]
    key = world.store.keys[credential["access"]]
    assert (key.project_id, key.user_name, key.role) == (OURS.id, "ann", Role.OPERATOR)
    assert credential["secret"] == key.secret_key
    assert credential["expires_at"] == "2020-01-04T10:05:22.701000Z"
    world.accounts.check_security_token(key, credential["securitytoken"])


def test_temporary_key_prefers_the_headers_to_the_body(world):
    other = Identity(OURS.id, UserId("e" * 32), "eve", Role.VIEWER)
    text = subject_token(world.log_in())
    credential = json.loads(world.temporary_key(other, id=text).body)["credential"]
    assert world.store.keys[credential["access"]].user_name == "eve"


def test_temporary_key_is_made_for_the_token_of_the_body(world):
    text = subject_token(world.log_in())
    credential = json.loads(world.temporary_key(None, id=text).body)["credential"]
    assert world.store.keys[credential["access"]].user_name == "ann"


@pytest.mark.parametrize("token", [{}, {"id": "unknown"}])
def test_temporary_key_is_refused_without_identity(world, token):
    with pytest.raises(Unauthenticated, match=TOKEN_REFUSED):
        world.temporary_key(None, **token)
    assert world.store.keys == {}


def test_temporary_key_makes_no_other(world):
    with pytest.raises(Forbidden):
        world.temporary_key(headers=[(b"x-security-token", b"anything")])
    assert world.store.keys == {}


class StubHttp:
    """Answers what the SDK asks with one of our handlers."""

    def __init__(self, world, name, identity=ANN):
        self.config = HttpConfig.get_default_config()
        self.logger = logging.getLogger(__name__)
        self.executor = ThreadPoolExecutor(1)
        self._answer = lambda request: world.ask(
            name,
            raw_query=("&".join(f"{k}={v}" for k, v in request.query_params or ())).encode(),
            body=(request.body or "").encode(),
            identity=identity,
        )

    def do_request_sync(self, request):
        response = self._answer(request)
        return SimpleNamespace(content=response.body, headers={})


@pytest.fixture
def http(world):
    made = []

    def make(*arguments, **settings):
        made.append(StubHttp(world, *arguments, **settings))
        return made[-1]

    yield make
    for client in made:
        client.executor.shutdown()


def test_sdk_finds_the_project_id(http, request):
    credentials = BasicCredentials(request.node.name, "secret-key")
    credentials.iam_endpoint = "https://127.0.0.1:8443"
    credentials.process_auth_params(http("keystone_list_projects"), "cn-north-4")
    assert credentials.project_id == OURS.id


def test_sdk_finds_no_project_for_another_region(http, request):
    credentials = BasicCredentials(request.node.name, "secret-key")
    credentials.iam_endpoint = "https://127.0.0.1:8443"
    with pytest.raises(SdkException, match="Failed to get project id"):
        credentials.process_auth_params(http("keystone_list_projects"), "eu-west-101")


def test_sdk_finds_the_domain_id(http, request):
    credentials = GlobalCredentials(request.node.name, "secret-key")
    credentials.iam_endpoint = "https://127.0.0.1:8443"
    credentials.process_auth_params(http("keystone_list_auth_domains"), "cn-north-4")
    assert credentials.domain_id == "d" * 32


def test_sdk_takes_the_temporary_key_it_asks_for_with_a_token(world, http):
    client = http("create_temporary_access_key_by_token", identity=None)
    text = subject_token(world.log_in())
    asked = IamHelper.get_create_temporary_access_key_by_token_request(
        client.config, "https://127.0.0.1:8443", text, 6 * 60 * 60
    )
    credential = FederalAccessor._process_credential(
        IamHelper.create_temporary_access_key_by_token(client, asked)
    )
    key = world.store.keys[credential.access]
    assert credential.secret == key.secret_key
    world.accounts.check_security_token(key, credential.security_token)
    end = (NOW + timedelta(hours=6)).replace(microsecond=0)
    # The SDK reads the moment as if it were local time.
    assert credential.expire_at == time.mktime(end.timetuple())
