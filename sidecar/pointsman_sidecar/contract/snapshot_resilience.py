"""What a snapshot says for models that fail, as the routing reads it; the defaults where it says nothing."""

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import between, seconds
from pointsman_sidecar.routing.policy import CircuitBreaker, Concurrency, Hedging, Retries, Timeouts

# The CRD's, which the operator does not write.
BETWEEN_TOKENS = 30.0
RETRIES = Retries(attempts=2, budget_percent=20)
CIRCUIT_BREAKER = CircuitBreaker(error_percent=50, min_requests=10, open_for=10.0)
_PERCENT = 100
_MOST_RETRIES = 10
_MOST = 1_000_000


def timeouts(said: snapshot_pb2.Timeouts) -> Timeouts:
    """How long to wait."""
    return Timeouts(
        connect=seconds("timeouts.connect", said.connect),
        first_token=seconds("timeouts.first_token", said.first_token),
        attempt=seconds("timeouts.attempt", said.attempt),
        total=seconds("timeouts.total", said.total),
        between_tokens=(
            seconds("timeouts.between_tokens", said.between_tokens)
            if said.HasField("between_tokens")
            else BETWEEN_TOKENS
        ),
    )


def retries(snapshot: snapshot_pb2.Snapshot) -> Retries | None:
    """When a model that failed is called again."""
    if not snapshot.HasField("retries"):
        return RETRIES
    said = snapshot.retries
    if not between("retries.attempts", said.attempts, 0, _MOST_RETRIES):
        return None
    return Retries(
        attempts=said.attempts, budget_percent=between("retries.budget_percent", said.budget_percent, 1, _PERCENT)
    )


def circuit_breaker(snapshot: snapshot_pb2.Snapshot) -> CircuitBreaker | None:
    """When a model is left alone."""
    if not snapshot.HasField("circuit_breaker"):
        return CIRCUIT_BREAKER
    said = snapshot.circuit_breaker
    if not between("circuit_breaker.error_percent", said.error_percent, 0, _PERCENT):
        return None
    return CircuitBreaker(
        error_percent=said.error_percent,
        min_requests=between("circuit_breaker.min_requests", said.min_requests, 1, _MOST),
        open_for=seconds("circuit_breaker.open_for", said.open_for),
    )


def hedging(snapshot: snapshot_pb2.Snapshot) -> Hedging | None:
    """When a second call is sent."""
    if not snapshot.HasField("hedging"):
        return None
    said = snapshot.hedging
    return Hedging(
        after_percentile=between("hedging.after_percentile", said.after_percentile, 1, _PERCENT - 1),
        max_percent=between("hedging.max_percent", said.max_percent, 1, _PERCENT),
    )


def concurrency(snapshot: snapshot_pb2.Snapshot) -> Concurrency | None:
    """How many completions are served at once."""
    if not snapshot.HasField("concurrency"):
        return None
    said = snapshot.concurrency
    return Concurrency(
        limit=between("concurrency.limit", said.limit, 1, _MOST),
        queue=between("concurrency.queue", said.queue, 0, _MOST),
    )
