"""The samples of docs/reference/samples: each makes the call that its page is about."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from huaweicloudsdkcore.client import Client
from huaweicloudsdkcore.utils import http_utils

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "CLOUD_SDK_AK": "AK",
    "CLOUD_SDK_SK": "SK",
    "BACKROOM_PROJECT_ID": "e3207ee12b9ff1393f9c6a1814a7f512",
    "BACKROOM_INSTANCE_ID": "3c8d3199-4a64-4548-9742-0252329228e0",
    "BACKROOM_REGION": "cn-north-4",
}
ARGUMENT = "orders"


def _loaded():
    sys.path[:0] = [str(ROOT / "docs")]
    try:
        return importlib.import_module("compile_samples")
    finally:
        sys.path.remove(str(ROOT / "docs"))


compiling = _loaded()
samples = compiling.samples
CALLS = compiling.all_calls()


def by_operation(call):
    return call.route.operation


@pytest.fixture
def asked(monkeypatch):
    """What the official client was about to send."""
    calls = []

    def take(_self, **http_info):
        calls.append(http_info)
        return "answer"

    monkeypatch.setattr(Client, "do_http_request", take)
    for name, text in ENVIRONMENT.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(sys, "argv", ["sample", ARGUMENT])
    return calls


@pytest.mark.parametrize("call", CALLS, ids=by_operation)
def test_a_sample_in_python_makes_its_call(call, asked, capsys):
    source = samples.program("python", call)
    exec(compile(source, f"{call.route.operation}.py", "exec"), {"__name__": "__main__"})  # noqa: S102

    (sent,) = asked
    assert (sent["method"], sent["resource_path"]) == (call.route.method, call.route.template)
    wanted = set(re.findall(r"\{(\w+)\}", call.route.template)) - {"project_id"}
    assert set(sent["path_params"]) == wanted
    assert None not in sent["path_params"].values()
    assert capsys.readouterr().out == "answer\n"


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.route.body is not None], ids=by_operation
)
def test_a_sample_sends_the_golden_body(call, asked):
    exec(compile(samples.program("python", call), "sample.py", "exec"), {})  # noqa: S102

    sent = http_utils.sanitize_for_serialization(asked[0]["body"])
    golden = samples.body_of(call.route.operation)
    assert loose(sent) == loose(golden)


def loose(value):
    """Leaves as text: the SDK has a type for each, a recorded request may have another."""
    if isinstance(value, dict):
        return {name: loose(one) for name, one in value.items()}
    if isinstance(value, list):
        return [loose(one) for one in value]
    instance_id = ENVIRONMENT["BACKROOM_INSTANCE_ID"]
    return (value if isinstance(value, str) else json.dumps(value)).replace(
        "{instance_id}", instance_id
    )


def test_every_call_of_the_kafka_api_has_a_sample_in_every_language():
    pages = {page.stem for page in (ROOT / "docs" / "reference" / "samples").glob("*.md")}

    assert pages == {call.route.operation for call in CALLS} | {"index"}
    for call in CALLS:
        page = ROOT / "docs" / "reference" / "samples" / f"{call.route.operation}.md"
        text = page.read_text("utf-8")
        for language in samples.TITLES:
            assert samples.program(language, call) in text


def test_a_page_says_that_a_changed_sample_was_not_compiled():
    (call,) = (c for c in CALLS if c.route.operation == "ShowBackgroundTask")
    kept = samples.record()
    fresh = samples._page(call, kept)
    kept.passed["go"][call.route.operation] = "0" * 16

    assert "Not compiled" not in fresh
    assert "Not compiled" in samples._page(call, kept)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", sorted(compiling.COMPILERS))
def test_samples_compile_as_recorded(language):
    tool = {"java": "mvn", "go": "go", "nodejs": "npm"}[language]
    if shutil.which(tool) is None:
        pytest.skip(f"install {tool}: it builds the samples")
    try:
        package, passed = compiling.COMPILERS[language](CALLS)
    except compiling.programs.Unavailable as why:
        pytest.skip(f"a registry does not serve what is needed: {why}")

    assert package == samples.record().packages[language]
    assert compiling.digests(language, passed) == samples.record().passed[language]
