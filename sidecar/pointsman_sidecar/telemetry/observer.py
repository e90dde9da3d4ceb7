"""Each completion seen once, by all three: a span with a child per attempt, the metrics, one line of log."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import structlog

from pointsman_sidecar.contract.decisions import Attempt, Progress
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.breaker import State
from pointsman_sidecar.routing.costs import Usage, cost
from pointsman_sidecar.routing.plan import Reason
from pointsman_sidecar.routing.policy import Model, Priority
from pointsman_sidecar.telemetry import conventions
from pointsman_sidecar.telemetry.arrivals import Arrival
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.spans import Span, Spans, Value
from pointsman_sidecar.tuning.feedback import Heard

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram
    from prometheus_client.metrics import MetricWrapperBase

_HTTPS = 443
_HTTP = 80
_OK = "OK"
_CANCELLED = "CANCELLED"
_INTERNAL = "INTERNAL"
_MOST_SERIES = 1024
_EVEN = 0.5
_MOST_ENDPOINTS = 64


class _Series:
    """The series that a request adds to, each looked up once: prometheus-client locks and checks at every look-up."""

    def __init__(self, metrics: Metrics) -> None:
        self.completions: Callable[..., Counter] = _remembered(metrics.completions)
        self.route_hits: Callable[..., Counter] = _remembered(metrics.route_hits)
        self.expression_failures: Callable[..., Counter] = _remembered(metrics.expression_failures)
        self.duration: Callable[..., Histogram] = _remembered(metrics.duration)
        self.time_to_first_token: Callable[..., Histogram] = _remembered(metrics.time_to_first_token)
        self.attempts: Callable[..., Counter] = _remembered(metrics.attempts)
        self.tokens: Callable[..., Counter] = _remembered(metrics.tokens)
        self.cost: Callable[..., Counter] = _remembered(metrics.cost)
        self.retries: Callable[..., Counter] = _remembered(metrics.retries)
        self.hedges: Callable[..., Counter] = _remembered(metrics.hedges)
        self.escalations: Callable[..., Counter] = _remembered(metrics.escalations)
        self.self_checks: Callable[..., Counter] = _remembered(metrics.self_checks)
        self.complexity: Callable[..., Histogram] = _remembered(metrics.complexity)
        self.circuit_state: Callable[..., Gauge] = _remembered(metrics.circuit_state)
        self.circuit_openings: Callable[..., Counter] = _remembered(metrics.circuit_openings)
        self.queued = metrics.queued
        self.shed: Callable[..., Counter] = _remembered(metrics.shed)


def _remembered(metric: "MetricWrapperBase") -> Callable[..., Any]:
    return lru_cache(maxsize=_MOST_SERIES)(metric.labels)


class SeenAttempt:
    """What is seen of one call to a model, as a context. The attempt's outcome is set when it ends."""

    def __init__(self, attempt: Attempt, *, policy: str, spans: Spans, span: Span | None, series: _Series) -> None:
        self._attempt = attempt
        self._policy = policy
        self._spans = spans
        self._span = span
        self._series = series

    def __enter__(self) -> Self:
        return self

    def circuit(self, state: State, *, opened: bool = False) -> None:
        """See the model's circuit, which is not closed, or has just become so or ceased to be."""
        model = self._attempt.step.model
        self._series.circuit_state(model.provider, model.provider_model).set(state)
        if opened:
            self._series.circuit_openings(model.provider, model.provider_model).inc()
        if self._span is not None:
            self._span.attributes[conventions.CIRCUIT_STATE] = state.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempt = self._attempt
        outcome = attempt.outcome.name if attempt.outcome else _INTERNAL
        if self._span is not None:
            said = self._span.attributes
            said[conventions.OUTCOME] = outcome
            if attempt.http_status:
                said[conventions.HTTP_RESPONSE_STATUS_CODE] = attempt.http_status
            if attempt.time_to_first_token is not None:
                said[conventions.RESPONSE_TIME_TO_FIRST_CHUNK] = attempt.time_to_first_token
            if attempt.outcome is Outcome.SUCCEEDED:
                _say_usage(said, attempt.usage)
            else:
                # The outcome and no message: what a provider says may quote the prompt.
                said[conventions.ERROR_TYPE] = self._span.error = outcome
            self._spans.ended(self._span)
        model = attempt.step.model
        self._series.attempts(self._policy, model.name, model.provider, outcome).inc()
        if attempt.time_to_first_token is not None:
            self._series.time_to_first_token(self._policy, model.name).observe(attempt.time_to_first_token)


class Observation:
    """What is seen of one completion. `progress` is set once there is a plan."""

    def __init__(self, *, spans: Spans, span: Span | None, series: _Series) -> None:
        self.progress: Progress | None = None
        self._spans = spans
        self._span = span
        self._series = series

    def planned(self) -> None:
        """See the plan: the route that matched, and those whose expression failed."""
        if self.progress is None:
            return
        plan = self.progress.plan
        if plan.route:
            self._series.route_hits(self._policy, plan.route).inc()
        for route in plan.failed:
            self._series.expression_failures(self._policy, route).inc()

    def attempt(self, attempt: Attempt, *, operation: str, base_url: str) -> SeenAttempt:
        """See one call to a model."""
        span = None
        if self._span is not None:
            model = attempt.step.model
            host, port = _endpoint(base_url)
            span = self._spans.child(self._span, f"{operation} {model.provider_model}")
            span.attributes = {
                conventions.OPERATION_NAME: str(operation),
                conventions.PROVIDER_NAME: conventions.OPENAI,
                conventions.REQUEST_MODEL: model.provider_model,
                conventions.MODEL: model.name,
                conventions.PROVIDER: model.provider,
                conventions.SERVER_ADDRESS: host,
                conventions.SERVER_PORT: port,
            }
            if attempt.retry:
                span.attributes[conventions.RETRY] = attempt.retry
            if attempt.hedge:
                span.attributes[conventions.HEDGE] = True
            if attempt.self_check:
                span.attributes[conventions.SELF_CHECK] = True
        return SeenAttempt(attempt, policy=self._policy, spans=self._spans, span=span, series=self._series)

    def retry(self, model: Model, *, granted: bool) -> None:
        """See a model being called again, or not for want of a budget."""
        self._series.retries(self._policy, model.name, str(granted).lower()).inc()

    def hedge(self, model: Model, *, granted: bool) -> None:
        """See a second call being sent, or not."""
        self._series.hedges(self._policy, model.name, str(granted).lower()).inc()

    def complexity(self) -> None:
        """See how complex the request is, where that was asked for."""
        if self.progress is not None and self.progress.complexity is not None:
            self._series.complexity(self._policy).observe(self.progress.complexity.score)

    def escalation(self, cause: Reason, *, result: str) -> None:
        """See an answer that asks for a stronger model, and what came of that."""
        self._series.escalations(self._policy, cause.name.lower(), result).inc()

    def self_check(self, model: Model, said: float | None) -> None:
        """See what a model says of its own answer."""
        result = "silent" if said is None else "confirmed" if said >= _EVEN else "doubted"
        self._series.self_checks(self._policy, model.name, result).inc()

    def queue(self, waiting: int) -> None:
        """See how many wait."""
        self._series.queued.set(waiting)

    def shed(self, priority: Priority) -> None:
        """See the completion being refused for want of room."""
        self._series.shed(self._policy, priority.name.lower()).inc()

    @property
    def _policy(self) -> str:
        return str(self.progress.policy) if self.progress is not None else ""


class Observer:
    """Sees completions."""

    def __init__(
        self,
        *,
        spans: Spans,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._spans = spans
        self._in_flight = metrics.in_flight
        self._feedback, self._withdrawn = metrics.feedback, metrics.feedback_withdrawn
        self._short = metrics.quota_refusals
        self._series = _Series(metrics)
        self._log = log
        self._clock = clock

    def short_of_quota(self, quota: str, cause: str) -> None:
        """A budget had nothing left for a call."""
        self._short.labels(quota, cause).inc()

    def feedback(self, decision_id: str, heard: Heard) -> None:
        """An answer was labelled, for the first time or anew."""
        given, said, before = heard.given, heard.feedback, heard.before
        of = (given.policy, given.route, given.model)
        if before is None or before.label is not said.label:
            self._feedback.labels(*of, said.label.name.lower()).inc()
            if before is not None:
                self._withdrawn.labels(*of, before.label.name.lower()).inc()
        more: dict[str, Any] = {} if said.score is None else {"score": said.score}
        if before is not None:
            more["before"] = before.label.name.lower()
        self._log.info(
            "feedback",
            decision_id=decision_id,
            policy=given.policy,
            route=given.route,
            model=given.model,
            label=said.label.name.lower(),
            **more,
        )

    @contextmanager
    def completion(self, arrival: Arrival) -> Iterator[Observation]:
        """See one completion, whatever comes of it. The trace goes on from the context in the caller's headers."""
        started = self._clock()
        self._in_flight.inc()
        span = self._spans.root(arrival.name, arrival.headers)
        observation = Observation(spans=self._spans, span=span, series=self._series)
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
            self._in_flight.dec()
            if span is not None:
                span.attributes = {**arrival.attributes, **arrival.ended(code, reason)}
            self._ended(span, observation.progress, code, reason, self._clock() - started)

    def _ended(self, span: Span | None, progress: Progress | None, code: str, reason: str, seconds: float) -> None:
        if span is not None and code != _OK:
            span.attributes[conventions.ERROR_TYPE] = span.error = reason
        if progress is None:
            self._end(span)
            self._series.completions("", "", "", "", code).inc()
            self._log.info("completion", code=code, error=reason, seconds=round(seconds, 4))
            return
        policy, answering = str(progress.policy), progress.answering
        model = answering.model.name if answering else ""
        why = (answering or progress.plan.steps[0]).reason.name
        usage, paid = progress.all_usage(), progress.cost()
        escalation = _escalation(progress)
        said: dict[str, Any] = {"error": reason} if reason else {}
        said |= {
            "policy": policy,
            "generation": progress.policy.generation,
            "route": progress.plan.route,
            "model": model,
            "reason": why,
            **({"escalation": progress.escalated.cause.name} if progress.escalated else {}),
            "attempts": [f"{each.step.model.name}:{each.outcome.name}" for each in progress.attempts if each.outcome],
        }
        if usage is not None:
            said |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        amount = ""
        if paid is not None:
            amount = f"{paid[0].normalize():f}"
            said["cost"] = f"{amount} {paid[1]}"
        if span is not None:
            span.attributes |= {
                conventions.DECISION_ID: progress.id,
                conventions.NAMESPACE_NAME: progress.policy.namespace,
                conventions.POLICY: progress.policy.name,
                conventions.POLICY_GENERATION: progress.policy.generation,
                conventions.ROUTE: progress.plan.route,
                conventions.MODEL: model,
                conventions.REASON: why,
            }
            if progress.queued is not None:
                span.attributes[conventions.QUEUED] = progress.queued
            span.attributes |= escalation
            if paid is not None:
                span.attributes |= {conventions.COST_AMOUNT: amount, conventions.COST_CURRENCY: paid[1]}
            _say_usage(span.attributes, usage)
            self._end(span)
        self._series.completions(policy, progress.plan.route, model, why, code).inc()
        self._series.duration(policy, model).observe(seconds)
        if result := _went_up(progress):
            self._series.escalations(policy, "complexity", result).inc()
        for payee, used in progress.spent():
            self._spent(policy, payee, used)
        self._log.info("completion", decision_id=progress.id, code=code, **said, seconds=round(seconds, 4))

    def _spent(self, policy: str, model: Model, usage: Usage) -> None:
        for type_, tokens in (
            ("input", usage.input_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("output", usage.output_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            self._series.tokens(policy, model.name, type_).inc(tokens)
        self._series.cost(policy, model.name, model.price.currency).inc(float(cost(usage, model.price)))

    def _end(self, span: Span | None) -> None:
        if span is not None:
            self._spans.ended(span)


def _escalation(progress: Progress) -> dict[str, Value]:
    """What came of an answer that was found wanting, by the attributes' names; nothing where none was."""
    escalated = progress.escalated
    if escalated is None:
        return {}
    return {conventions.ESCALATION_CAUSE: escalated.cause.name, conventions.ESCALATION_DONE: escalated.done}


def _went_up(progress: Progress) -> str:
    """What came of a request so complex that the stronger model was to answer it; empty of any other."""
    complexity = progress.complexity
    if complexity is None or not complexity.is_high or progress.plan.route:
        return ""
    if progress.answering is not None and progress.answering.reason is Reason.COMPLEXITY:
        return "answered"
    return "failed" if any(each.step.reason is Reason.COMPLEXITY for each in progress.attempts) else "suppressed"


def _say_usage(said: dict[str, Value], usage: Usage | None) -> None:
    if usage is not None:
        said[conventions.USAGE_INPUT_TOKENS] = usage.input_tokens
        said[conventions.USAGE_OUTPUT_TOKENS] = usage.output_tokens
        said[conventions.USAGE_CACHE_READ_INPUT_TOKENS] = usage.cached_input_tokens
        said[conventions.USAGE_REASONING_OUTPUT_TOKENS] = usage.reasoning_tokens


@lru_cache(maxsize=_MOST_ENDPOINTS)
def _endpoint(base_url: str) -> tuple[str, int]:
    url = urlsplit(base_url)
    return url.hostname or "", url.port or (_HTTPS if url.scheme == "https" else _HTTP)
