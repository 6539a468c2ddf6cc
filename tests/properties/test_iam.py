"""Whatever a client sends: a request, or a refusal that quotes no secret."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from backroom.api.exchange import Request
from backroom.domain.errors import Refused
from backroom.wire import iam

SECRET = "top-secret-value"

texts = st.none() | st.text(max_size=300) | st.just(SECRET) | st.integers()
references = st.none() | st.dictionaries(st.sampled_from(["id", "name"]), texts)
users = st.fixed_dictionaries({}, optional={"name": texts, "password": texts, "domain": references})
tokens = st.fixed_dictionaries({}, optional={"id": texts, "duration_seconds": texts})
methods = st.lists(st.sampled_from(["password", "token"]), max_size=2) | st.lists(texts)
identities = st.fixed_dictionaries(
    {},
    optional={
        "methods": methods,
        "password": st.none() | st.fixed_dictionaries({}, optional={"user": users}),
        "token": st.none() | tokens,
    },
)
scopes = st.fixed_dictionaries({}, optional={"project": references, "domain": references})
auths = st.fixed_dictionaries({}, optional={"identity": identities, "scope": scopes})
near_misses = st.fixed_dictionaries({"auth": auths})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
bodies = st.binary() | (json_values | near_misses).map(lambda value: json.dumps(value).encode())


def request(body=b"", raw_query=b""):
    return Request(
        method="POST", raw_path=b"/", raw_query=raw_query, headers=[], request_id="", body=body
    )


def outcome(decode, body):
    try:
        return decode(request(body).json(iam.AuthBody))
    except Refused as error:
        shown = str(error)
    assert SECRET not in shown
    return None


@given(bodies)
@example(b'{"auth":{"identity":{"methods":["\\ud800"]}}}')
@example(b'{"auth":{"identity":' + b"[" * 100_000)
def test_login_decodes_or_is_refused(body):
    login = outcome(iam.decode_login, body)
    if isinstance(login, iam.PasswordLogin):
        assert login.user_name
        assert login.user_name.isprintable()
        assert login.password
        assert login.domain
    elif login is not None:
        assert login.token


@given(bodies)
@example(json.dumps(
    {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": "9" * 5000}}}}
).encode())  # fmt: skip
def test_temporary_key_decodes_or_is_refused(body):
    wanted = outcome(iam.decode_temporary_key, body)
    if wanted is not None:
        assert wanted.duration_s >= 0


@given(st.text(min_size=1, max_size=255).filter(str.isprintable), st.text(min_size=1))
def test_login_keeps_name_and_password_to_the_letter(name, password):
    user = {"name": name, "password": password, "domain": {"name": "acme"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    login = outcome(iam.decode_login, json.dumps({"auth": {"identity": identity}}).encode())
    assert login is not None
    assert (login.user_name, login.password) == (name, password)


@given(
    st.binary()
    | st.dictionaries(
        st.sampled_from(["name", "page", "per_page", "parent_id"]),
        st.integers().map(str) | st.text(st.characters(codec="ascii")),
    ).map(lambda query: "&".join(f"{name}={value}" for name, value in query.items()).encode())
)
def test_project_query_decodes_or_is_refused(raw_query):
    try:
        query = iam.decode_project_query(request(raw_query=raw_query).query())
    except Refused:
        return
    assert query.page >= 1
    assert 1 <= query.page_size <= iam.PAGE_SIZE_MAX
