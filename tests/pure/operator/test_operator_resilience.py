"""What a policy says for models that fail reaches the snapshot, and its defaults need not."""

from typing import Any

import pytest

from pointsman_api.v1 import control_pb2, snapshot_pb2
from pointsman_operator.compile.policy import Compiled, compile_policy
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.parse import parse_policy, parse_provider
from pointsman_operator.schema import definitions, validate
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.routing.policy import CircuitBreaker, Concurrency, Hedging, Policy, Retries
from pure.operator.objects import policy, provider


def compiled(**resilience: Any) -> snapshot_pb2.Snapshot:
    """The snapshot of a policy with this `resilience`, after the CRD's defaults."""
    value = policy()
    value["spec"].pop("resilience", None)
    if resilience:
        value["spec"]["resilience"] = resilience
    judged = validate(value, definitions=definitions())
    assert not judged.refusals
    result = compile_policy(
        parse_policy(judged.object),
        providers={Key("", "openai"): parse_provider(provider())},
        namespace_labels={},
    )
    assert isinstance(result, Compiled), result
    return result.snapshot


def read(content: snapshot_pb2.Snapshot) -> Policy:
    """As a sidecar reads it."""
    return read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=content))


def test_what_the_crd_gives_by_default_is_not_written_and_a_sidecar_takes_the_same() -> None:
    content = compiled()

    assert not any(content.HasField(name) for name in ("retries", "circuit_breaker", "hedging", "concurrency"))
    assert not content.timeouts.HasField("between_tokens")
    definition = next(each for each in definitions().known if each.kind == "ModelRoutingPolicy")
    fields = definition.schema.properties["spec"].properties["resilience"].properties
    said = {name: {at: each.default for at, each in fields[name].properties.items()} for name in fields}
    as_written = compiled(
        retries=said["retries"] | {"attempts": 3},
        circuitBreaker=said["circuitBreaker"] | {"minRequests": 11},
        timeouts={"betweenTokens": "30000ms"},
    )
    sidecar, written = read(content), read(as_written)
    assert sidecar.timeouts.between_tokens == written.timeouts.between_tokens
    assert sidecar.retries == Retries(attempts=said["retries"]["attempts"], budget_percent=20)
    assert written.retries == Retries(attempts=3, budget_percent=said["retries"]["budgetPercent"])
    assert sidecar.circuit_breaker == CircuitBreaker(
        error_percent=said["circuitBreaker"]["errorPercent"],
        min_requests=said["circuitBreaker"]["minRequests"],
        open_for=10.0,
    )
    assert written.circuit_breaker == CircuitBreaker(error_percent=50, min_requests=11, open_for=10.0)


def test_all_that_is_said_arrives() -> None:
    sidecar = read(
        compiled(
            timeouts={"betweenTokens": "5s"},
            retries={"attempts": 1, "budgetPercent": 5},
            circuitBreaker={"errorPercent": 30, "minRequests": 7, "openFor": "1m"},
            hedging={},
            concurrency={"limit": 8},
        )
    )

    assert sidecar.timeouts.between_tokens == 5.0
    assert sidecar.retries == Retries(attempts=1, budget_percent=5)
    assert sidecar.circuit_breaker == CircuitBreaker(error_percent=30, min_requests=7, open_for=60.0)
    assert sidecar.hedging == Hedging(after_percentile=95, max_percent=5)
    assert sidecar.concurrency == Concurrency(limit=8, queue=16)


@pytest.mark.parametrize("resilience", [{"retries": {"attempts": 0}}, {"circuitBreaker": {"errorPercent": 0}}], ids=str)
def test_what_is_switched_off_is_off(resilience: dict[str, Any]) -> None:
    sidecar = read(compiled(**resilience))

    assert (sidecar.retries is None) is ("retries" in resilience)
    assert (sidecar.circuit_breaker is None) is ("circuitBreaker" in resilience)
