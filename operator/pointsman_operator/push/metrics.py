"""What is counted of the streams."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class HubMetrics:
    """The hub's series, in a registry of the caller's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sidecars = Gauge("pointsman_operator_sidecars", "Sidecars that are connected now.", registry=registry)
        self.pushes = Counter(
            "pointsman_operator_pushes",
            "Updates sent to sidecars, by kind: snapshot, no_policy, access, trust or tuning.",
            ["kind"],
            registry=registry,
        )
        self.answers = Counter(
            "pointsman_operator_answers",
            "Answers of sidecars to snapshots and to the news that there is none, by verdict: ack or nack.",
            ["verdict"],
            registry=registry,
        )
        self.compile_failures = Counter(
            "pointsman_operator_compile_failures",
            "Times that a policy began not to compile, or not to for another reason.",
            registry=registry,
        )
        self.policies = Gauge(
            "pointsman_operator_policies",
            "Policies, by whether they compile.",
            ["compiles"],
            registry=registry,
        )
