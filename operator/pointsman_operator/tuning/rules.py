"""From a policy to what its splits are to do."""

from pointsman_operator.compile.quantities import duration
from pointsman_operator.compile.splits import ARMS, changes_by_itself, seconds, split_name
from pointsman_operator.resources.policy import ModelRoutingPolicy, SplitGuard
from pointsman_operator.tuning.bars import Bar
from pointsman_operator.tuning.splits import SplitRule, SplitStep


def has_moving_splits(policy: ModelRoutingPolicy) -> bool:
    """Whether the policy has splits that change by themselves."""
    return any(changes_by_itself(route.split) for route in policy.spec.routes)


def split_rules(policy: ModelRoutingPolicy) -> tuple[SplitRule, ...]:
    """The policy's splits that change by themselves."""
    rules = []
    for route in policy.spec.routes:
        split = route.split
        if split is None or not changes_by_itself(split) or len(split.arms) != ARMS:
            continue
        stable, canary = split.arms
        rules.append(
            SplitRule(
                route=route.name,
                split=split_name(policy, route),
                stable=stable.model,
                canary=canary.model,
                weights=(stable.weight or 0, canary.weight or 0),
                steps=tuple(SplitStep(weight=step.weight, seconds=seconds(step.for_)) for step in split.steps),
                bar=None if split.guard is None else _bar(split.guard),
            )
        )
    return tuple(rules)


def _bar(guard: SplitGuard) -> Bar:
    return Bar(
        min_samples=guard.min_samples,
        max_errors=_share(guard.max_error_percent),
        max_errors_over_stable=_share(guard.max_error_percent_over_stable),
        max_p95=None if guard.max_p95 is None else duration(guard.max_p95).ToMilliseconds() / 1000,
        max_p95_over_stable=_share(guard.max_p95_percent_over_stable),
        min_confidence=_number(guard.min_confidence),
        max_confidence_below_stable=_number(guard.max_confidence_below_stable),
        max_negative=_share(guard.max_negative_feedback_percent),
        max_negative_over_stable=_share(guard.max_negative_feedback_percent_over_stable),
    )


def _share(percent: int | None) -> float | None:
    return None if percent is None else percent / 100


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
