"""Spans as this process needs them: gathered in a dictionary, and handed over whole when they end.

The SDK's own spans lock and check at each attribute, which costs more than all else that is done for a completion. What
decides about spans and sends them is the SDK's, and obeys its environment variables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry.trace import SpanContext, SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
Value = str | bool | int | float


@dataclass(kw_only=True, slots=True)
class Span:
    """A span. Times are in nanoseconds since 1970. `error` is what its status says, where it failed."""

    name: str
    kind: SpanKind
    context: SpanContext
    parent: SpanContext | None
    started: int
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""
    ended: int = 0


class Spans(Protocol):
    """Where spans come from and go to. A span of None is one that nobody wants: nothing need be gathered for it."""

    def root(self, name: str, headers: Mapping[str, str]) -> Span | None:
        """The span of a request; the trace goes on from the context in its headers."""

    def child(self, parent: Span, name: str) -> Span:
        """The span of a call that a request leads to."""

    def ended(self, span: Span) -> None:
        """The span is over."""


class NoSpans:
    """Nobody looks at spans."""

    def root(self, name: str, headers: Mapping[str, str]) -> Span | None:  # noqa: ARG002 - `Spans` has them
        """See `Spans`."""
        return None

    def child(self, parent: Span, name: str) -> Span:  # noqa: ARG002 - `Spans` has it
        """See `Spans`."""
        return parent

    def ended(self, span: Span) -> None:
        """See `Spans`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a trace is kept, and what is said of that in its flags and state."""

    kept: bool
    context: SpanContext


class RecordedSpans:
    """Spans that somebody may look at.

    `decide` judges a trace at its root: by name, the trace's id (None makes one) and the caller's context. A child
    follows its root, as it does under every sampler that the environment can name.
    """

    def __init__(
        self,
        *,
        decide: Callable[[str, SpanContext | None], Verdict],
        child: Callable[[SpanContext], SpanContext],
        end: Callable[[Span], None],
        clock: Callable[[], int],
    ) -> None:
        self._decide = decide
        self._child = child
        self._end = end
        self._clock = clock

    def root(self, name: str, headers: Mapping[str, str]) -> Span | None:
        """See `Spans`."""
        parent = caller(headers) if headers else None
        verdict = self._decide(name, parent)
        if not verdict.kept:
            return None
        return Span(name=name, kind=SpanKind.SERVER, context=verdict.context, parent=parent, started=self._clock())

    def child(self, parent: Span, name: str) -> Span:
        """See `Spans`."""
        return Span(
            name=name,
            kind=SpanKind.CLIENT,
            context=self._child(parent.context),
            parent=parent.context,
            started=self._clock(),
        )

    def ended(self, span: Span) -> None:
        """See `Spans`."""
        self._end(span)


def caller(headers: Mapping[str, str]) -> SpanContext | None:
    """The caller's span, by `traceparent` and `tracestate`; None where they name none."""
    if "traceparent" not in headers:
        return None
    context = get_current_span(_PROPAGATOR.extract(headers)).get_span_context()
    return context if context.is_valid else None
