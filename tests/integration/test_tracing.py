"""Spans of requests, attempts and steps, as OpenTelemetry's own exporter gets them."""

import asyncio
import gzip
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.support.binding_client import BindingClient
from tests.support.engine_world import Steps, catalogue_with
from tests.support.engine_world import World as EngineWorld
from tests.support.processes import serving
from tests.support.waiting import wait_until
from tests.support.world import make_world

from backroom.domain import lifecycle
from backroom.domain.errors import StepNotReady, StepRejected
from backroom.tracing import Tracing, _ids, ids_of, tracing_of

TRACE_ID, SPAN_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
TRACEPARENT = f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-01"


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter):
    provider = TracerProvider(id_generator=_ids(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = Tracing(provider)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path, tracing):
    made = make_world(tmp_path, tracer=tracing)
    yield made
    made.close()


def spans(exporter, prefix=""):
    return [span for span in exporter.get_finished_spans() if span.name.startswith(prefix)]


def links(span):
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def test_request_is_named_after_its_route_and_has_its_request_id(world, exporter):
    answer = world.admin.get(f"{world.tasks_path}?limit=7")
    (span,) = spans(exporter)
    assert span.name == "GET /v2/{project_id}/instances/{instance_id}/tasks"
    assert span.kind is SpanKind.SERVER
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/v2/{project_id}/instances/{instance_id}/tasks",
        "http.response.status_code": 200,
        "backroom.call": "ListBackgroundTasks",
        "backroom.request_id": answer.headers["x-request-id"],
    }
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET


def test_request_that_fits_no_route_is_named_by_its_method(world, exporter):
    world.nobody.get("/no/such/path/with-a-secret")
    (span,) = spans(exporter)
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET", 404)
    assert "secret" not in span.to_json()


def test_an_endless_traceparent_writes_no_log(world, caplog):
    for length in (257, 60_000):
        text = TRACEPARENT + "-" + "a" * length
        assert world.admin.get(world.tasks_path, headers=[("traceparent", text)]).status == 200
    assert caplog.text == ""


def test_trace_of_the_client_is_linked_to(world, exporter):
    world.admin.get(world.tasks_path, headers=[("traceparent", TRACEPARENT)])
    world.admin.get(world.tasks_path, headers=[("traceparent", "garbage \xff")])
    linked, alone = spans(exporter)
    assert links(linked) == [(TRACE_ID, SPAN_ID)]
    assert links(alone) == []
    assert linked.context.trace_id != TRACE_ID


def test_attempts_link_to_the_request_that_asked_and_steps_are_their_children(world, exporter):
    task_id = world.bind()
    (asked,) = spans(exporter, "POST")
    world.run_until_idle()
    attempts, steps = spans(exporter, "attempt"), spans(exporter, "step")
    assert {span.name for span in attempts} == {"attempt bindInstancePublicIp"}
    assert [span.name for span in steps if span.attributes["backroom.outcome"] != "snooze"] == [
        "step attach_address", "step publish_address",
    ]  # fmt: skip
    for span in attempts:
        assert links(span) == [(asked.context.trace_id, asked.context.span_id)]
        assert span.parent is None
        assert span.attributes["backroom.task_id"] == task_id
    assert attempts[-1].attributes["backroom.outcome"] == "complete"
    ids = {span.context.span_id: span.context.trace_id for span in attempts}
    for span in steps:
        assert ids[span.parent.span_id] == span.context.trace_id
    everything = "".join(span.to_json() for span in spans(exporter))
    assert "eip-" not in everything  # params


@pytest.mark.parametrize(
    ("end", "outcome", "is_error"),
    [
        ("done", "complete", False),
        (StepNotReady(60), "snooze", False),
        (RuntimeError("hunter2"), "retry", True),
        (StepRejected("c", "hunter2"), "fail", True),
    ],
    ids=["done", "waits", "faulted", "rejected"],
)
def test_outcome_says_how_attempt_and_step_ended(tracing, exporter, end, outcome, is_error):
    async def run():
        world = EngineWorld()
        with closing(world):
            world.around = replace(world.around, tracer=tracing)
            operation = Steps(end).operation()
            await world.submit(operation)
            with catalogue_with(operation):
                await (await world.claim()).run()

    asyncio.run(run())
    step, attempt = spans(exporter)
    assert (step.name, attempt.name) == ("step step_0", "attempt testOperation")
    for span in (step, attempt):
        assert span.attributes["backroom.outcome"] == outcome
        assert (span.status.status_code is StatusCode.ERROR) is is_error
        assert "hunter2" not in span.to_json()


def test_attempt_that_lost_its_lease_says_so(tracing, exporter):
    async def run():
        world = EngineWorld()

        async def robbed(context):
            task = await world.get(context.task.id)
            await world.stores.tasks.write(lifecycle.rescue(task, world.clock.now(), "w2"))

        with closing(world):
            world.around = replace(world.around, tracer=tracing)
            operation = Steps(robbed).operation()
            await world.submit(operation)
            with catalogue_with(operation):
                await (await world.claim()).run()

    asyncio.run(run())
    assert [span.attributes["backroom.outcome"] for span in spans(exporter)] == ["lost", "lost"]


def test_ids_of_a_request_are_its_own_and_never_zero():
    seen = {ids_of(f"{number:032x}") for number in range(1_000)}
    assert len(seen) == 1_000
    assert all(trace_id and span_id for trace_id, span_id in seen)


# the environment


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_traced_where_nothing_asks_for_it(environment):
    assert tracing_of(environment) is None


def test_exporter_that_is_not_there_is_told_and_nothing_traced(caplog):
    assert tracing_of({"OTEL_TRACES_EXPORTER": "carrier-pigeon"}) is None
    assert "no exporter of spans for carrier-pigeon" in caplog.text


def test_opentelemetry_is_not_loaded_where_nothing_asks_for_it():
    code = (
        "import sys; import backroom.server; from backroom.tracing import tracing_of;"
        "assert tracing_of({}) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_missing_package_is_told_and_nothing_traced(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    assert tracing_of({"OTEL_TRACES_EXPORTER": "otlp"}) is None
    assert "pip install 'backroom[otel]'" in caplog.text


# a real server and a collector


class Collector:
    """Takes spans over HTTP as a collector does."""

    def __init__(self):
        self.spans, self.services = [], set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, request):
        for group in request.resource_spans:
            self.services |= {
                one.value.string_value
                for one in group.resource.attributes
                if one.key == "service.name"
            }
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.slow
def test_collector_gets_the_spans_of_a_real_server(tmp_path, monkeypatch):
    with closing(Collector()) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        with serving(tmp_path, "--http") as served, closing(BindingClient(served)) as client:
            assert client.bind() == 204
            wait_until(lambda: client.tasks() == ["SUCCESS"])
            assert served.stop() == 0
    names = {span.name for span in collector.spans}
    assert {"attempt bindInstancePublicIp", "step publish_address"} <= names
    (asked,) = [span for span in collector.spans if span.name.endswith("public-boundwidth")]
    (attempt, *_) = [span for span in collector.spans if span.name.startswith("attempt")]
    assert [link.trace_id for link in attempt.links] == [asked.trace_id]
    assert collector.services == {"backroom"}


@pytest.mark.slow
def test_collector_that_is_away_keeps_nobody_from_working_or_stopping(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with serving(tmp_path, "--http") as served, closing(BindingClient(served)) as client:
        assert client.bind() == 204
        wait_until(lambda: client.tasks() == ["SUCCESS"])
        assert served.stop() == 0
