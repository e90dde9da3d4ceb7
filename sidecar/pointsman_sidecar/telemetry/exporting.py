"""Spans on their way out: what the SDK decides, batches and sends. Imported where spans are exported only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from pointsman_sidecar.telemetry.spans import RecordedSpans, Span, Value, Verdict

_SCOPE = InstrumentationScope("pointsman")
_KINDS = {SpanKind.SERVER: trace_pb2.Span.SPAN_KIND_SERVER, SpanKind.CLIENT: trace_pb2.Span.SPAN_KIND_CLIENT}
_HERE = trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_AFAR = _HERE | trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
# Most texts are the policy's own names, and come again with each request.
_REMEMBERED = 2048


@contextmanager
def exported(*, service: str, clock: Callable[[], int]) -> Iterator[RecordedSpans]:
    """Spans that are sent as the environment says; leaving the context sends what is left."""
    resource = Resource.create({SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(_Exporter(resource, SpanLimits()))
    provider.add_span_processor(processor)
    ids = provider.id_generator
    sampler = provider.sampler

    def decide(name: str, parent: SpanContext | None) -> Verdict:
        trace = parent.trace_id if parent else ids.generate_trace_id()
        within = set_span_in_context(NonRecordingSpan(parent)) if parent else None
        result = sampler.should_sample(within, trace, name, SpanKind.SERVER)
        kept = result.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if kept else TraceFlags.DEFAULT
        return Verdict(kept=kept, context=_context(trace, flags, result.trace_state))

    def child(parent: SpanContext) -> SpanContext:
        return _context(parent.trace_id, parent.trace_flags, parent.trace_state)

    def _context(trace: int, flags: int, state: TraceState | None) -> SpanContext:
        return SpanContext(
            trace, ids.generate_span_id(), is_remote=False, trace_flags=TraceFlags(flags), trace_state=state
        )

    def end(span: Span) -> None:
        span.ended = clock()
        # The processor looks at nothing but the context, and hands on what it was given.
        processor.on_end(cast("ReadableSpan", span))

    try:
        yield RecordedSpans(decide=decide, child=child, end=end, clock=clock)
    finally:
        provider.shutdown()


class _Exporter(OTLPSpanExporter):
    """The SDK's exporter, which is given spans of ours. What they have in common is translated once."""

    def __init__(self, resource: Resource, limits: SpanLimits) -> None:
        super().__init__()
        nothing = ReadableSpan("", SpanContext(1, 1, is_remote=False), resource=resource, instrumentation_scope=_SCOPE)
        nothing._start_time = nothing._end_time = 0  # noqa: SLF001 - it must have some, and is never sent
        self._around = encode_spans([nothing])
        del self._around.resource_spans[0].scope_spans[0].spans[:]
        self._most, self._longest = limits.max_span_attributes, limits.max_span_attribute_length

    def _translate_data(self, data: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
        request = ExportTraceServiceRequest()
        request.CopyFrom(self._around)
        spans = request.resource_spans[0].scope_spans[0].spans
        spans.extend([self._encoded(span) for span in cast("Sequence[Span]", data)])
        return request

    def _encoded(self, span: Span) -> trace_pb2.Span:
        context, parent = span.context, span.parent
        attributes = list(span.attributes.items())[: self._most]
        state = context.trace_state
        return trace_pb2.Span(
            trace_id=context.trace_id.to_bytes(16),
            span_id=context.span_id.to_bytes(8),
            trace_state=state.to_header() if state else "",
            parent_span_id=parent.span_id.to_bytes(8) if parent else b"",
            name=span.name,
            kind=_KINDS[span.kind],
            start_time_unix_nano=span.started,
            end_time_unix_nano=span.ended,
            attributes=[_attribute(key, self._bounded(value)) for key, value in attributes],
            dropped_attributes_count=len(span.attributes) - len(attributes),
            status=trace_pb2.Status(
                code=trace_pb2.Status.STATUS_CODE_ERROR if span.error else trace_pb2.Status.STATUS_CODE_UNSET,
                message=span.error,
            ),
            flags=_AFAR if parent and parent.is_remote else _HERE,
        )

    def _bounded(self, value: Value) -> Value:
        return value[: self._longest] if self._longest is not None and isinstance(value, str) else value


@lru_cache(maxsize=_REMEMBERED, typed=True)
def _attribute(key: str, value: Value) -> KeyValue:
    match value:
        case str():
            return KeyValue(key=key, value=AnyValue(string_value=value))
        case bool():  # before the whole numbers, of which Python counts it one
            return KeyValue(key=key, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=key, value=AnyValue(int_value=value))
        case _:
            return KeyValue(key=key, value=AnyValue(double_value=value))
