import pytest
from tests.support.builders import NOW, PROJECT, USER

from backroom.domain.account import (
    AccessKey,
    Identity,
    Role,
    Scope,
    User,
    require_admin,
    require_operator,
)
from backroom.domain.errors import AdminOnly, ReadOnlyRole


def who(role):
    return Identity(PROJECT, USER, "tester", role)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operator_is_required_and_there(role):
    require_operator(who(role))


def test_operator_is_required_but_only_reads():
    with pytest.raises(ReadOnlyRole):
        require_operator(who(Role.VIEWER))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_admin_is_required_but_is_less(role):
    with pytest.raises(AdminOnly):
        require_admin(who(role))


def test_admin_is_required_and_there():
    require_admin(who(Role.ADMIN))


def test_secrets_stay_out_when_printed():
    key = AccessKey(
        access_key="AK", secret_key="s3cret", project_id=PROJECT, user_id=USER,
        user_name="tester", role=Role.ADMIN, created_at=NOW, token_digest="digest",
    )  # fmt: skip
    user = User(
        id=USER, name="tester", project_id=PROJECT, role=Role.ADMIN, password_hash="scrypt$hash"
    )
    assert repr(key) == "AccessKey('AK')"
    assert repr(user) == "User('tester')"


@pytest.mark.parametrize(
    ("scope", "is_project"),
    [
        (Scope(project_id="p"), True), (Scope(project_name="n"), True),
        (Scope(domain="d"), False), (Scope(), False),
    ],
)  # fmt: skip
def test_scope_is_a_projects_when_it_names_one(scope, is_project):
    assert scope.is_project is is_project
