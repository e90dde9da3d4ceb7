"""What a sidecar remembers of its models, and what each policy may still spend."""

from dataclasses import replace

import pytest

from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.breaker import State
from pointsman_sidecar.resilience.health import RETRIES_FLOOR, Health
from pointsman_sidecar.routing.policy import CircuitBreaker, Hedging, Policy, Retries
from support.policies import model, policy

RULE = CircuitBreaker(error_percent=50, min_requests=2, open_for=10.0)


def a_policy(**fields: object) -> Policy:
    return replace(policy(model("mini"), model("flagship"), fallbacks=("flagship",)), circuit_breaker=RULE, **fields)  # type: ignore[arg-type]


def call(health: Health, under: Policy, name: str, outcome: Outcome | None, *, at: float = 0.0) -> bool:
    called = under.models[name]
    return health.leave(under, called, health.enter(under, called, at), at, outcome)


@pytest.mark.parametrize(
    ("outcome", "opens"),
    [
        (Outcome.CONNECTION_FAILED, True),
        (Outcome.TIMED_OUT, True),
        (Outcome.RATE_LIMITED, True),
        (Outcome.PROVIDER_FAILED, True),
        (Outcome.MISCONFIGURED, True),
        (Outcome.CUT, True),
        # The request's doing, or the caller's, or nobody was called.
        (Outcome.REFUSED, False),
        (Outcome.TOO_LARGE, False),
        (Outcome.CANCELLED, False),
        (Outcome.OVERTAKEN, False),
        (Outcome.NO_ACCESS, False),
        (Outcome.SUCCEEDED, False),
        (None, False),
    ],
)
def test_only_what_the_model_itself_does_opens_its_circuit(outcome: Outcome | None, *, opens: bool) -> None:
    health, under = Health(), a_policy()
    call(health, under, "mini", outcome)

    assert call(health, under, "mini", outcome) is opens

    assert set(health.ejected(under, 0.0)) == ({"mini"} if opens else set())
    assert health.admits(under, under.models["flagship"], 0.0)


def test_a_model_is_the_same_under_another_name_and_another_policy() -> None:
    health, under = Health(), a_policy()
    call(health, under, "mini", Outcome.TIMED_OUT)
    call(health, under, "mini", Outcome.TIMED_OUT)
    renamed = replace(model("cheap"), provider_model="gpt-mini")
    other = replace(policy(renamed), uid="u-2", circuit_breaker=RULE)

    assert set(health.ejected(other, 1.0)) == {"cheap"}
    assert health.ejected(other, 1.0)["cheap"].message == "its circuit is open since 100 % of its calls failed"


def test_an_endpoint_that_was_moved_is_another_one() -> None:
    health, under = Health(), a_policy()
    call(health, under, "mini", Outcome.TIMED_OUT)
    call(health, under, "mini", Outcome.TIMED_OUT)
    moved = {"openai": replace(under.providers["openai"], base_url="http://127.0.0.1:10/v1")}

    assert not health.ejected(replace(under, providers=moved), 0.0)


def test_a_policy_without_a_breaker_ejects_nobody() -> None:
    health, under = Health(), a_policy()
    call(health, under, "mini", Outcome.TIMED_OUT)
    call(health, under, "mini", Outcome.TIMED_OUT)
    without = replace(under, circuit_breaker=None)

    assert not health.ejected(without, 0.0)
    assert health.enter(without, without.models["mini"], 0.0) is None
    assert health.state(without, without.models["mini"], 0.0) is State.CLOSED


def test_a_model_comes_back_when_its_probe_succeeds() -> None:
    health, under = Health(), a_policy()
    call(health, under, "mini", Outcome.TIMED_OUT)
    call(health, under, "mini", Outcome.TIMED_OUT)
    assert "mini" in health.ejected(under, 9.0)
    assert "mini" not in health.ejected(under, 10.0)

    probe = health.enter(under, under.models["mini"], 10.0)

    assert "mini" in health.ejected(under, 10.0)
    health.leave(under, under.models["mini"], probe, 11.0, Outcome.SUCCEEDED)
    assert not health.ejected(under, 11.0)
    assert health.state(under, under.models["mini"], 11.0) is State.CLOSED


def test_budgets_are_a_policys_own() -> None:
    health = Health()
    one = a_policy(retries=Retries(attempts=2, budget_percent=20), hedging=Hedging(after_percentile=95, max_percent=50))
    other = replace(one, uid="u-2")
    health.request(one, 0.0)
    health.request(one, 0.0)

    assert [health.may_retry(one, 0.0) for _ in range(RETRIES_FLOOR + 1)] == [True] * RETRIES_FLOOR + [False]
    assert [health.may_hedge(one, 0.0) for _ in range(2)] == [True, False]

    health.request(other, 0.0)
    assert health.may_retry(other, 0.0)
    assert not health.may_hedge(other, 0.0)


def test_a_policy_that_wants_no_retries_and_no_hedges_gets_none() -> None:
    health, under = Health(), a_policy()
    health.request(under, 0.0)

    assert not health.may_retry(under, 0.0)
    assert not health.may_hedge(under, 0.0)
