"""X-Client-Token: the same request with the same token is answered the same, and done once."""

import asyncio
import json

import pytest
from tests.support.bodies import CREATE_BODY
from tests.support.world import ask, checked

from backroom.domain.account import Role
from backroom.domain.errors import StoreUnavailable
from backroom.domain.instance import InstanceStatus, changed

TOKEN = ("X-Client-Token", "once-and-never-again")


def submissions(world):
    """Each call that submits: method, target, body, what is to be there before, status."""
    kafka = f"/v2/{world.project_id}/kafka/instances/{world.instance.id}"
    return {
        "bind": ("POST", world.public_access_path, {"public_boundwidth": 5}),
        "create": ("POST", world.create_path, CREATE_BODY),
        "delete": ("DELETE", world.instance_path, None),
        "restart": (
            "POST", f"/v2/{world.project_id}/instances/action",
            {"action": "restart", "instances": [world.instance.id]},
        ),
        "extend": (
            "POST", f"{kafka}/extend", {"oper_type": "storage", "new_storage_space": 600},
        ),
        "configs": (
            "PUT", f"{world.instance_path}/configs",
            {"kafka_configs": [{"name": "log.retention.hours", "value": "48"}]},
        ),
        "autotopic": (
            "POST", f"{world.instance_path}/autotopic", {"enable_auto_topic": True},
        ),
        "bulk": (
            "POST", f"/backroom/v1/{world.project_id}/tasks/bulk-cancel",
            {"filter": {"state": "waiting"}},
        ),
    }  # fmt: skip


KINDS = ["bind", "create", "delete", "restart", "extend", "configs", "autotopic", "bulk"]


def send(world, kind, *headers, caller=None, **changes):
    method, target, body = submissions(world)[kind]
    content = b"" if body is None else json.dumps({**body, **changes}).encode()
    return (caller or world.admin).call(method, target, content, [TOKEN, *headers])


def tasks_in(world):
    return {row[0] for row in world.dump()["tasks"]}


def shape(answer):
    return answer.status, answer.body


@pytest.mark.parametrize("kind", KINDS)
def test_repetition_gets_the_first_answer_and_makes_no_other_task(world, kind):
    first = send(world, kind)
    assert 200 <= first.status < 300, first.body
    made = tasks_in(world)
    for delay_s in (0, 1, 24 * 3600 - 2):
        world.clock.move(seconds=delay_s)
        assert shape(send(world, kind)) == shape(first)
    world.run_until_idle()
    assert tasks_in(world) == made


@pytest.mark.parametrize("kind", KINDS)
def test_repetition_gets_the_first_answer_when_its_task_has_ended(world, kind):
    first = send(world, kind)
    made = tasks_in(world)
    world.run_until_idle()
    assert shape(send(world, kind)) == shape(first)
    assert tasks_in(world) == made


@pytest.mark.parametrize("kind", KINDS)
def test_two_at_once_make_one_task_and_get_one_answer(world, kind):
    method, target, body = submissions(world)[kind]
    content = b"" if body is None else json.dumps(body).encode()
    before = tasks_in(world)
    requests = []
    for _ in range(2):
        proof = world.admin.proof(method, target, content)
        world.clock.move(seconds=1)  # another signature
        length = [(b"content-length", b"%d" % len(content))] if content else []
        token = [(TOKEN[0].lower().encode(), TOKEN[1].encode())]
        requests.append(
            ask(
                world.backroom.application, method, target.encode(), b"",
                [*proof, *length, *token], [content],
            )
        )  # fmt: skip

    async def both():
        return await asyncio.gather(*requests)

    first, second = (checked(answer, method) for answer in world.do(both()))
    assert 200 <= first.status < 300
    assert shape(first) == shape(second)
    assert len(tasks_in(world) - before) == 1


def test_token_is_forgotten_after_24_hours(world):
    send(world, "bind")
    world.clock.move(hours=24, seconds=1)
    made = tasks_in(world)
    assert send(world, "bind").status == 204
    assert len(tasks_in(world)) == len(made) + 1


def test_token_that_came_with_another_request_is_refused(world):
    send(world, "bind")
    made = world.dump()["tasks"]
    for kind, changes in (("bind", {"public_boundwidth": 6}), ("delete", {}), ("create", {})):
        refused = send(world, kind, **changes)
        assert refused.error == (400, "DMS.00400800")
        assert "X-Client-Token" in refused.message
    assert world.dump()["tasks"] == made


def test_token_of_another_project_is_another_token(world):
    send(world, "bulk")
    project_id = world.other_project()
    stranger = world.caller(Role.OPERATOR, project_id)
    target = f"/backroom/v1/{project_id}/tasks/bulk-cancel"
    answer = stranger.call(
        "POST", target, json.dumps({"filter": {"state": "running"}}).encode(), [TOKEN]
    )
    assert answer.status == 202


@pytest.mark.parametrize("token", ["", "a" * 65, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\tb"])
@pytest.mark.parametrize("kind", KINDS)
def test_malformed_token_is_refused_before_anything_is_written(world, kind, token):
    before = world.dump()["tasks"]
    method, target, body = submissions(world)[kind]
    content = b"" if body is None else json.dumps(body).encode()
    fields = [*world.admin.proof(method, target, content), (b"x-client-token", token.encode())]
    refused = world.admin.send(method, target, content, fields)
    assert refused.error == (400, "DMS.00400062")
    assert "X-Client-Token" in refused.message
    assert world.dump()["tasks"] == before


@pytest.mark.parametrize("token", ["a", "~" * 64, "a b", "5f0e7d6c-1b2a-4c3d-8e9f-0a1b2c3d4e5f"])
def test_token_may_be_any_64_printable_characters(world, token):
    method, target, body = submissions(world)["bind"]
    answer = world.admin.call(method, target, json.dumps(body).encode(), [(TOKEN[0], token)])
    assert answer.status == 204


def test_refused_request_does_not_use_up_its_token(world):
    assert send(world, "bind", public_boundwidth=-1).status == 400
    assert send(world, "bind").status == 204


def test_viewer_is_refused_whatever_the_token(world):
    send(world, "bind")
    viewer = world.caller(Role.VIEWER)
    for kind in KINDS:
        assert send(world, kind, caller=viewer).error == (403, "DMS.00403002")


def test_batch_is_repeated_as_it_was(world):
    """Of two instances one can't be had: each is submitted once, however often asked."""
    created = world.admin.post(world.create_path, CREATE_BODY).json["instance_id"]
    world.run_until_idle()
    missing = "00000000-0000-4000-8000-000000000000"
    target = f"/v2/{world.project_id}/instances/action"

    def restart(ids):
        body = {"action": "restart", "instances": ids}
        return world.admin.call("POST", target, json.dumps(body).encode(), [TOKEN])

    ids = [missing, world.instance.id, created]
    first = restart(ids)
    assert [one["result"] for one in first.json["results"]] == ["failed", "success", "success"]
    made = tasks_in(world)
    world.run_until_idle()
    assert shape(restart(ids)) == shape(first)
    assert restart(ids[::-1]).error == (400, "DMS.00400800")
    assert tasks_in(world) == made


# every instance whose creation failed


def failed_creation(world):
    created = world.admin.post(world.create_path, CREATE_BODY).json["instance_id"]
    world.run_until_idle()
    instance = world.do(world.backroom.instances.get(world.project_id, created))
    failed = changed(instance, status=InstanceStatus.CREATE_FAILED)
    world.do(world.backroom.instances.save(failed))
    return created


def delete_failed(world):
    return checked(asked_to_delete_failed(world), "POST")


def asked_to_delete_failed(world):
    world.clock.move(seconds=1)  # another signature
    target = f"/v2/{world.project_id}/instances/action"
    content = json.dumps({"action": "delete", "all_failure": "kafka"}).encode()
    fields = [*world.admin.proof("POST", target, content), (b"x-client-token", TOKEN[1].encode())]
    fields.append((b"content-length", b"%d" % len(content)))
    application = world.backroom.application
    return world.do(ask(application, "POST", target.encode(), b"", fields, [content]))


def statuses(world, *ids):
    answers = [world.admin.get(f"/v2/{world.project_id}/instances/{one}") for one in ids]
    return [one.json["status"] if one.status == 200 else one.status for one in answers]


def test_repeated_deletion_of_failed_creations_spares_what_failed_since(world):
    first_two = failed_creation(world), failed_creation(world)
    first = delete_failed(world)
    assert (first.status, statuses(world, *first_two)) == (204, ["DELETING", "DELETING"])
    world.run_until_idle()
    later = failed_creation(world)
    made = tasks_in(world)
    assert shape(delete_failed(world)) == shape(first)
    assert tasks_in(world) == made
    assert statuses(world, *first_two, later) == [404, 404, "CREATEFAILED"]


def test_deletion_of_failed_creations_looks_anew_when_it_had_found_none(world):
    assert delete_failed(world).status == 204
    one = failed_creation(world)
    assert delete_failed(world).status == 204
    assert statuses(world, one) == ["DELETING"]
    other = failed_creation(world)
    assert delete_failed(world).status == 204
    assert statuses(world, other) == ["CREATEFAILED"]


def test_deletion_of_failed_creations_goes_on_when_it_was_cut_off(world, monkeypatch):
    three = [failed_creation(world) for _ in range(3)]
    submissions = world.backroom.service.submit.__self__
    kept = submissions.write
    written = []

    async def write(*given):
        if written:
            raise StoreUnavailable("away")
        written.append(given)
        return await kept(*given)

    monkeypatch.setattr(submissions, "write", write)
    assert asked_to_delete_failed(world).status == 503
    monkeypatch.undo()
    assert sorted(statuses(world, *three)) == ["CREATEFAILED", "CREATEFAILED", "DELETING"]
    assert delete_failed(world).status == 204
    assert statuses(world, *three) == ["DELETING"] * 3
    later = failed_creation(world)
    assert delete_failed(world).status == 204
    assert statuses(world, later) == ["CREATEFAILED"]


@pytest.mark.parametrize("more", [{}, {"is_schedule": True, "execute_at": 1_900_000_000_000}])
def test_reassignment_is_begun_or_planned_once(world, more):
    assert world.admin.post(f"{world.instance_path}/topics", {"id": "orders"}).status == 200
    target = f"/v2/{world.project_id}/kafka/instances/{world.instance.id}/reassign"
    body = {"reassignments": [{"topic": "orders", "brokers": [0, 1, 2]}], **more}
    content = json.dumps(body).encode()
    first = world.admin.call("POST", target, content, [TOKEN])
    assert first.status == 200
    made = tasks_in(world)
    world.clock.move(seconds=1)
    assert shape(world.admin.call("POST", target, content, [TOKEN])) == shape(first)
    assert tasks_in(world) == made


# the same signature again


def replayed(world, signed_token, token=TOKEN[1]):
    """Twice the same bytes, and the token signed or not."""
    method, target, body = submissions(world)["bind"]
    content = json.dumps(body).encode()
    return send_twice(world, method, target, content, signed_token, token)


def send_twice(world, method, target, content, signed_token, token):
    fields = world.admin.proof(method, target, content)
    if signed_token:
        signed = {name.decode(): value.decode() for name, value in fields[:-1]}
        signed["x-client-token"] = token
        authorization = world.admin.signer.authorization(method, target, content, signed)
        fields = [(name.encode(), value.encode()) for name, value in signed.items()]
        fields.append((b"authorization", authorization.encode()))
    else:
        fields.append((b"x-client-token", token.encode()))
    return [world.admin.send(method, target, content, fields) for _ in range(2)]


@pytest.mark.parametrize("signed_token", [True, False])
def test_byte_identical_repetition_gets_the_first_answer(world, signed_token):
    before = tasks_in(world)
    first, second = replayed(world, signed_token)
    assert first.status == 204
    assert shape(first) == shape(second)
    assert len(tasks_in(world) - before) == 1


def test_signature_seen_elsewhere_is_not_good_with_a_token_of_somebody_else(world):
    """The token is not signed: whoever saw the request could add one, and do it once more."""
    method, target, body = submissions(world)["bind"]
    content = json.dumps(body).encode()
    fields = world.admin.proof(method, target, content)
    assert world.admin.send(method, target, content, fields).status == 204
    made = tasks_in(world)
    stolen = [*fields, (b"x-client-token", b"mine")]
    assert world.admin.send(method, target, content, stolen).error == (401, "APIGW.0301")
    first, _ = replayed(world, signed_token=False, token="first")
    assert first.status == 401  # the same second, the same signature
    assert tasks_in(world) == made


def test_token_means_nothing_where_nothing_is_submitted(world):
    task_id = world.bind()
    world.run_until_idle()
    target = f"{world.tasks_path}/{task_id}"
    first, second = send_twice(world, "DELETE", target, b"", signed_token=True, token="x" * 99)
    assert (first.status, second.status) == (204, 401)


def test_retry_is_done_once_for_one_token(world):
    world.lose_brokers()
    task_id = world.bind()
    world.run_until_idle()
    target = f"/backroom/v1/{world.project_id}/tasks/{task_id}/retry"
    first = world.admin.call("POST", target, headers=[TOKEN])
    assert first.status == 202
    made = tasks_in(world)
    instance = world.do(world.backroom.instances.get(world.project_id, world.instance.id))
    world.do(world.backroom.instances.save(changed(instance, status=InstanceStatus.ERROR)))
    world.clock.move(seconds=1)
    assert shape(world.admin.call("POST", target, headers=[TOKEN])) == shape(first)
    assert tasks_in(world) == made
