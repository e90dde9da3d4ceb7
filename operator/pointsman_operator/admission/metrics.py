"""What is counted of the webhooks."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class AdmissionMetrics:
    """The webhooks' series, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.admissions = Counter(
            "pointsman_operator_admissions",
            "Reviews answered, by webhook (inject or validate) and verdict: injected, unchanged, allowed, warned, "
            "refused, malformed or failed.",
            ["webhook", "verdict"],
            registry=registry,
        )
        self.seconds = Histogram(
            "pointsman_operator_admission_seconds",
            "Time from a review's arrival to its answer, by webhook.",
            ["webhook"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            registry=registry,
        )
        self.ca_bundles = Counter(
            "pointsman_operator_ca_bundle_writes",
            "Times that a webhook configuration was told whom to trust, by result: done or failed.",
            ["result"],
            registry=registry,
        )
