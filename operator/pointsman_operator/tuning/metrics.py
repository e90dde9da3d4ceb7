"""What is counted of tuning."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class TuningMetrics:
    """The keeper's series, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.policies = Gauge(
            "pointsman_operator_tuned_policies",
            "Policies of which something is counted, where this replica holds the Lease.",
            registry=registry,
        )
        self.writes = Counter(
            "pointsman_operator_tuning_writes",
            "Writes of what is tuned, by result: written, conflict, failed.",
            ["result"],
            registry=registry,
        )
