"""What is counted of identities."""

from prometheus_client import CollectorRegistry, Counter


class IdentityMetrics:
    """The series of this package, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.checks = Counter(
            "pointsman_operator_token_checks",
            "Tokens of sidecars and replicas, by result: accepted, remembered (for a minute), refused or unavailable.",
            ["result"],
            registry=registry,
        )
        self.cut_off = Counter(
            "pointsman_operator_sidecars_cut_off",
            "Streams that were ended because their pod is gone.",
            registry=registry,
        )
