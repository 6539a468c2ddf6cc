"""Spans of OpenTelemetry, where the environment asks for them and the packages are there.

A request is a trace of its own, whose ids are made of its request id (ADR 22): so an attempt, in
whichever process, links to the request that asked for its task, and nothing is stored for it.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from backroom import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenTelemetrySpan

    from backroom.ports import Facts

SWITCHES = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
TRACEPARENT_MOST = 256  # characters; the library writes a warning for each that is much longer
FLUSH_S = 2.0  # for what is left when the process stops, whether the collector answers or not

_log = logging.getLogger(__name__)


def tracing_of(environment: Mapping[str, str] = os.environ) -> "Tracing | None":
    """What the OTEL_* variables ask for; None, and nothing imported, where they ask for nothing."""
    if not any(environment.get(name) for name in SWITCHES):
        return None
    names = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or names == "none":
        return None
    try:
        return Tracing(_provider(environment, names.split(",")))
    except ImportError:
        _log.warning("OTEL_* is set, OpenTelemetry is not installed: pip install 'backroom[otel]'")
    except LookupError as unknown:
        _log.warning("no exporter of spans for %s: they are not recorded", unknown)
    return None


def _provider(environment: Mapping[str, str], names: list[str]) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  an extra, and 100 ms
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    about = {"service.version": __version__}
    resource = Resource.create()
    if resource.attributes.get("service.name", "").startswith("unknown_service"):  # type: ignore[union-attr]  # a text
        about["service.name"] = "backroom"
    exporters = [_exporter(environment, name.strip()) for name in names]
    provider = TracerProvider(
        resource=resource.merge(Resource(about)), id_generator=_ids(), shutdown_on_exit=False
    )
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(environment: Mapping[str, str], name: str) -> Any:
    if name == "otlp":
        protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
        )
        name = PROTOCOLS.get(protocol, protocol)
    from importlib.metadata import entry_points  # noqa: PLC0415  8 ms of every start

    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise LookupError(name)
    return next(iter(found)).load()()


def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

    class Ids(RandomIdGenerator):
        """Random, but for the next span where its ids are given; on one thread."""

        given: tuple[int, int] | None = None

        def generate_trace_id(self) -> int:
            return super().generate_trace_id() if self.given is None else self.given[0]

        def generate_span_id(self) -> int:
            return super().generate_span_id() if self.given is None else self.given[1]

    return Ids()


def ids_of(request_id: str) -> tuple[int, int]:
    """Of the span of that request: its trace's and its own, spread evenly to be sampled."""
    digest = sha256(request_id.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


class Tracing:
    """A Tracer of the ports. `provider` must make its ids as `_ids` does."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._ids: Any = provider.id_generator
        self._tracer = provider.get_tracer("backroom", __version__)

    @contextmanager
    def request(self, request_id: str, facts: "Facts", came_with: str | None) -> Iterator["_Span"]:
        from opentelemetry.context import Context  # noqa: PLC0415  loaded by now
        from opentelemetry.trace import SpanKind, use_span  # noqa: PLC0415

        self._ids.given = ids_of(request_id)
        try:
            span = self._tracer.start_span(
                "request",
                Context(),
                SpanKind.SERVER,
                attributes=facts,
                links=_links(_context_in(came_with)),
            )
        finally:
            self._ids.given = None
        with use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            yield _Span(span)

    @contextmanager
    def work(self, name: str, facts: "Facts", asked_by: str | None) -> Iterator["_Span"]:
        with self._tracer.start_as_current_span(
            name,
            attributes=facts,
            links=_links(None if asked_by is None else _context(*ids_of(asked_by))),
            record_exception=False,  # its text may hold what others must not read
            set_status_on_exception=False,
        ) as span:
            yield _Span(span)

    def close(self) -> None:
        """Send what is left, for a bounded time."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_S)


class _Span:
    def __init__(self, span: "OpenTelemetrySpan") -> None:
        self._span = span

    def told(self, facts: "Facts", *, name: str | None = None, is_error: bool = False) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        self._span.set_attributes(facts)
        if name is not None:
            self._span.update_name(name)
        if is_error:
            self._span.set_status(StatusCode.ERROR)


def _context(trace_id: int, span_id: int) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(1))


def _context_in(traceparent: str | None) -> Any:
    """What a W3C traceparent names; None for none, and for one that is malformed."""
    if traceparent is None or len(traceparent) > TRACEPARENT_MOST:
        return None
    from opentelemetry.trace import get_current_span  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    found = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    context = get_current_span(found).get_span_context()
    return context if context.is_valid else None


def _links(context: Any) -> list[Any]:
    from opentelemetry.trace import Link  # noqa: PLC0415

    return [] if context is None else [Link(context)]
