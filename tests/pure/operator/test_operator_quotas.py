"""What is wrong with a quota, whom it binds, and with which budget."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import quota_pb2 as pb
from pointsman_operator.compile import Budget, Member, budgets_for, budgets_message, check_quota, terms_of, told_anew
from pointsman_operator.compile.budgets import AHEAD_SECONDS, Amount, Step, WhenExhausted, amount_of, budget_name
from pointsman_operator.ledger.windows import Kind as WindowKind
from pointsman_operator.ledger.windows import Window, window_at, zone
from pointsman_operator.resources import Key, Problem, parse_pod, parse_policy, parse_quota
from pure.operator.objects import (
    Json,
    counted,
    metadata,
    offered,
    pod,
    policy,
    provider,
    quota,
    read_providers,
    read_quota,
    used,
)

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z
DAY = 86_400
EUROS = offered("mistral", price={"currency": "EUR", "input": "1", "output": "2"})
MIXED = (provider(), provider("eu", models=[EUROS]))
DOLLARS = {"cost": {"amount": "50.00", "currency": "USD"}}


def problems(*providers: Json, policies: tuple[Json, ...] = (), **spec: Any) -> list[tuple[str, str, str]]:
    found = check_quota(
        read_quota(quota(**spec)),
        providers=read_providers(*(providers or (provider(),))),
        policies=[parse_policy(each) for each in policies],
    )
    return [(each.path, each.reason, each.message) for each in found]


def budgets(
    *quotas: Json,
    labels: Mapping[str, str] | None = None,
    workload: str = "Deployment/web",
    providers: tuple[Json, ...] = (),
    now: float = NOON,
) -> tuple[Budget, ...]:
    return budgets_for(
        Member(labels=labels or {}, workload=workload),
        quotas=[parse_quota(each) for each in quotas],
        providers=read_providers(*(providers or (provider(),))),
        now=now,
    )


# What is wrong.


def test_a_sound_quota_has_no_problem() -> None:
    assert problems(models=[counted()], timeZone="Europe/Berlin", limit=DOLLARS) == []


@pytest.mark.parametrize("name", ["Europe/Atlantis", "Berlin", "Europe", "localtime", "right/UTC", "posix/UTC"])
def test_an_unknown_time_zone_is_named(name: str) -> None:
    ((path, reason, message),) = problems(timeZone=name)

    assert (path, reason) == ("spec.timeZone", "UnknownTimeZone")
    assert message.startswith(f"there is no time zone {name!r}: write one of the IANA database, such as Europe/Berlin")


def test_a_selector_that_no_label_can_match_is_named() -> None:
    ((path, reason, _),) = problems(selector={"matchLabels": {"app": "-web-"}})

    assert (path, reason) == ("spec.selector.matchLabels[app]", "InvalidSelector")


def test_models_that_no_provider_has_are_named() -> None:
    first, second = problems(models=[counted(provider="elsewhere"), counted("gpt-5")])

    assert first[:2] == ("spec.models[0].providerRef", "ProviderNotFound")
    assert second[:2] == ("spec.models[1].model", "ModelNotFound")
    assert second[2] == "ModelProvider openai has no model gpt-5; it has gpt-4o-mini, gpt-4o"


def test_money_in_two_currencies_cannot_be_added() -> None:
    ((path, reason, message),) = problems(*MIXED, models=[counted(), counted("mistral", provider="eu")], limit=DOLLARS)

    assert (path, reason) == ("spec.models[1]", "TwoCurrencies")
    assert message == (
        "ModelProvider eu prices mistral in EUR and the limit is in USD: money in two currencies cannot be added; give "
        "the model a quota of its own"
    )


def test_a_quota_in_money_for_all_models_says_which_it_cannot_count() -> None:
    ((path, reason, message),) = problems(*MIXED, limit=DOLLARS)

    assert (path, reason) == ("spec.limit.cost.currency", "NotCounted")
    assert "another currency than USD are not counted: eu mistral (EUR)" in message


def test_currencies_matter_to_money_alone() -> None:
    assert problems(*MIXED, limit={"tokens": 5}) == []


def test_a_default_model_that_the_quota_counts_is_no_way_out() -> None:
    counting = {"models": [counted("gpt-4o-mini")], "whenExhausted": "DefaultModel"}
    elsewhere = policy("other", namespace="till")

    ((path, reason, message),) = problems(policies=(policy(), elsewhere), **counting)

    assert (path, reason) == ("spec.whenExhausted", "DefaultModelCounted")
    assert "the default model of ModelRoutingPolicy support, gpt-4o-mini, is one that this quota counts" in message
    assert problems(policies=(policy(),), models=[counted()], whenExhausted="DefaultModel") == []
    assert problems(policies=(policy(models=[used("mini", "x")]),), **counting) == []


def test_what_cannot_be_read_says_why() -> None:
    (problem,) = check_quota(parse_quota(quota(window="Week")), providers={}, policies=[])

    assert isinstance(problem, Problem)
    assert (problem.path, problem.reason) == ("spec.window", "InvalidSpec")


# Whom it binds.


def test_a_quota_binds_the_pods_that_it_selects_and_several_bind_at_once() -> None:
    everyone, gold = quota("b"), quota("a", selector={"matchLabels": {"tier": "gold"}})

    assert [each.name for each in budgets(everyone, gold)] == ["TokenQuota/shop/b"]
    bound = budgets(everyone, gold, labels={"tier": "gold"})
    assert [each.shown for each in bound] == ["TokenQuota shop/a", "TokenQuota shop/b"]


def test_neither_an_unreadable_quota_nor_one_whose_selector_is_none_binds_anybody() -> None:
    assert budgets(quota(window="Week"), quota("b", selector={"matchLabels": {"app": "-"}})) == ()


@pytest.mark.parametrize(("scope", "subject"), [("Namespace", ""), ("Workload", "Deployment/web"), ("User", None)])
def test_the_scope_says_for_whom_a_sidecar_spends(scope: str, subject: str | None) -> None:
    (budget,) = budgets(quota(scope=scope))

    assert (budget.subject, budget.terms.subject) == (subject, subject)


# With what.


@pytest.mark.parametrize(
    ("limit", "expected", "account_unit"),
    [
        ({"tokens": 5}, Amount(unit="Tokens", value=5), "Tokens"),
        ({"inputTokens": 5}, Amount(unit="InputTokens", value=5), "InputTokens"),
        ({"outputTokens": 0}, Amount(unit="OutputTokens", value=0), "OutputTokens"),
        ({"requests": 2**53 - 1}, Amount(unit="Requests", value=2**53 - 1), "Requests"),
        (DOLLARS, Amount(unit="Cost", value=50_000_000, currency="USD"), "Cost:USD"),
        (
            {"cost": {"amount": "999999999.999999", "currency": "USD"}},
            Amount(unit="Cost", value=999_999_999_999_999, currency="USD"),
            "Cost:USD",
        ),
    ],
)
def test_a_limit_is_a_whole_number_of_a_unit(limit: Json, expected: Amount, account_unit: str) -> None:
    (budget,) = budgets(quota(limit=limit))

    assert budget.limit == expected
    assert (budget.terms.unit, budget.terms.limit) == (account_unit, expected.value)


def test_a_limit_without_a_number_that_slipped_past_the_crd_allows_nothing() -> None:
    assert amount_of(read_quota(quota(limit={})).spec.limit).value == 0


def test_what_a_quota_does_at_its_steps_and_its_end_is_told() -> None:
    steps = [
        {"atPercent": 50, "disable": ["Hedging"]},
        {"atPercent": 80, "maxOutputTokens": 256},
        {"atPercent": 95, "only": "DefaultModel"},
    ]
    (budget,) = budgets(
        quota(steps=steps, cachedInputPercent=50, whenExhausted="DefaultModel", models=[counted(), counted("gone")])
    )

    assert budget.steps == (
        Step(at_percent=50, no_hedging=True),
        Step(at_percent=80, max_output_tokens=256),
        Step(at_percent=95, default_model_only=True),
    )
    assert budget.cached_input_percent == 50
    assert budget.when_exhausted is WhenExhausted.DEFAULT_MODEL
    assert budget.models == {("openai", "gpt-4o"), ("openai", "gone")}


def test_what_is_not_said_counts_all_models_and_cached_input_in_full() -> None:
    (budget,) = budgets(quota())

    assert (budget.models, budget.cached_input_percent, budget.steps) == (None, 100, ())
    assert budget.when_exhausted is WhenExhausted.REFUSE


def test_money_counts_the_models_that_are_priced_in_it() -> None:
    named = [counted(), counted("mistral", provider="eu")]

    assert budgets(quota(limit=DOLLARS))[0].models is None
    assert budgets(quota(limit=DOLLARS), providers=MIXED)[0].models == {("openai", "gpt-4o-mini"), ("openai", "gpt-4o")}
    assert budgets(quota(limit=DOLLARS, models=named), providers=MIXED)[0].models == {("openai", "gpt-4o")}


def test_a_quota_in_money_that_no_model_is_priced_in_binds_nobody() -> None:
    assert budgets(quota(limit=DOLLARS), providers=(provider(models=[EUROS]),)) == ()


def test_what_a_sidecar_is_told_of_its_budgets() -> None:
    steps = [{"atPercent": 80, "maxOutputTokens": 256}, {"atPercent": 95, "only": "DefaultModel"}]
    everyone = quota("a", steps=steps, cachedInputPercent=50)
    user = quota("b", scope="User", limit=DOLLARS, models=[counted("x"), counted()], whenExhausted="DefaultModel")

    told = budgets_message(budgets(everyone, user, providers=MIXED), user_key=b"key")
    shared, own = told.budgets

    assert told.user_key == b"key"
    assert (shared.name, shared.shown, shared.unit) == ("TokenQuota/shop/a", "TokenQuota shop/a", pb.BUDGET_UNIT_TOKENS)
    assert (shared.limit, shared.cached_input_percent, list(shared.models)) == (1000, 50, [])
    assert [(each.at_percent, each.max_output_tokens, each.default_model_only) for each in shared.steps] == [
        (80, 256, False),
        (95, 0, True),
    ]
    assert (shared.HasField("subject"), shared.subject, own.HasField("subject")) == (True, "", False)
    assert shared.when_exhausted == pb.WHEN_EXHAUSTED_REFUSE
    assert own.when_exhausted == pb.WHEN_EXHAUSTED_DEFAULT_MODEL
    assert (own.unit, own.currency, own.limit) == (pb.BUDGET_UNIT_COST, "USD", 50_000_000)
    assert [(each.provider, each.provider_model) for each in own.models] == [("openai", "gpt-4o"), ("openai", "x")]
    assert [window.start for window in shared.windows] == sorted({window.start for window in shared.windows})


def test_a_quota_whose_time_zone_is_unknown_holds_by_utc() -> None:
    (budget,) = budgets(quota(timeZone="Europe/Atlantis"))

    assert budget.windows[0] == Window(int(NOON) - DAY // 2, int(NOON) + DAY // 2)


@given(
    st.sampled_from(WindowKind),
    st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"]),
    st.integers(1_600_000_000, 2_000_000_000),
)
def test_windows_are_told_from_now_until_long_after_they_are_told_anew(
    kind: WindowKind, time_zone: str, now: int
) -> None:
    (budget,) = budgets(quota(window=kind.value, timeZone=time_zone), now=now)
    windows = budget.windows

    assert window_at(kind, zone(time_zone), now) in windows
    assert all(one.end == other.start for one, other in itertools.pairwise(windows))
    again = told_anew(now)
    assert now < again <= now + AHEAD_SECONDS / 2
    assert windows[-1].end >= again + AHEAD_SECONDS / 2
    assert windows[-1].start > now
    assert all(budget.terms.has_window(window) for window in windows)
    assert not budget.terms.has_window(Window(windows[0].start, windows[0].end + 60))


@given(st.integers(1_600_000_000, 2_000_000_000), st.data())
def test_whoever_asks_before_that_is_told_the_same(now: int, data: st.DataObject) -> None:
    later = data.draw(st.integers(now, int(told_anew(now)) - 1))

    assert budgets(quota(window="Minute"), now=now) == budgets(quota(window="Minute"), now=later)


def test_the_ledgers_terms_are_those_of_the_same_budgets() -> None:
    bound = budgets(quota("a"), quota("b", limit=DOLLARS, scope="User"))
    terms = terms_of(bound)

    assert {name: each.limit for name, each in terms.items()} == {each.name: each.limit.value for each in bound}
    assert terms[budget_name(Key("shop", "b"))].subject is None


def test_a_quota_that_was_deleted_and_made_again_finds_its_budget_as_it_was() -> None:
    again = quota()
    again["metadata"] = {**again["metadata"], "uid": "another"}

    assert [each.name for each in budgets(quota())] == [each.name for each in budgets(again)]


# Workloads.


def owned(kind: str, name: str, *, labels: Mapping[str, str] | None = None) -> Json:
    owners = [{"kind": "Other", "name": "no-controller"}, {"kind": kind, "name": name, "controller": True}]
    return {"metadata": metadata("web-1", namespace="shop", labels=dict(labels or {}), ownerReferences=owners)}


@pytest.mark.parametrize(
    ("value", "workload"),
    [
        (pod("app-1"), "Pod/app-1"),
        (owned("ReplicaSet", "web-5d4f", labels={"pod-template-hash": "5d4f"}), "Deployment/web"),
        (owned("ReplicaSet", "web-5d4f", labels={"rollouts-pod-template-hash": "5d4f"}), "Rollout/web"),
        (owned("ReplicaSet", "web-5d4f"), "ReplicaSet/web-5d4f"),
        (owned("ReplicaSet", "web-5d4f", labels={"pod-template-hash": "4f"}), "ReplicaSet/web-5d4f"),
        (owned("ReplicaSet", "web", labels={"pod-template-hash": ""}), "ReplicaSet/web"),
        (owned("Job", "report-29530080"), "CronJob/report"),
        (owned("Job", "report-2"), "Job/report-2"),
        (owned("StatefulSet", "db"), "StatefulSet/db"),
        (owned("DaemonSet", "agent-29530080"), "DaemonSet/agent-29530080"),
    ],
)
def test_a_pod_belongs_to_what_outlives_it(value: Json, workload: str) -> None:
    assert parse_pod(value).workload == workload
