"""Whom a provider's rate limit binds, and with which budgets."""

from typing import Any

from pointsman_api.v1 import quota_pb2 as pb
from pointsman_operator.compile import Budget, budgets_message, quota_of, rate_limits_for, terms_of
from pointsman_operator.compile.budgets import AHEAD_SECONDS, Amount
from pointsman_operator.resources import Key
from pure.operator.objects import Json, provider, read_providers

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z
BOTH = {"requestsPerMinute": 60, "tokensPerMinute": 9_000}


def limits(*providers: Json, now: float = NOON, **labels: Any) -> tuple[Budget, ...]:
    return rate_limits_for(labels, providers=read_providers(*providers), now=now)


def test_calls_and_tokens_have_a_budget_each_that_counts_all_of_the_providers_models() -> None:
    calls, tokens = limits(provider(rateLimit=BOTH))

    assert (calls.name, calls.limit) == ("ModelProvider/openai/requests", Amount(unit="Requests", value=60))
    assert (tokens.name, tokens.limit) == ("ModelProvider/openai/tokens", Amount(unit="Tokens", value=9_000))
    for each in (calls, tokens):
        assert each.shown == "the rate limit of ModelProvider openai"
        assert each.models == {("openai", "gpt-4o-mini"), ("openai", "gpt-4o")}
        # Whoever calls: it is one budget for all namespaces.
        assert each.subject == ""


def test_what_is_not_limited_has_no_budget() -> None:
    assert limits(provider()) == ()
    assert [each.name for each in limits(provider(rateLimit={"tokensPerMinute": 5}))] == ["ModelProvider/openai/tokens"]


def test_a_namespace_that_may_not_use_a_provider_is_not_told_of_its_limit() -> None:
    chosen = {"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}
    limited = provider(rateLimit=BOTH, allowed=chosen)

    assert limits(limited) == ()
    assert len(limits(limited, ai="allowed")) == 2


def test_minutes_of_the_clock_are_told_ahead_and_known_to_the_ledger() -> None:
    calls, _ = limits(provider(rateLimit=BOTH), now=NOON + 61.5)
    terms = terms_of([calls])[calls.name]

    assert {window.end - window.start for window in calls.windows} == {60}
    assert any(window.start <= NOON + 61.5 < window.end for window in calls.windows)
    assert calls.windows[-1].end >= NOON + AHEAD_SECONDS
    assert all(terms.has_window(window) for window in calls.windows)
    assert (terms.unit, terms.limit, terms.subject) == ("Requests", 60, "")


def test_sidecars_are_told_to_go_on_with_the_next_model() -> None:
    message = budgets_message(limits(provider(rateLimit=BOTH)), user_key=b"k")

    assert {each.when_exhausted for each in message.budgets} == {pb.WHEN_EXHAUSTED_NEXT_MODEL}
    assert [each.name for each in message.budgets] == ["ModelProvider/openai/requests", "ModelProvider/openai/tokens"]


def test_it_is_no_quotas_budget() -> None:
    calls, _ = limits(provider(rateLimit=BOTH))

    assert quota_of(calls.name) is None
    assert quota_of("TokenQuota/shop/month") == Key("shop", "month")
