"""Requests made up from the OpenAPI document, odd and even: answered as it says, no 5xx or 3xx."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.tables import bare_routes
from tests.support.world import World, make_world

from backroom.api.emulator import EMULATOR
from backroom.domain.account import Role

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NOTHING_TO_GET_WRONG = {
    "ListAvailableZones",
    "KeystoneListAuthProjects",
    "KeystoneListAuthDomains",
    "KeystoneListRegions",
    "ShowOpenApi",
    "ShowHealth",
    "ShowReadiness",
    "ShowMetrics",
}
MANY = settings(FEW, max_examples=500, derandomize=False)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("fuzzed"))
    world.user("ann", "correct horse", Role.ADMIN)
    yield world, world.log_in("ann", "correct horse")
    world.close()


@pytest.fixture(scope="module")
def document(fuzzed):
    application = fuzzed[0].backroom.application
    return schemathesis.openapi.from_asgi("/backroom/v1/openapi.json", application)


# controls of an emulator would change what the others meet: tests/properties has them
OPERATIONS = [route.operation for route in bare_routes() if not route.template.startswith(EMULATOR)]


def at_home(case, world: World) -> None:
    """The same request, of things that are there. The instance stays: others need it."""
    if "project_id" in (case.path_parameters or {}):
        case.path_parameters["project_id"] = world.project_id
        if case.method != "DELETE" and "instance_id" in case.path_parameters:
            case.path_parameters["instance_id"] = world.instance.id


def checked(case, headers) -> None:
    response = case.call(headers=headers)
    assert not 300 <= response.status_code < 400
    case.validate_response(response, checks=CHECKS)


def fuzz(document, name, world, ann, bounds) -> None:
    operation = document.find_operation_by_id(name)
    token = {"X-Auth-Token": ann.token}
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.NEGATIVE and name in NOTHING_TO_GET_WRONG:
            continue

        @bounds
        @given(operation.as_strategy(generation_mode=mode))
        def probe(case):
            checked(case, {})
            checked(case, token)
            at_home(case, world)
            checked(case, token)

        probe()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.slow
def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(document, fuzzed, name):
    fuzz(document, name, *fuzzed, FEW)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_same_many_times(document, fuzzed, name):
    fuzz(document, name, *fuzzed, MANY)
