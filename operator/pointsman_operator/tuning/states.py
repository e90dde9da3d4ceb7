"""What is kept of one policy, how more of it is taken in, and what its sidecars are told of it: pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.resources import Key, ModelRoutingPolicy, Unreadable
from pointsman_operator.tuning import calibrations, kept_splits, thresholds
from pointsman_operator.tuning.arm_messages import split_messages
from pointsman_operator.tuning.calibrations import Labels
from pointsman_operator.tuning.kept_splits import KeptSplits
from pointsman_operator.tuning.rules import split_rules
from pointsman_operator.tuning.suites import suite_gate
from pointsman_operator.tuning.tallies import Growth
from pointsman_operator.tuning.thresholds import Scores


@dataclass(frozen=True, kw_only=True)
class PolicyState:
    """`version` is that of what was told last; 0 where nothing was."""

    policy: Key
    uid: str
    version: int = 0
    scores: Scores = field(default_factory=Scores)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    told_labels: Mapping[str, Labels] = field(default_factory=dict)
    splits: KeptSplits = field(default_factory=KeptSplits)


def taken_in(state: PolicyState, growth: Growth) -> PolicyState:
    """The state with what was counted since."""
    return replace(
        state,
        scores=thresholds.taken_in(state.scores, growth),
        labels=calibrations.taken_in(state.labels, growth.labels),
        splits=kept_splits.taken_in(state.splits, growth.arms),
    )


def retuned(
    state: PolicyState,
    policy: ModelRoutingPolicy | Unreadable,
    *,
    now: float,
    is_in_force: bool = True,
) -> PolicyState:
    """The state that the policy makes of it; of a higher version where something else is to be told.

    Splits stand still while the policy is not in force: sidecars go by an earlier one. Versions are taken from the
    clock, so that they grow even where what was kept is lost.
    """
    if isinstance(policy, Unreadable):
        return state
    after = replace(
        state,
        scores=thresholds.placed(state.scores, _share(policy)),
        told_labels=calibrations.told(state.told_labels, state.labels),
        splits=kept_splits.moved_on(state.splits, split_rules(policy), now=now, gate=suite_gate(policy))
        if is_in_force
        else state.splits,
    )
    if tuning_of(after) == tuning_of(state):
        return after
    return replace(after, version=max(state.version + 1, int(now * 1000)))


def tuning_of(state: PolicyState) -> pb.Tuning:
    """What its sidecars are told."""
    scores = state.scores
    tuning = pb.Tuning(policy_uid=state.uid, version=state.version, splits=split_messages(state.splits))
    if scores.threshold is not None:
        tuning.complexity_threshold = f"{scores.threshold:f}"
        tuning.complexity_share = scores.share
    for model, labels in sorted(state.told_labels.items()):
        tuning.labels.add(model=model, right=labels.right, wrong=labels.wrong)
    return tuning


def status_of(state: PolicyState) -> dict[str, Any]:
    """What the policy's status says of it, coarse enough to hold still where nothing moves."""
    scores = state.scores
    complexity: dict[str, Any] = {}
    if scores.threshold is not None:
        complexity["threshold"] = f"{scores.threshold:.3f}"
    if scores.share and (seen := scores.seen) is not None:
        complexity["share"] = round(seen * 100)
    return {"escalation": {"complexity": complexity}} if complexity else {}


def _share(policy: ModelRoutingPolicy) -> int:
    escalation = policy.spec.escalation
    complexity = None if escalation is None else escalation.complexity
    return 0 if complexity is None else complexity.target_share or 0
