"""Each completion seen once, by all three: a span with a child per attempt, the metrics, one line of log."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import structlog
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pointsman_sidecar.contract.decisions import Attempt, Progress
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.breaker import State
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.policy import Model, Priority
from pointsman_sidecar.telemetry import conventions
from pointsman_sidecar.telemetry.arrivals import Arrival
from pointsman_sidecar.telemetry.metrics import Metrics

_PROPAGATOR = TraceContextTextMapPropagator()
_HTTPS = 443
_HTTP = 80
_OK = "OK"
_CANCELLED = "CANCELLED"
_INTERNAL = "INTERNAL"


class Observation:
    """What is seen of one completion. `progress` is set once there is a plan."""

    def __init__(self, *, tracer: Tracer, metrics: Metrics) -> None:
        self.progress: Progress | None = None
        self._tracer = tracer
        self._metrics = metrics

    @contextmanager
    def attempt(self, attempt: Attempt, *, operation: str, base_url: str) -> Iterator[None]:
        """See one call to a model. The attempt's outcome is set when the context ends."""
        model = attempt.step.model
        endpoint = urlsplit(base_url)
        attributes: dict[str, str | int] = {
            conventions.OPERATION_NAME: operation,
            conventions.PROVIDER_NAME: conventions.OPENAI,
            conventions.REQUEST_MODEL: model.provider_model,
            conventions.MODEL: model.name,
            conventions.PROVIDER: model.provider,
            conventions.SERVER_ADDRESS: endpoint.hostname or "",
            **({conventions.RETRY: attempt.retry} if attempt.retry else {}),
            **({conventions.HEDGE: True} if attempt.hedge else {}),
            conventions.SERVER_PORT: endpoint.port or (_HTTPS if endpoint.scheme == "https" else _HTTP),
        }
        with self._tracer.start_as_current_span(
            f"{operation} {model.provider_model}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                self._ended(span, attempt)

    def circuit(self, model: Model, state: State, *, opened: bool = False) -> None:
        """See a circuit that is not closed, or has just become so or ceased to be."""
        self._metrics.circuit_state.labels(model.provider, model.provider_model).set(state)
        if opened:
            self._metrics.circuit_openings.labels(model.provider, model.provider_model).inc()
        get_current_span().set_attribute(conventions.CIRCUIT_STATE, state.name)

    def retry(self, model: Model, *, granted: bool) -> None:
        """See a model being called again, or not for want of a budget."""
        self._metrics.retries.labels(self._policy, model.name, str(granted).lower()).inc()

    def hedge(self, model: Model, *, granted: bool) -> None:
        """See a second call being sent, or not."""
        self._metrics.hedges.labels(self._policy, model.name, str(granted).lower()).inc()

    def queue(self, waiting: int) -> None:
        """See how many wait."""
        self._metrics.queued.set(waiting)

    def shed(self, priority: Priority) -> None:
        """See the completion being refused for want of room."""
        self._metrics.shed.labels(self._policy, priority.name.lower()).inc()

    @property
    def _policy(self) -> str:
        return str(self.progress.policy) if self.progress is not None else ""

    def _ended(self, span: Span, attempt: Attempt) -> None:
        outcome = attempt.outcome.name if attempt.outcome else _INTERNAL
        span.set_attribute(conventions.OUTCOME, outcome)
        if attempt.http_status:
            span.set_attribute(conventions.HTTP_RESPONSE_STATUS_CODE, attempt.http_status)
        if attempt.time_to_first_token is not None:
            span.set_attribute(conventions.RESPONSE_TIME_TO_FIRST_CHUNK, attempt.time_to_first_token)
        if attempt.outcome is Outcome.SUCCEEDED:
            _usage(span, attempt.usage)
        else:
            # The outcome and no message: what a provider says may quote the prompt.
            span.set_attribute(conventions.ERROR_TYPE, outcome)
            span.set_status(StatusCode.ERROR, outcome)
        if self.progress is None:
            return
        policy, model = str(self.progress.policy), attempt.step.model
        self._metrics.attempts.labels(policy, model.name, model.provider, outcome).inc()
        if attempt.time_to_first_token is not None:
            self._metrics.time_to_first_token.labels(policy, model.name).observe(attempt.time_to_first_token)


class Observer:
    """Sees completions."""

    def __init__(
        self,
        *,
        tracer: Tracer,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._tracer = tracer
        self._metrics = metrics
        self._log = log
        self._clock = clock

    @contextmanager
    def completion(self, arrival: Arrival) -> Iterator[Observation]:
        """See one completion, whatever comes of it. The trace goes on from the context in the caller's headers."""
        observation = Observation(tracer=self._tracer, metrics=self._metrics)
        started = self._clock()
        with (
            self._metrics.in_flight.track_inprogress(),
            self._tracer.start_as_current_span(
                arrival.name,
                context=_PROPAGATOR.extract(arrival.headers),
                kind=SpanKind.SERVER,
                attributes=arrival.attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span,
        ):
            code, reason = _INTERNAL, _INTERNAL
            try:
                yield observation
                code, reason = _OK, ""
            except CompletionError as error:
                code, reason = error.kind.name, error.reason
                raise
            except asyncio.CancelledError:
                code, reason = _CANCELLED, _CANCELLED
                raise
            finally:
                span.set_attributes(arrival.ended(code, reason))
                self._ended(span, observation.progress, code, reason, self._clock() - started)

    def _ended(self, span: Span, progress: Progress | None, code: str, reason: str, seconds: float) -> None:
        if code != _OK:
            span.set_attribute(conventions.ERROR_TYPE, reason)
            span.set_status(StatusCode.ERROR, reason)
        if progress is None:
            self._metrics.completions.labels("", "", "", "", code).inc()
            self._log.info("completion", code=code, error=reason, seconds=round(seconds, 4))
            return
        policy, answering = str(progress.policy), progress.answering
        model = answering.model.name if answering else ""
        why = (answering or progress.plan.steps[0]).reason.name
        _decision(span, progress, model, why)
        _usage(span, progress.usage)
        self._metrics.completions.labels(policy, progress.plan.route, model, why, code).inc()
        self._metrics.duration.labels(policy, model).observe(seconds)
        self._count(progress, policy, model)
        cost = progress.cost()
        self._log.info(
            "completion",
            decision_id=progress.id,
            code=code,
            **({"error": reason} if reason else {}),
            policy=policy,
            generation=progress.policy.generation,
            route=progress.plan.route,
            model=model,
            reason=why,
            attempts=[f"{each.step.model.name}:{each.outcome.name}" for each in progress.attempts if each.outcome],
            **(
                {"input_tokens": progress.usage.input_tokens, "output_tokens": progress.usage.output_tokens}
                if progress.usage
                else {}
            ),
            **({"cost": f"{cost[0].normalize():f} {cost[1]}"} if cost else {}),
            seconds=round(seconds, 4),
        )

    def _count(self, progress: Progress, policy: str, model: str) -> None:
        usage, cost = progress.usage, progress.cost()
        if usage is None or cost is None:
            return
        for type_, tokens in (
            ("input", usage.input_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("output", usage.output_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            self._metrics.tokens.labels(policy, model, type_).inc(tokens)
        self._metrics.cost.labels(policy, model, cost[1]).inc(float(cost[0]))


def _decision(span: Span, progress: Progress, model: str, reason: str) -> None:
    span.set_attribute(conventions.DECISION_ID, progress.id)
    span.set_attribute(conventions.NAMESPACE_NAME, progress.policy.namespace)
    span.set_attribute(conventions.POLICY, progress.policy.name)
    span.set_attribute(conventions.POLICY_GENERATION, progress.policy.generation)
    span.set_attribute(conventions.ROUTE, progress.plan.route)
    span.set_attribute(conventions.MODEL, model)
    span.set_attribute(conventions.REASON, reason)
    if progress.queued is not None:
        span.set_attribute(conventions.QUEUED, progress.queued)
    if cost := progress.cost():
        span.set_attribute(conventions.COST_AMOUNT, f"{cost[0].normalize():f}")
        span.set_attribute(conventions.COST_CURRENCY, cost[1])


def _usage(span: Span, usage: Usage | None) -> None:
    if usage is None:
        return
    span.set_attribute(conventions.USAGE_INPUT_TOKENS, usage.input_tokens)
    span.set_attribute(conventions.USAGE_OUTPUT_TOKENS, usage.output_tokens)
    span.set_attribute(conventions.USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_input_tokens)
    span.set_attribute(conventions.USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_tokens)
