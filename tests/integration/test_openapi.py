"""The OpenAPI document: valid, complete, and true."""

import json
import re

import jsonschema_rs
import pytest
import schemathesis

from backroom.api.errors import TABLE
from backroom.domain import errors


@pytest.fixture(scope="module")
def document(quiet_world):
    return quiet_world.nobody.get("/backroom/v1/openapi.json").json


def operations(document):
    return {
        operation["operationId"]: (method.upper(), template, operation)
        for template, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_valid(document):
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_its_references_lead_somewhere(document):
    names = set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(document)))
    assert names
    for name in names:
        kind, _, member = name.partition("/")
        assert member in document["components"][kind]


def test_it_lists_every_call_under_the_vendors_name(quiet_world, document):
    assert {
        name: (method, template) for name, (method, template, _) in operations(document).items()
    } == {
        route.operation: (route.method, route.template)
        for route in quiet_world.backroom.table.routes
    }


def test_it_says_who_may_call_what(document):
    needed = [{"token": []}, {"signature": []}]
    for name, (_, _, operation) in operations(document).items():
        expected = {
            "KeystoneCreateUserTokenByPassword": [],
            "ShowOpenApi": [],
            "ShowHealth": [],
            "ShowReadiness": [],
            "ShowMetrics": [],
            "CreateTemporaryAccessKeyByToken": [*needed, {}],
        }.get(name, needed)
        assert operation["security"] == expected


def test_it_says_what_each_call_submits(document):
    found = operations(document)
    assert "bindInstancePublicIp" in found["ModifyKafkaPublicIpAccessSwitch"][2]["description"]
    assert "createInstance" in found["CreatePostPaidKafkaInstance"][2]["description"]
    assert "description" not in found["ShowBackgroundTask"][2]


def test_its_path_parameters_are_as_strict_as_the_router(quiet_world, document):
    _, template, operation = operations(document)["ShowBackgroundTask"]
    patterns = {
        parameter["name"]: parameter["schema"]["pattern"]
        for parameter in operation["parameters"]
        if parameter["in"] == "path"
    }
    assert set(patterns) == set(re.findall(r"\{(\w+)\}", template))
    assert re.search(patterns["project_id"], quiet_world.project_id)
    assert re.search(patterns["instance_id"], quiet_world.instance.id)
    for name, good in (("project_id", "a" * 32), ("task_id", "b" * 32)):
        assert re.search(patterns[name], good)
        for bad in (good + "c", good[1:], good.upper(), "x" + good[1:]):
            assert not re.search(patterns[name], bad)


def test_its_query_parameters_have_bounds(document):
    _, _, operation = operations(document)["ListBackgroundTasks"]
    schemas = {
        parameter["name"]: parameter["schema"]
        for parameter in operation["parameters"]
        if parameter["in"] == "query"
    }
    assert schemas["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert schemas["begin_time"]["pattern"] == "^[0-9]{14}$"
    assert set(schemas) == {"start", "offset", "limit", "begin_time", "end_time"}


def test_its_success_is_the_answer_of_the_call(world, document):
    task_id = world.bind()
    seen = {
        "ShowBackgroundTask": world.admin.get(f"{world.tasks_path}/{task_id}"),
        "ListBackgroundTasks": world.admin.get(world.tasks_path),
        "ListScheduledTasks": world.admin.get(world.scheduled_path),
        "ShowInstance": world.admin.get(world.instance_path),
        "ListInstances": world.admin.get(f"/v2/{world.project_id}/instances"),
        "ShowKafkaTags": world.admin.get(f"/v2/{world.project_id}/kafka/{world.instance.id}/tags"),
        "ShowKafkaCluster": world.admin.get(f"{world.instance_path}/manage/cluster"),
        "ListAvailableZones": world.admin.get("/v2/available-zones"),
        "KeystoneListProjects": world.admin.get("/v3/projects"),
        "KeystoneListAuthDomains": world.admin.get("/v3/auth/domains"),
        "KeystoneListRegions": world.admin.get("/v3/regions"),
    }
    for name, answer in seen.items():
        _, _, operation = operations(document)[name]
        described = operation["responses"][str(answer.status)]["content"]["application/json"]
        resolved = {**described["schema"], "components": document["components"]}
        jsonschema_rs.validate(resolved, answer.json)


def test_every_status_of_an_error_is_described(document):
    described = {
        int(status)
        for _, _, operation in operations(document).values()
        for status in operation["responses"]
    }
    statuses = {
        code.value.status
        for kind, (code, _) in TABLE.items()
        if kind is not errors.MethodNotAllowed
    }
    assert statuses | {500} <= described


def test_it_is_made_once(quiet_world):
    first = quiet_world.nobody.get("/backroom/v1/openapi.json")
    assert quiet_world.nobody.get("/backroom/v1/openapi.json").body == first.body
