"""What a policy says for models that fail. What is switched off is not written, and means nothing to a sidecar."""

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile.quantities import duration
from pointsman_operator.resources.policy import CircuitBreaker, Concurrency, Hedging, Retries, Timeouts


def timeouts(said: Timeouts) -> snapshot.Timeouts:
    """How long to wait."""
    return snapshot.Timeouts(
        connect=duration(said.connect),
        first_token=duration(said.first_token),
        attempt=duration(said.attempt),
        between_tokens=None if said.between_tokens is None else duration(said.between_tokens),
        total=duration(said.total),
    )


def retries(said: Retries | None) -> snapshot.Retries | None:
    """Whether a model that failed is called again."""
    if said is None or not said.attempts:
        return None
    return snapshot.Retries(attempts=said.attempts, budget_percent=said.budget_percent)


def circuit_breaker(said: CircuitBreaker | None) -> snapshot.CircuitBreaker | None:
    """When a model is left alone."""
    if said is None or not said.error_percent:
        return None
    return snapshot.CircuitBreaker(
        error_percent=said.error_percent, min_requests=said.min_requests, open_for=duration(said.open_for)
    )


def hedging(said: Hedging | None) -> snapshot.Hedging | None:
    """When a second call is sent."""
    if said is None:
        return None
    return snapshot.Hedging(after_percentile=said.after_percentile, max_percent=said.max_percent)


def concurrency(said: Concurrency | None) -> snapshot.Concurrency | None:
    """How many completions are served at once."""
    return None if said is None else snapshot.Concurrency(limit=said.limit, queue=said.queue)
