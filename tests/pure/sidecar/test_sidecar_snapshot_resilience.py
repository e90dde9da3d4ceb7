"""What a snapshot says for models that fail is read, and rejected where it makes no sense."""

import pytest

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.routing.policy import CircuitBreaker, Concurrency, Hedging, Retries
from support.snapshots import breaking, retrying, snapshot, update

Snapshot = snapshot_pb2.Snapshot


def test_all_of_it_is_read() -> None:
    policy = read_snapshot(
        update(
            snapshot(
                between_tokens=1.5,
                retries=retrying(3, budget_percent=20),
                circuit_breaker=breaking(error_percent=25, min_requests=7, open_for=9.0),
                hedging=snapshot_pb2.Hedging(after_percentile=95, max_percent=5),
                concurrency=snapshot_pb2.Concurrency(limit=64, queue=32),
            )
        )
    )

    assert policy.timeouts.between_tokens == 1.5
    assert policy.retries == Retries(attempts=3, budget_percent=20)
    assert policy.circuit_breaker == CircuitBreaker(error_percent=25, min_requests=7, open_for=9.0)
    assert policy.hedging == Hedging(after_percentile=95, max_percent=5)
    assert policy.concurrency == Concurrency(limit=64, queue=32)


def test_where_it_says_nothing_the_defaults_of_the_crd_hold() -> None:
    content = snapshot()
    content.ClearField("retries")
    content.ClearField("circuit_breaker")

    policy = read_snapshot(update(content))

    assert policy.timeouts.between_tokens == 30.0
    assert policy.retries == Retries(attempts=2, budget_percent=20)
    assert policy.circuit_breaker == CircuitBreaker(error_percent=50, min_requests=10, open_for=10.0)
    assert (policy.hedging, policy.concurrency) == (None, None)


def test_what_is_switched_off_is_off() -> None:
    policy = read_snapshot(update(snapshot()))

    assert (policy.retries, policy.circuit_breaker) == (None, None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (snapshot(retries=retrying(-1)), "retries.attempts is -1; it must be from 0 to 10"),
        (snapshot(retries=retrying(11)), "retries.attempts is 11; it must be from 0 to 10"),
        (
            snapshot(retries=retrying(1, budget_percent=101)),
            "retries.budget_percent is 101; it must be from 1 to 100",
        ),
        (
            snapshot(circuit_breaker=breaking(error_percent=101)),
            "circuit_breaker.error_percent is 101; it must be from 0 to 100",
        ),
        (
            snapshot(circuit_breaker=breaking(min_requests=0)),
            "circuit_breaker.min_requests is 0; it must be from 1 to 1000000",
        ),
        (
            snapshot(circuit_breaker=breaking(open_for=0)),
            "circuit_breaker.open_for is 0 s; it must be above 0 and at most 1800 s",
        ),
        (
            snapshot(hedging=snapshot_pb2.Hedging(after_percentile=100, max_percent=5)),
            "hedging.after_percentile is 100; it must be from 1 to 99",
        ),
        (
            snapshot(hedging=snapshot_pb2.Hedging(after_percentile=95)),
            "hedging.max_percent is 0; it must be from 1 to 100",
        ),
        (
            snapshot(concurrency=snapshot_pb2.Concurrency(queue=1)),
            "concurrency.limit is 0; it must be from 1 to 1000000",
        ),
        (
            snapshot(concurrency=snapshot_pb2.Concurrency(limit=1, queue=-1)),
            "concurrency.queue is -1; it must be from 0 to 1000000",
        ),
        (snapshot(between_tokens=0), "timeouts.between_tokens is 0 s; it must be above 0 and at most 1800 s"),
    ],
)
def test_what_makes_no_sense_is_rejected_with_a_sentence(content: Snapshot, sentence: str) -> None:
    with pytest.raises(SnapshotRejectedError) as caught:
        read_snapshot(update(content))

    assert str(caught.value) == sentence
