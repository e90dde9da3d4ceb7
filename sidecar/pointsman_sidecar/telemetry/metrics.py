"""The Prometheus series of a sidecar: few, with labels whose values a policy bounds."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# From a cached answer to the longest that a policy allows, in seconds.
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)

_SCORES = tuple(step / 20 for step in range(1, 21))


class Metrics:
    """All series, on a registry of their own so that two sidecars can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.completions = Counter(
            "pointsman_completions",
            "Completions by the model that answered (empty where none did), the reason for it, and how they ended.",
            ["policy", "route", "model", "reason", "code"],
            registry=self.registry,
        )
        self.route_hits = Counter(
            "pointsman_route_hits",
            "Completions that a route matched. Each route of the policy in force begins with 0.",
            ["policy", "route"],
            registry=self.registry,
        )
        self.expression_failures = Counter(
            "pointsman_expression_failures",
            "How often a route's expression came to no verdict on a request, which then does not match.",
            ["policy", "route"],
            registry=self.registry,
        )
        self.in_flight = Gauge("pointsman_completions_in_flight", "Completions being served.", registry=self.registry)
        self.duration = Histogram(
            "pointsman_completion_duration_seconds",
            "From the request to the end of the answer.",
            ["policy", "model"],
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self.time_to_first_token = Histogram(
            "pointsman_time_to_first_token_seconds",
            "From sending the request to the first token of a streamed answer, by the attempt that gave it.",
            ["policy", "model"],
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self.attempts = Counter(
            "pointsman_attempts",
            "Calls to models by what came of them.",
            ["policy", "model", "provider", "outcome"],
            registry=self.registry,
        )
        self.retries = Counter(
            "pointsman_retries",
            "Calls to a model that had failed, by whether the policy's budget granted them.",
            ["policy", "model", "granted"],
            registry=self.registry,
        )
        self.hedges = Counter(
            "pointsman_hedges",
            "Second calls beside one that took long, by whether the policy's share of requests granted them.",
            ["policy", "model", "granted"],
            registry=self.registry,
        )
        self.escalations = Counter(
            "pointsman_escalations",
            "Requests for a stronger model, by what asked for it, and whether it answered, failed to, or was not asked "
            "(suppressed).",
            ["policy", "cause", "result"],
            registry=self.registry,
        )
        self.self_checks = Counter(
            "pointsman_self_checks",
            "Calls that ask a model whether its own answer is right, by what it says: confirmed, doubted, or silent "
            "where it says neither or does not answer.",
            ["policy", "model", "result"],
            registry=self.registry,
        )
        self.complexity = Histogram(
            "pointsman_complexity_score",
            "How complex requests are, of those whose policy asks for it.",
            ["policy"],
            buckets=_SCORES,
            registry=self.registry,
        )
        self.circuit_state = Gauge(
            "pointsman_circuit_state",
            "Of a model's circuit breaker: 0 closed, 1 half open, 2 open. A model that never failed has none.",
            ["provider", "model"],
            registry=self.registry,
        )
        self.circuit_openings = Counter(
            "pointsman_circuit_openings",
            "How often a model's circuit opened.",
            ["provider", "model"],
            registry=self.registry,
        )
        self.queued = Gauge(
            "pointsman_completions_queued", "Completions that wait for their turn.", registry=self.registry
        )
        self.shed = Counter(
            "pointsman_completions_shed",
            "Completions that were refused because too many waited, by priority.",
            ["policy", "priority"],
            registry=self.registry,
        )
        self.feedback = Counter(
            "pointsman_feedback",
            "Labels that answers were given, by what they say.",
            ["policy", "route", "model", "label"],
            registry=self.registry,
        )
        self.feedback_withdrawn = Counter(
            "pointsman_feedback_withdrawn",
            "Labels in whose place the same answers were given others.",
            ["policy", "route", "model", "label"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "pointsman_tokens",
            "Tokens as the providers counted them. Cached input is part of input, reasoning part of output.",
            ["policy", "model", "type"],
            registry=self.registry,
        )
        self.cost = Counter(
            "pointsman_cost",
            "What answers cost by the providers' prices, in whole units of the currency.",
            ["policy", "model", "currency"],
            registry=self.registry,
        )
        self.control_connected = Gauge(
            "pointsman_control_connected", "1 while the stream to the operator is open.", registry=self.registry
        )
        self.quota_connected = Gauge(
            "pointsman_quota_connected", "1 while the stream to the ledger of budgets is open.", registry=self.registry
        )
        self.quota_refusals = Counter(
            "pointsman_quota_refusals",
            "Calls for which a budget had nothing left, by what was known of it.",
            ["quota", "cause"],
            registry=self.registry,
        )
        self.policy_generation = Gauge(
            "pointsman_policy_generation",
            "The generation of the policy in force; 0 where none is.",
            registry=self.registry,
        )
        self.snapshots = Counter(
            "pointsman_snapshots", "Snapshots received, by verdict.", ["verdict"], registry=self.registry
        )

    def programmed(self, policy: str, generation: int, routes: Iterable[str]) -> None:
        """A policy is in force: its routes are seen though none has matched yet."""
        self.policy_generation.set(generation)
        for route in routes:
            self.route_hits.labels(policy, route)

    def watch_quotas(self, standing: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        """Tell of each budget what is held and what of that is reserved, whenever the series are read."""
        self.registry.register(_Quotas(standing))


class _Quotas(Collector):
    """What is held of budgets: looked up when it is asked for, so that no request pays for it."""

    def __init__(self, standing: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        self._standing = standing

    def collect(self) -> Iterable[GaugeMetricFamily]:
        held = GaugeMetricFamily(
            "pointsman_quota_held", "What this sidecar holds of a budget, in the budget's unit.", labels=["quota"]
        )
        reserved = GaugeMetricFamily(
            "pointsman_quota_reserved", "What of that is reserved for calls under way.", labels=["quota"]
        )
        for quota, has, keeps in self._standing():
            held.add_metric([quota], has)
            reserved.add_metric([quota], keeps)
        return held, reserved
