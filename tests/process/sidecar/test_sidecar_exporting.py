"""What is exported of spans is what the SDK would export of its own, and its environment variables are obeyed."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pointsman_sidecar.telemetry import exporting
from pointsman_sidecar.telemetry.spans import RecordedSpans, Span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = PARENT[:-2] + "00"
ATTRIBUTES = {
    "pointsman.model": "mini",
    "pointsman.policy.generation": 3,
    "pointsman.retry": 1,
    "pointsman.hedge": True,
    "seconds": 0.25,
    "pointsman.route": "",
}


class Kept(SpanExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep them."""
        self.spans += spans
        return SpanExportResult.SUCCESS


@contextmanager
def exported(monkeypatch: pytest.MonkeyPatch, got: list[ExportTraceServiceRequest]) -> Iterator[RecordedSpans]:
    """Spans as the sidecar exports them, without anybody to take them."""

    def export(self: OTLPSpanExporter, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        got.append(self._translate_data(spans))
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(OTLPSpanExporter, "export", export)
    ticks = itertools.count(1_000_000_000)
    with exporting.exported(service="s", clock=lambda: next(ticks)) as spans:
        yield spans


def completion(spans: RecordedSpans, headers: dict[str, str]) -> tuple[Span, Span] | None:
    """A completion with one call that failed; None where nobody wants to know."""
    server = spans.root("POST /v1/chat/completions", headers)
    if server is None:
        return None
    call = spans.child(server, "chat gpt-4o-mini")
    call.attributes, call.error = dict(ATTRIBUTES), "RATE_LIMITED"
    spans.ended(call)
    server.attributes = dict(ATTRIBUTES)
    spans.ended(server)
    return server, call


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a trace of our own"),
        pytest.param({"traceparent": PARENT}, id="the caller's trace"),
        pytest.param({"traceparent": PARENT, "tracestate": "a=1,b=2"}, id="and its state"),
    ],
)
@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({}, id="no limits"),
        pytest.param({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2"}, id="few attributes"),
        pytest.param({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"}, id="short attributes"),
    ],
)
def test_a_span_is_exported_as_the_sdk_would(
    headers: dict[str, str], limits: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    got: list[ExportTraceServiceRequest] = []
    kept = Kept()
    resource = Resource.create({SERVICE_NAME: "s"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, span_limits=SpanLimits())
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("pointsman")

    with exported(monkeypatch, got) as spans:
        ours = completion(spans, headers)
    assert ours is not None
    with tracer.start_as_current_span(
        "POST /v1/chat/completions",
        context=TraceContextTextMapPropagator().extract(headers),
        kind=SpanKind.SERVER,
    ) as server:
        with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT) as call:
            call.set_attributes(ATTRIBUTES)
            call.set_status(Status(StatusCode.ERROR, "RATE_LIMITED"))
        server.set_attributes(ATTRIBUTES)

    (request,) = got
    expected = encode_spans(kept.spans)
    (ours_scope,), (sdks_scope,) = request.resource_spans[0].scope_spans, expected.resource_spans[0].scope_spans
    for mine, theirs in zip(ours_scope.spans, sdks_scope.spans, strict=True):
        assert mine.end_time_unix_nano > mine.start_time_unix_nano > 0
        # Random, or the time; and which of several attributes are kept is nobody's promise.
        mine.start_time_unix_nano, mine.end_time_unix_nano = theirs.start_time_unix_nano, theirs.end_time_unix_nano
        if "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in limits:
            assert len(mine.attributes) == len(theirs.attributes) == 2
            del mine.attributes[:], theirs.attributes[:]
        mine.span_id = theirs.span_id
        if not headers:
            mine.trace_id = theirs.trace_id
        if theirs.kind == SpanKind.CLIENT.value + 1:
            assert mine.parent_span_id == ours[0].context.span_id.to_bytes(8)
            mine.parent_span_id = theirs.parent_span_id
    assert request == expected


@pytest.mark.parametrize(
    ("sampler", "headers", "wanted"),
    [
        (None, {}, True),
        (None, {"traceparent": PARENT}, True),
        (None, {"traceparent": NOT_SAMPLED}, False),
        ("always_off", {}, False),
        ("always_off", {"traceparent": PARENT}, False),
        ("always_on", {"traceparent": NOT_SAMPLED}, True),
        ("parentbased_always_off", {}, False),
        ("parentbased_always_off", {"traceparent": PARENT}, True),
    ],
)
def test_the_sampler_of_the_environment_decides(
    sampler: str | None, headers: dict[str, str], *, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    got: list[ExportTraceServiceRequest] = []

    with exported(monkeypatch, got) as spans:
        seen = completion(spans, headers)

    assert (seen is not None) == wanted
    assert sum(len(request.resource_spans[0].scope_spans[0].spans) for request in got) == (2 if wanted else 0)


@pytest.mark.parametrize("traceparent", ["", "00", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 600])
def test_a_context_that_cannot_be_read_begins_a_trace(traceparent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with exported(monkeypatch, []) as spans:
        seen = completion(spans, {"traceparent": traceparent})

    assert seen is not None
    assert seen[0].parent is None
