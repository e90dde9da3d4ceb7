"""A policy's escalation: what sidecars are told of it, and the budget that its daily limit is."""

from collections.abc import Mapping
from typing import Any

import pytest

from pointsman_api.v1 import control_pb2, quota_pb2, snapshot_pb2
from pointsman_operator.compile import Budget, Member, budgets_for, budgets_message, quota_of, terms_of
from pointsman_operator.compile.policy import Compiled, compile_policy
from pointsman_operator.ledger.windows import Window
from pointsman_operator.resources import Key
from pointsman_operator.resources.parse import parse_policy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.schema import definitions, validate
from pointsman_sidecar.confidence.streaming import After, Holding, is_possible
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.routing.policy import AnswerFault, Escalation, WhenStreaming
from pure.operator.objects import Json, policy, provider, read_providers

NAME = "ModelRoutingPolicy/shop/support"
NOON = 1_764_072_000.0  # 2025-11-25T12:00:00Z
DAY = 86_400


def escalating(*, selector: Json | None = None, **escalation: Any) -> Json:
    """A policy with an escalation, after the CRD's defaults."""
    value = policy(escalation={"model": "flagship", "onAnswer": ["Refusal"], **escalation})
    if selector is not None:
        value["spec"]["selector"] = selector
    judged = validate(value, definitions=definitions())
    assert not judged.refusals, judged.refusals
    assert isinstance(judged.object, dict)
    return judged.object


def compiled(**escalation: Any) -> Compiled | tuple[Problem, ...]:
    return compile_policy(
        parse_policy(escalating(**escalation)), providers=read_providers(provider()), namespace_labels={}
    )


def budgets(*policies: Json, labels: Mapping[str, str] | None = None) -> tuple[Budget, ...]:
    return budgets_for(
        Member(labels=labels or {}, workload="Deployment/web"),
        quotas=(),
        policies=[parse_policy(each) for each in policies],
        providers=read_providers(provider()),
        now=NOON,
    )


def test_a_sidecar_reads_what_the_policy_says() -> None:
    result = compiled(onAnswer=["Truncation", "InvalidOutput"], dailyLimit={"requests": 5})
    assert isinstance(result, Compiled)

    read = read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=result.snapshot))

    assert read.escalation == Escalation(
        model="flagship", on=frozenset({AnswerFault.TRUNCATION, AnswerFault.INVALID_OUTPUT}), daily_limit=NAME
    )


def test_a_sidecar_reads_how_far_above_the_bar_answers_are_checked() -> None:
    result = compiled(confidence={"below": "0.7", "selfCheck": {"within": "0.15"}})
    assert isinstance(result, Compiled)

    read = read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=result.snapshot)).escalation

    assert read is not None
    assert (read.confidence_below, read.self_check_within) == (0.7, 0.15)


def test_the_order_of_faults_makes_no_other_snapshot() -> None:
    one, other = compiled(onAnswer=["Refusal", "Truncation"]), compiled(onAnswer=["Truncation", "Refusal"])

    assert isinstance(one, Compiled)
    assert isinstance(other, Compiled)
    assert one.version == other.version


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"model": "biggest"}, "escalation names model biggest, which is not in the snapshot", id="model"),
        pytest.param({"on": [99]}, "escalation holds a value that this sidecar does not know (99)", id="fault"),
    ],
)
def test_a_sidecar_rejects_what_it_does_not_know(change: dict[str, Any], why: str) -> None:
    result = compiled()
    assert isinstance(result, Compiled)
    content = result.snapshot
    content.escalation.MergeFrom(snapshot_pb2.Escalation(**change))

    with pytest.raises(SnapshotRejectedError) as told:
        read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=content))

    assert str(told.value) == why


@pytest.mark.parametrize(
    ("limit", "path", "reason", "begins"),
    [
        pytest.param(
            {"requests": 5, "timeZone": "Europe/Atlantis"},
            "spec.escalation.dailyLimit.timeZone",
            "UnknownTimeZone",
            "there is no time zone 'Europe/Atlantis'",
            id="an unknown time zone",
        ),
        pytest.param(
            {"cost": {"amount": "5", "currency": "EUR"}},
            "spec.escalation.dailyLimit.cost.currency",
            "TwoCurrencies",
            "flagship is priced in USD and the limit is in EUR: give the limit in USD",
            id="money of another currency",
        ),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused_with_a_sentence(
    limit: Json, path: str, reason: str, begins: str
) -> None:
    result = compiled(dailyLimit=limit)

    assert isinstance(result, tuple)
    ((found),) = result
    assert (found.path, found.reason) == (path, reason)
    assert found.message.startswith(begins)


def test_the_daily_limit_is_a_budget_of_the_policy_by_the_days_of_its_time_zone() -> None:
    (told,) = budgets(escalating(dailyLimit={"requests": 5, "timeZone": "Europe/Berlin"}))

    assert (told.name, told.shown) == (NAME, "escalation.dailyLimit of ModelRoutingPolicy shop/support")
    assert (told.limit.unit, told.limit.value, told.subject, told.models) == ("Requests", 5, "", None)
    # Midnight in Berlin is 23 o'clock of the day before, by UTC.
    assert told.windows[0] == Window(start=int(NOON) - 13 * 3600, end=int(NOON) + 11 * 3600)
    terms = terms_of([told])[NAME]
    assert (terms.unit, terms.limit) == ("Requests", 5)
    assert terms.has_window(told.windows[0])
    (sent,) = budgets_message([told], user_key=b"").budgets
    assert sent.escalations_only
    assert sent.unit == quota_pb2.BUDGET_UNIT_REQUESTS


def test_money_is_counted_in_millionths() -> None:
    (told,) = budgets(escalating(dailyLimit={"cost": {"amount": "50.00", "currency": "USD"}}))

    assert (told.limit.unit, told.limit.value, told.limit.currency) == ("Cost", 50_000_000, "USD")


def test_only_pods_that_the_policy_selects_are_told_of_its_limit() -> None:
    made = escalating(selector={"matchLabels": {"app": "support"}}, dailyLimit={"tokens": 5})

    assert budgets(made, labels={"app": "other"}) == ()
    assert [each.limit.unit for each in budgets(made, labels={"app": "support"})] == ["Tokens"]


def test_a_policy_without_a_limit_has_no_budget() -> None:
    assert budgets(escalating(), policy("plain")) == ()


def test_the_budgets_of_escalations_are_no_quotas() -> None:
    assert quota_of(NAME) is None
    assert quota_of("TokenQuota/shop/month") == Key("shop", "month")


@pytest.mark.parametrize(
    ("said", "how", "tokens"),
    [
        pytest.param({}, WhenStreaming.OFF, 0, id="nothing said"),
        pytest.param({"whenStreaming": "Buffer"}, WhenStreaming.BUFFER, 256, id="a buffer of no size"),
        pytest.param({"whenStreaming": "Buffer", "bufferTokens": 9}, WhenStreaming.BUFFER, 9, id="a buffer"),
        pytest.param({"whenStreaming": "BufferAll"}, WhenStreaming.BUFFER_ALL, 0, id="all of it"),
        pytest.param({"whenStreaming": "FirstTokens"}, WhenStreaming.FIRST_TOKENS, 0, id="the first tokens"),
    ],
)
def test_how_much_of_a_stream_is_held_back(said: Json, how: WhenStreaming, tokens: int) -> None:
    result = compiled(**said)
    assert isinstance(result, Compiled)

    read = read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=result.snapshot))

    assert read.escalation is not None
    assert (read.escalation.when_streaming, read.escalation.buffer_tokens) == (how, tokens)


@pytest.mark.parametrize("holding", Holding)
@pytest.mark.parametrize("after", After)
def test_the_crd_refuses_what_cannot_be_seen_of_a_stream(after: After, holding: Holding) -> None:
    escalation: Json = {"model": "flagship", "whenStreaming": holding.value}
    if after is After.CONFIDENCE:
        escalation |= {"confidence": {"below": "0.7"}}
    else:
        escalation |= {"onAnswer": [after.value]}

    judged = validate(policy(escalation=escalation), definitions=definitions())

    assert (not judged.refusals) is is_possible(after, holding)


def test_a_threshold_travels_as_it_is_written() -> None:
    result = compiled(complexity={"threshold": "0.85"})
    assert isinstance(result, Compiled)
    assert result.snapshot.escalation.complexity_threshold == "0.85"

    read = read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=result.snapshot))

    assert read.escalation is not None
    assert read.escalation.complexity_threshold == 0.85


def test_a_share_is_told_in_place_of_a_threshold() -> None:
    result = compiled(complexity={"targetShare": 10})

    assert result.snapshot.escalation.complexity_share == 10
    assert result.snapshot.escalation.complexity_threshold == ""
