"""A split that changes by itself: its name, what sidecars are told, what it does, and what status and Events say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman_api.v1 import control_pb2
from pointsman_operator.compile.policy import Compiled, compile_policy
from pointsman_operator.resources import ModelRoutingPolicy
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.parse import parse_policy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.schema import definitions, validate
from pointsman_operator.status.events import event_of
from pointsman_operator.status.splits import SplitView, split_announcements, splits_status
from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.bars import Bar
from pointsman_operator.tuning.rules import split_rules
from pointsman_operator.tuning.splits import Phase, SplitRule, SplitState, SplitStep, advance
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.routing.policy import Arm
from pure.operator.objects import Json, offered, policy, provider, read_providers, used

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
GUARDED = {
    "arms": [{"model": "mini", "weight": 95}, {"model": "next", "weight": 5}],
    "guard": {"maxErrorPercent": 2},
}
STEPS: Json = {
    "arms": [{"model": "mini"}, {"model": "next"}],
    "steps": [{"weight": 5, "for": "1h"}, {"weight": 25, "for": "30m"}, {"weight": 100}],
}
MODELS = [used("mini", "gpt-4o-mini"), used("next", "gpt-5-mini"), used("flagship", "gpt-4o")]
OFFERED = provider(
    models=[
        offered("gpt-4o-mini"),
        offered("gpt-5-mini"),
        offered("gpt-6-mini"),
        offered("gpt-4o", price={"currency": "USD", "input": "2.50", "output": "10.00"}),
    ]
)


def read(split: Json, **more: Any) -> ModelRoutingPolicy:
    """A policy with the split, after the CRD's defaults."""
    value = policy(
        **{"models": MODELS, "routes": [{"name": "new", "when": {"user": {"exists": True}}, "split": split}], **more}
    )
    judged = validate(value, definitions=definitions())
    assert not judged.refusals, judged.refusals
    assert isinstance(judged.object, dict)
    parsed = parse_policy(judged.object)
    assert isinstance(parsed, ModelRoutingPolicy)
    return parsed


def compiled(split: Json, **more: Any) -> Compiled | tuple[Problem, ...]:
    return compile_policy(read(split, **more), providers=read_providers(OFFERED), namespace_labels={})


def name(split: Json, **more: Any) -> str:
    (rule,) = split_rules(read(split, **more))
    return rule.split


def test_sidecars_are_told_the_split_and_the_weights_that_it_begins_with() -> None:
    result = compiled(STEPS)
    assert isinstance(result, Compiled)

    (route,) = read_snapshot(control_pb2.SnapshotUpdate(contract_version=1, snapshot=result.snapshot)).routes

    assert route.split == name(STEPS)
    assert route.arms == (Arm(model="mini", weight=95), Arm(model="next", weight=5))


def test_a_split_that_does_not_change_is_known_by_no_name() -> None:
    """An older sidecar would reject it, and nobody counts it."""
    result = compiled({"arms": GUARDED["arms"]})
    assert isinstance(result, Compiled)

    assert result.snapshot.routes[0].split == ""
    assert split_rules(read({"arms": GUARDED["arms"]})) == ()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**STEPS, "steps": [{"weight": 5, "for": "2h"}, *STEPS["steps"][1:]]}, id="a step"),
        pytest.param({**STEPS, "guard": {"maxErrorPercent": 2}}, id="a guard"),
        pytest.param({**STEPS, "arms": [{"model": "mini"}, {"model": "flagship"}]}, id="an arm"),
        pytest.param({**STEPS, "attempt": 2}, id="an attempt"),
    ],
)
def test_what_is_written_of_a_split_makes_its_name(other: Json) -> None:
    assert name(other) != name(STEPS)


def test_what_its_arms_stand_for_makes_its_name_and_nothing_else_of_the_policy_does() -> None:
    upgraded = [used("mini", "gpt-4o-mini"), used("next", "gpt-6-mini"), used("flagship", "gpt-4o")]
    elsewhere = [used("mini", "gpt-4o-mini"), used("next", "gpt-5-mini"), used("flagship", "gpt-6-mini")]

    assert name(STEPS, models=upgraded) != name(STEPS)
    assert name(STEPS, models=elsewhere, allowPinning=True) == name(STEPS)


def test_a_rule_says_what_the_policy_does() -> None:
    guard = {
        "minSamples": 200,
        "maxErrorPercent": 2,
        "maxErrorPercentOverStable": 1,
        "maxP95": "1500ms",
        "maxP95PercentOverStable": 20,
        "minConfidence": "0.7",
        "maxConfidenceBelowStable": "0.05",
        "maxNegativeFeedbackPercent": 10,
        "maxNegativeFeedbackPercentOverStable": 5,
    }

    (rule,) = split_rules(
        read({**STEPS, "guard": guard}, escalation={"model": "flagship", "confidence": {"below": "0.6"}})
    )

    assert (rule.route, rule.stable, rule.canary, rule.weights) == ("new", "mini", "next", (0, 0))
    assert rule.steps == (SplitStep(weight=5, seconds=3600), SplitStep(weight=25, seconds=1800), SplitStep(weight=100))
    assert rule.bar == Bar(
        min_samples=200,
        max_errors=0.02,
        max_errors_over_stable=0.01,
        max_p95=1.5,
        max_p95_over_stable=0.2,
        min_confidence=0.7,
        max_confidence_below_stable=0.05,
        max_negative=0.1,
        max_negative_over_stable=0.05,
    )


def test_a_guard_cannot_ask_for_confidence_of_a_model_whose_answers_are_not_looked_at() -> None:
    result = compiled(
        {
            "arms": [{"model": "mini", "weight": 95}, {"model": "flagship", "weight": 5}],
            "guard": {"minConfidence": "0.7"},
        },
        escalation={"model": "flagship", "confidence": {"below": "0.6"}},
    )

    assert isinstance(result, tuple)
    (problem,) = result
    assert str(problem) == (
        "spec.routes[0].split.guard: answers of flagship are not looked at, since it costs no less than flagship, to "
        "which requests escalate; so its guard cannot ask for confidence"
    )


def view(phase: Phase, *, step: int = 0, reason: str = "Step", message: str = "why", since: float = 0) -> SplitView:
    (rule,) = split_rules(read(STEPS))
    return SplitView(
        rule=rule, state=replace(state_of(rule, since), phase=phase, step=step, reason=reason, message=message)
    )


def state_of(rule: SplitRule, since: float) -> SplitState:
    return advance(None, rule=rule, stable=ArmCounts(), canary=ArmCounts(), now=NOW.timestamp() + since)


def test_the_status_says_where_each_split_stands() -> None:
    status = splits_status([view(Phase.PROGRESSING, step=1)], before={})

    assert status == {
        "splits": [
            {
                "route": "new",
                "phase": "Progressing",
                "stable": "mini",
                "canary": "next",
                "weight": 25,
                "step": 2,
                "reason": "Step",
                "message": "why",
                "since": "2026-03-01T10:00:00Z",
            }
        ],
        "splitsSummary": "new Progressing",
    }
    value = {**policy(), "status": status}
    assert not validate(value, definitions=definitions()).refusals


def test_what_is_not_known_yet_stays_as_it_was_and_what_is_gone_goes() -> None:
    before = splits_status([view(Phase.PAUSED)], before={})

    assert splits_status(None, before=before) == before
    assert splits_status([], before=before) == {"splits": None, "splitsSummary": None}
    assert splits_status([], before={}) == {}


@pytest.mark.parametrize(
    ("earlier", "later", "reasons"),
    [
        pytest.param(view(Phase.PROGRESSING), view(Phase.PROGRESSING), [], id="nothing"),
        pytest.param(
            view(Phase.PROGRESSING), view(Phase.PROGRESSING, step=1), [("SplitAdvanced", "Normal")], id="a step"
        ),
        pytest.param(
            view(Phase.PROGRESSING), view(Phase.PAUSED, reason="Latency"), [("SplitPaused", "Warning")], id="a pause"
        ),
        pytest.param(view(Phase.PAUSED), view(Phase.PAUSED), [], id="the same pause"),
        pytest.param(view(Phase.PAUSED), view(Phase.ROLLED_BACK), [("SplitRolledBack", "Warning")], id="a rollback"),
        pytest.param(view(Phase.PAUSED), view(Phase.PROGRESSING), [], id="the end of a pause"),
        pytest.param(
            view(Phase.PROGRESSING, step=2), view(Phase.PROMOTED, step=2), [("SplitPromoted", "Normal")], id="the end"
        ),
    ],
)
def test_events_tell_of_steps_pauses_and_ends(
    earlier: SplitView, later: SplitView, reasons: list[tuple[str, str]]
) -> None:
    before, after = splits_status([earlier], before={}), splits_status([later], before={})

    told = [each for _, each in split_announcements(before=before, after=after)]

    assert [(each.reason, each.type) for each in told] == reasons
    assert all(each.note == "route new: why" for each in told)


def test_the_same_news_make_the_same_event_and_others_another() -> None:
    metadata = read(STEPS).metadata

    def event(since: float) -> str:
        after = splits_status([view(Phase.ROLLED_BACK, since=since)], before={})
        ((news, told),) = split_announcements(before={}, after=after)
        made = event_of(told, kind=Kind.POLICY, metadata=metadata, news=news, instance="r-1", now=NOW)
        assert made["regarding"]["kind"] == "ModelRoutingPolicy"
        return str(made["metadata"]["name"])

    assert event(0) == event(0)
    assert event(0) != event(60)
