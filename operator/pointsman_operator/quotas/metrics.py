"""What is measured of the ledger."""

from prometheus_client import CollectorRegistry, Counter


class StoreMetrics:
    """Of its store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = Counter(
            "pointsman_operator_ledger_writes_total",
            "Objects of the ledger that were written, or were to be.",
            ["result"],
            registry=registry,
        )
        self.written_bytes = Counter(
            "pointsman_operator_ledger_written_bytes_total",
            "What these objects came to, each whole.",
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
