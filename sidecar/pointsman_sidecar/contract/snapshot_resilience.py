"""What a snapshot says for models that fail, as the routing reads it."""

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import between, seconds
from pointsman_sidecar.routing.policy import CircuitBreaker, Concurrency, Hedging, Retries, Timeouts

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
            seconds("timeouts.between_tokens", said.between_tokens) if said.HasField("between_tokens") else None
        ),
    )


def retries(said: snapshot_pb2.Retries) -> Retries:
    """When a model that failed is called again."""
    return Retries(
        attempts=between("retries.attempts", said.attempts, 1, _MOST_RETRIES),
        budget_percent=between("retries.budget_percent", said.budget_percent, 1, _PERCENT),
    )


def circuit_breaker(said: snapshot_pb2.CircuitBreaker) -> CircuitBreaker:
    """When a model is left alone."""
    return CircuitBreaker(
        error_percent=between("circuit_breaker.error_percent", said.error_percent, 1, _PERCENT),
        min_requests=between("circuit_breaker.min_requests", said.min_requests, 1, _MOST),
        open_for=seconds("circuit_breaker.open_for", said.open_for),
    )


def hedging(said: snapshot_pb2.Hedging) -> Hedging:
    """When a second call is sent."""
    return Hedging(
        after_percentile=between("hedging.after_percentile", said.after_percentile, 1, _PERCENT - 1),
        max_percent=between("hedging.max_percent", said.max_percent, 1, _PERCENT),
    )


def concurrency(said: snapshot_pb2.Concurrency) -> Concurrency:
    """How many completions are served at once."""
    return Concurrency(
        limit=between("concurrency.limit", said.limit, 1, _MOST),
        queue=between("concurrency.queue", said.queue, 0, _MOST),
    )
