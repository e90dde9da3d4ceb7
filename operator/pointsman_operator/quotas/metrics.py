"""What is measured of the ledger."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class StoreMetrics:
    """Of its store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = Counter(
            "pointsman_operator_ledger_writes_total",
            "Writes of the ledger: of an object of the cluster, or of all that is written to Redis at once.",
            ["result"],
            registry=registry,
        )
        self.written_bytes = Counter(
            "pointsman_operator_ledger_written_bytes_total",
            "What these writes came to.",
            registry=registry,
        )


class LedgerMetrics:
    """Of its calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "pointsman_operator_ledger_calls_total",
            "Calls of sidecars, by what became of them.",
            ["result"],
            registry=registry,
        )
        self.usable = Gauge(
            "pointsman_operator_ledger_usable",
            "1 where this replica keeps the ledger and its store can be used, else 0.",
            registry=registry,
        )
