"""What each role may do, and that another project's things look exactly like missing ones."""

import json
from datetime import timedelta

import pytest
from tests.support.bodies import CREATE_BODY
from tests.support.world import STARTED_AT, Caller

from backroom.domain.account import Identity, Role
from backroom.domain.errors import AdminOnly
from backroom.domain.ids import new_project_id, new_task_id

BIND = {"publicip_id": "eip-1"}


@pytest.fixture
def ended(world):
    task_id = world.submit()
    world.run_until_idle()
    return task_id


@pytest.fixture
def scheduled(world):
    return world.submit(execute_at=STARTED_AT + timedelta(hours=2))


def writes(world, task_id, scheduled_id):
    """Each call that changes something: its method, target and body."""
    bind = json.dumps(BIND).encode()
    return [
        ("DELETE", f"{world.tasks_path}/{task_id}", b""),
        ("PUT", f"{world.scheduled_path}/{scheduled_id}?status=CANCELLED", b""),
        ("DELETE", f"{world.scheduled_path}/{scheduled_id}", b""),
        ("POST", world.public_access_path, bind),
        ("POST", world.create_path, json.dumps(CREATE_BODY).encode()),
        ("DELETE", world.instance_path, b""),
    ]


def reads(world, task_id):
    return [
        world.tasks_path,
        f"{world.tasks_path}/{task_id}",
        world.scheduled_path,
        world.instance_path,
        f"/v2/{world.project_id}/instances",
        "/v3/projects",
        "/v3/auth/projects",
        "/v3/auth/domains",
        "/v3/regions",
    ]


def test_a_viewer_reads_and_changes_nothing(world, ended, scheduled):
    viewer = world.caller(Role.VIEWER)
    for target in reads(world, ended):
        assert viewer.get(target).status == 200, target
    before = world.dump()
    for method, target, body in writes(world, ended, scheduled):
        refused = viewer.call(method, target, body)
        assert refused.error == (403, "DMS.00403002"), (method, target)
        assert refused.message == (
            "A tenant has the read-only permission and cannot perform operations on DMS."
        )
    assert world.dump() == before


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_an_operator_reads_and_changes(world, ended, scheduled, role):
    caller = world.caller(role)
    for target in reads(world, ended):
        assert caller.get(target).status == 200, target
    for method, target, body in writes(world, ended, scheduled):
        assert caller.call(method, target, body).status in {200, 204}, (method, target)


def test_what_somebody_submits_is_under_their_name(world):
    caller = world.caller()
    task = world.show(world.bind(caller, **BIND))
    assert task["user_name"] == f"key-{caller.signer.access_key}"
    assert task["user_id"] != world.key.user_id


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_admin_manages_keys(world, role):
    accounts = world.backroom.accounts
    who = Identity(world.project_id, world.key.user_id, "somebody", role)
    before = world.dump()
    for work in (
        accounts.add_key(who, "NEWKEY", "a-long-secret", world.project_id, Role.VIEWER),
        accounts.list_keys(who),
        accounts.revoke_key(who, world.key.access_key),
    ):
        with pytest.raises(AdminOnly):
            world.do(work)
    assert world.dump() == before


class TestAnotherProject:
    """Everything there answers as if it weren't there."""

    @pytest.fixture
    def stranger(self, world) -> Caller:
        return world.caller(Role.ADMIN, world.other_project())

    def test_a_task_there_is_answered_like_a_missing_one(self, world, ended, scheduled, stranger):
        """By the owner's path and by the stranger's own, byte for byte but the request id."""
        own = world.instance_path.replace(world.project_id, world.do(_project(stranger)))
        for base in (world.instance_path, own):
            for there, missing in ((ended, new_task_id()), (scheduled, new_task_id())):
                for method, target in (
                    ("GET", f"{base}/tasks/{{}}"),
                    ("DELETE", f"{base}/tasks/{{}}"),
                    ("GET", f"{base}/tasks/{{}}/progress"),
                    ("PUT", f"{base}/scheduled-tasks/{{}}?status=CANCELLED"),
                    ("PUT", f"{base}/scheduled-tasks/{{}}?execute_at=20300101000000"),
                    ("DELETE", f"{base}/scheduled-tasks/{{}}"),
                ):
                    before = world.dump()
                    first = stranger.call(method, target.format(there))
                    second = stranger.call(method, target.format(missing))
                    assert first.status == 404
                    assert first.without_request_id == second.without_request_id.replace(
                        missing.encode(), there.encode()
                    )
                    assert list(first.headers) == list(second.headers)
                    assert world.dump() == before

    def test_an_instance_there_is_answered_like_a_missing_one(self, world, ended, stranger):
        missing = world.instance_path.replace(
            world.instance.id, "4fdd8f3d-5d3c-4f0e-9c5e-000000000000"
        )
        for method, suffix, body in (
            ("GET", "", b""),
            ("DELETE", "", b""),
            ("GET", "/tasks", b""),
            ("GET", "/tasks?limit=1&begin_time=20200101000000", b""),
            ("GET", "/scheduled-tasks", b""),
        ):
            first = stranger.call(method, world.instance_path + suffix, body)
            second = stranger.call(method, missing + suffix, body)
            assert first.error == (404, "DMS.00404022")
            assert first.without_request_id == second.without_request_id

    def test_its_public_access_can_not_be_changed(self, world, stranger):
        before = world.dump()
        for body in (BIND, {}, {"publicip_id": 1}):
            refused = stranger.post(world.public_access_path, body)
            assert refused.error == (404, "DMS.00404022")
        assert world.dump() == before

    def test_calls_on_the_project_itself_are_refused_whether_it_exists_or_not(
        self, world, stranger
    ):
        answers = []
        for project_id in (world.project_id, new_project_id()):
            listed = stranger.get(f"/v2/{project_id}/instances")
            created = stranger.post(f"/v2/{project_id}/kafka/instances", CREATE_BODY)
            assert listed.error == created.error == (401, "DMS.10240104")
            answers.append((listed.without_request_id, created.without_request_id))
        assert answers[0] == answers[1]

    def test_a_stranger_lists_only_what_is_theirs(self, world, stranger):
        own = world.do(_project(stranger))
        assert stranger.get(f"/v2/{own}/instances").json == {"instances": [], "instance_num": 0}
        (project,) = stranger.get("/v3/projects").json["projects"]
        assert project["id"] == own
        assert stranger.get("/v3/projects?name=cn-north-4").json["projects"] == []

    def test_a_token_of_the_domain_is_in_no_project(self, world, ended):
        world.user("ann", "correct horse")
        body = {"domain": {"name": "backroom"}}
        answer = world.nobody.post("/v3/auth/tokens", _login("ann", "correct horse", body))
        ann = Caller(world, token=answer.headers["x-subject-token"])
        assert ann.get(f"{world.tasks_path}/{ended}").error == (404, "DMS.00404001")
        assert ann.get(f"/v2/{world.project_id}/instances").error == (401, "DMS.10240104")
        assert ann.post(world.public_access_path, BIND).error == (404, "DMS.00404022")


async def _project(caller):
    key = await caller.world.backroom.account_store.access_key(caller.signer.access_key)
    return key.project_id


def _login(name, password, scope):
    user = {"name": name, "password": password, "domain": {"name": "backroom"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": scope}}
