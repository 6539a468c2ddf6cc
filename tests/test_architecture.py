"""What must hold across modules: nothing forgotten when something is added."""

import ast
import csv
import re
from pathlib import Path

import pytest
from tests.support.tables import bare_routes

from backroom.api.errors import TABLE
from backroom.audit.chains import BrokenChain
from backroom.audit.checking import UnreadableBundle
from backroom.audit_key import UnusableKey
from backroom.bootstrap import CannotServe
from backroom.cli import exits
from backroom.cli.audit import NoSuchProject
from backroom.cli.files import CanNotWrite
from backroom.cli.keys import NoSuchKey
from backroom.cli.opening import NothingThere
from backroom.domain import errors
from backroom.engine.attempt import LeaseLost
from backroom.engine.call import StepExited, TimedOut, WaitCancelled
from backroom.environment import NoKeyPair
from backroom.local_access import NoLocalAccess
from backroom.operations.catalogue import CATALOGUE
from backroom.store.transfer import NotEmpty, UnusableDump
from backroom.wire.error_codes import ErrorCode

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "backroom"
CONTRACT = ROOT.parent / "shared" / "contract"

INTERNAL = {  # never shown to a client by design: a bug (500), or at home in the engine
    errors.StaleTask,
    errors.ClientTokenTaken,
    errors.IllegalTransition,
    errors.OutcomeUnknown,
    errors.StepNotReady,
    errors.StepRejected,
    errors.StepAbandoned,
    LeaseLost,
    StepExited,
    TimedOut,
    WaitCancelled,
    # of the command line, which prints them
    BrokenChain,
    CanNotWrite,
    CannotServe,
    NoKeyPair,
    NoSuchKey,
    NoSuchProject,
    NotEmpty,
    NothingThere,
    UnreadableBundle,
    UnusableDump,
    UnusableKey,
    NoLocalAccess,
    exits.AnswerLost,
    exits.CallRefused,
    exits.NoNativeApi,
    exits.TooManyMatches,
    exits.NotTheApi,
    exits.NotConnected,
    exits.Unreachable,
    exits.WrongInstance,
}
OURS = {"ShowOpenApi", "ShowHealth", "ShowReadiness", "ShowMetrics"}  # calls that no vendor has
OLDER = {"CreateReassignmentTask", "ResizeInstance"}  # of older pages, or of Terraform
ALIASES = {  # one handler, two paths
    "KeystoneListAuthProjects": "keystone_list_projects",
    "CreateReassignmentTask": "create_kafka_reassignment_task",
    "ResizeEngineInstance": "resize_kafka_instance",
    "ResizeInstance": "resize_kafka_instance",
}

ROUTES = bare_routes()


def contract(name):
    path = CONTRACT / name
    if not path.exists():
        pytest.skip(f"the vendor's list {name} is not part of this repository")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def leaves(kind):
    below = kind.__subclasses__()
    return {kind} if not below else {leaf for child in below for leaf in leaves(child)}


def test_every_operation_can_be_asked_for():
    submitted = {operation.name for route in ROUTES for operation in route.submits}
    assert submitted == set(CATALOGUE)


def test_every_call_has_a_name_of_its_own():
    names = [route.operation for route in ROUTES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_a_handler_is_called_like_its_operation(route):
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", route.operation).lower()
    assert route.handler.__name__ == ALIASES.get(route.operation, snake)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_an_answer_has_a_body_unless_its_status_is_204(route):
    assert (route.answer is None) == (route.status == 204)


def test_v2_calls_are_the_vendors():
    official = {(row["api"], row["method"], row["path"]) for row in contract("operations.csv")}
    for route in ROUTES:
        if route.template.startswith(("/v3", "/backroom/")) or route.operation in OURS | OLDER:
            continue
        assert (route.operation, route.method, route.template) in official


def test_success_is_the_vendors_status():
    official = {row["api"]: row["success_status"] for row in contract("operations.csv")}
    for route in ROUTES:
        if route.operation in official:
            assert official[route.operation].startswith(str(route.status)), route.operation


def test_every_error_has_a_row_or_is_internal():
    for leaf in leaves(errors.BackroomError):
        rows = [kind for kind in leaf.__mro__ if kind in TABLE]
        assert bool(rows) != (leaf in INTERNAL), leaf


def test_every_kind_of_bad_input_has_a_row_of_its_own():
    """Else it would be answered as a bad parameter without anybody having decided that."""
    assert leaves(errors.InvalidInput) <= set(TABLE)


def test_every_error_code_is_used():
    assert {code for code, _ in TABLE.values()} | {ErrorCode.INTERNAL} == set(ErrorCode)


@pytest.mark.parametrize(
    "code",
    # the gateway's codes are in another list: docs/wire/errors.md
    [code for code in ErrorCode if not code.value.code.startswith("APIGW.")],
    ids=lambda code: code.name,
)
def test_an_error_code_is_official(code):
    text = code.value
    status = 500 if code is ErrorCode.STORE_AWAY else text.status  # [I] 503: try again
    official = [
        row["error_msg"]
        for row in contract("error-codes.csv")
        if (row["error_code"], row["http_status"]) == (text.code, str(status))
    ]
    beginning = text.english.partition("{}")[0].strip()
    assert any(words.startswith(beginning) for words in official)


def test_both_languages_are_filled_alike():
    for code in ErrorCode:
        assert code.value.english.count("{}") == code.value.chinese.count("{}") <= 1
        assert code.value.english.isascii()
        assert not code.value.chinese.isascii()


CATCH_ALL = {
    "engine/attempt.py",
    "engine/scheduler.py",
    "engine/sweeper.py",
    "api/app.py",
    # handed over to whoever waits for it
    "engine/threads.py",
    "testing/server.py",
    "store/batches.py",
    "store/record_reader.py",
    "store/writer.py",
}


def catches_all(handler):
    names = {node.id for node in ast.walk(handler.type or ast.Name("BaseException"))
             if isinstance(node, ast.Name)}  # fmt: skip
    return bool(names & {"Exception", "BaseException"})


def passes_on(handler):
    """Ends by raising what it caught: it cleans up and hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_everything_is_caught_in_known_places_only():
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler) and catches_all(node) and not passes_on(node):
                found.add(path.relative_to(SOURCE).as_posix())
    assert found == CATCH_ALL


TIME_OF_DAY = re.compile(
    r"\b(?:datetime|date)\.(?:now|utcnow|today)\("
    r"|\btime_ns\b|\btime\.time\b|from time import time\b"
)
TIME_IN_SQL = re.compile(
    r"clock_timestamp|current_(?:timestamp|date|time)\b|\bnow\(\)|'now'|unixepoch|julianday",
    re.IGNORECASE,
)
CLOCKS = {"clock.py", "store/postgres_clock.py", "store/queries/postgres/deployment.sql"}


@pytest.mark.rule(11)
def test_time_comes_from_the_clock_port():
    """All but the command line, which lives in its user's time."""
    found = set()
    for pattern, files in ((TIME_OF_DAY, "*.py"), (TIME_IN_SQL, "*.sql")):
        for path in SOURCE.rglob(files):
            name = path.relative_to(SOURCE)
            if name.parts[0] != "cli" and pattern.search(path.read_text("utf-8")):
                found.add(name.as_posix())
    assert found == CLOCKS


def test_the_wires_words_stay_in_wire():
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] != "wire":
            words = re.findall(r"\b(job_id|job_count|statue)\b", path.read_text("utf-8"))
            assert words == [], path
