"""What a policy says for models that fail.

The CRD's defaults are not written: a sidecar has them too, and an older one would reject what it does not know.
"""

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile.quantities import duration
from pointsman_operator.resources.policy import CircuitBreaker, Concurrency, Hedging, Retries, Timeouts

_BETWEEN_TOKENS = duration("30s")
_RETRIES = snapshot.Retries(attempts=2, budget_percent=20)
_CIRCUIT_BREAKER = snapshot.CircuitBreaker(error_percent=50, min_requests=10, open_for=duration("10s"))


def timeouts(said: Timeouts) -> snapshot.Timeouts:
    """How long to wait."""
    between = None if said.between_tokens is None else duration(said.between_tokens)
    return snapshot.Timeouts(
        connect=duration(said.connect),
        first_token=duration(said.first_token),
        attempt=duration(said.attempt),
        total=duration(said.total),
        between_tokens=None if between == _BETWEEN_TOKENS else between,
    )


def retries(said: Retries | None) -> snapshot.Retries | None:
    """Whether a model that failed is called again."""
    if said is None:
        return None
    written = snapshot.Retries(attempts=said.attempts, budget_percent=said.budget_percent)
    return None if written == _RETRIES else written


def circuit_breaker(said: CircuitBreaker | None) -> snapshot.CircuitBreaker | None:
    """When a model is left alone."""
    if said is None:
        return None
    written = snapshot.CircuitBreaker(
        error_percent=said.error_percent, min_requests=said.min_requests, open_for=duration(said.open_for)
    )
    return None if written == _CIRCUIT_BREAKER else written


def hedging(said: Hedging | None) -> snapshot.Hedging | None:
    """When a second call is sent."""
    if said is None:
        return None
    return snapshot.Hedging(after_percentile=said.after_percentile, max_percent=said.max_percent)


def concurrency(said: Concurrency | None) -> snapshot.Concurrency | None:
    """How many completions one sidecar serves at once."""
    return None if said is None else snapshot.Concurrency(limit=said.limit, queue=said.queue)
