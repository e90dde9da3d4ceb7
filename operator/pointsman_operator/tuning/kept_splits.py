"""What is kept of a policy's splits: the counts of their arms, where each stands, and as text for a record. Pure.

Counts are those of the window that a split is looked at by: what came before it is of no more use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.splits import Phase, SplitRule, SplitState, advance, weights_of

# States of splits that the policy no longer has: of sidecars that have not heard of that yet, and should it come back.
_MOST_FORMER = 16
_NOTHING = ArmCounts()
Gate = Callable[[SplitRule, SplitState], str]
"""Why a split may not take its next step; empty where it may."""


def open_gate(_rule: SplitRule, _state: SplitState) -> str:
    """Nobody holds it back."""
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSplit:
    """Where a split stands, and what its sidecars are told: the weights in force, and who was rolled back, if so."""

    route: str
    state: SplitState
    weights: tuple[int, int]
    rolled_back: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSplits:
    """Of one policy. `arms` are by split and model, `splits` by name."""

    arms: Mapping[tuple[str, str], ArmCounts] = field(default_factory=dict)
    splits: Mapping[str, KeptSplit] = field(default_factory=dict)

    @property
    def is_moving(self) -> bool:
        """Whether time alone may change anything."""
        return any(not each.state.phase.is_final for each in self.splits.values())

    def moved_since(self, before: "KeptSplits") -> list[KeptSplit]:
        """The splits that stand elsewhere than before, or did not stand anywhere."""
        return [
            each
            for name, each in self.splits.items()
            if (was := before.splits.get(name)) is None
            or (was.state.phase, was.state.step, was.state.reason, was.state.struck)
            != (each.state.phase, each.state.step, each.state.reason, each.state.struck)
        ]


def taken_in(kept: KeptSplits, grown: Mapping[tuple[str, str], ArmCounts]) -> KeptSplits:
    """With what was counted since, of splits that are known and not at their end."""
    more = {
        key: kept.arms.get(key, _NOTHING) + counts
        for key, counts in grown.items()
        if key[0] in kept.splits and not kept.splits[key[0]].state.phase.is_final
    }
    return replace(kept, arms={**kept.arms, **more}) if more else kept


def moved_on(
    kept: KeptSplits,
    rules: Sequence[SplitRule],
    *,
    now: float,
    gate: Gate = open_gate,
) -> KeptSplits:
    """Where the splits stand now."""
    arms: dict[tuple[str, str], ArmCounts] = {}
    ours = {rule.split for rule in rules}
    former = [name for name in kept.splits if name not in ours][-_MOST_FORMER:]
    splits = {name: kept.splits[name] for name in former}
    for rule in rules:
        stable, canary = ((rule.split, model) for model in (rule.stable, rule.canary))
        before = kept.splits.get(rule.split)
        state = advance(
            None if before is None else before.state,
            rule=rule,
            stable=kept.arms.get(stable, _NOTHING),
            canary=kept.arms.get(canary, _NOTHING),
            now=now,
            gate="" if before is None else gate(rule, before.state),
        )
        if not state.phase.is_final:
            for key, start in ((stable, state.stable_from), (canary, state.canary_from)):
                if (counts := kept.arms.get(key, _NOTHING) - start) != _NOTHING:
                    arms[key] = counts
        splits[rule.split] = KeptSplit(
            route=rule.route,
            state=replace(state, stable_from=_NOTHING, canary_from=_NOTHING),
            weights=weights_of(rule, state),
            rolled_back=rule.canary if state.phase is Phase.ROLLED_BACK else "",
        )
    return KeptSplits(arms=arms, splits=splits)


def encode(kept: KeptSplits) -> list[dict[str, Any]]:
    """As JSON takes it, what is empty left out."""
    return [
        {
            "split": name,
            "route": each.route,
            "phase": each.state.phase.value,
            "step": each.state.step,
            "since": each.state.since,
            "began": each.state.began,
            "passed": each.state.passed,
            "struck": each.state.struck,
            "reason": each.state.reason,
            "message": each.state.message,
            "weights": list(each.weights),
            "rolledBack": each.rolled_back,
            "arms": {model: _encoded(counts) for (split, model), counts in kept.arms.items() if split == name},
        }
        for name, each in kept.splits.items()
    ]


def decode(content: Any) -> KeptSplits:
    """Read it. Raise LookupError, TypeError, ValueError or AttributeError where it is none of ours."""
    arms: dict[tuple[str, str], ArmCounts] = {}
    splits = {}
    for each in content or ():
        name, (stable, canary) = str(each["split"]), each["weights"]
        struck = each["struck"]
        splits[name] = KeptSplit(
            route=str(each["route"]),
            state=SplitState(
                split=name,
                phase=Phase(each["phase"]),
                step=int(each["step"]),
                since=float(each["since"]),
                began=float(each["began"]),
                stable_from=_NOTHING,
                canary_from=_NOTHING,
                passed=bool(each["passed"]),
                struck=None if struck is None else float(struck),
                reason=str(each["reason"]),
                message=str(each["message"]),
            ),
            weights=(int(stable), int(canary)),
            rolled_back=str(each["rolledBack"]),
        )
        arms |= {(name, str(model)): _decoded(counts) for model, counts in each["arms"].items()}
    return KeptSplits(arms=arms, splits=splits)


def _encoded(counts: ArmCounts) -> dict[str, Any]:
    return {
        "requests": counts.requests,
        "errors": counts.errors,
        "labels": counts.labels,
        "negative": counts.negative,
        "latency": {str(at): count for at, count in enumerate(counts.latency) if count},
        "confidence": {str(at): count for at, count in enumerate(counts.confidence) if count},
    }


def _decoded(content: Any) -> ArmCounts:
    counts = ArmCounts(
        requests=int(content["requests"]),
        errors=int(content["errors"]),
        labels=int(content["labels"]),
        negative=int(content["negative"]),
        latency=_bins(content["latency"], most=1024),
        confidence=_bins(content["confidence"], most=1024),
    )
    if not counts.is_sound:
        raise ValueError("a count below 0")
    return counts


def _bins(content: Mapping[str, Any], *, most: int) -> tuple[int, ...]:
    found = {int(at): int(count) for at, count in content.items()}
    if any(not 0 <= at < most for at in found):
        raise ValueError("a bin that there is not")
    return tuple(found.get(at, 0) for at in range(max(found, default=-1) + 1))
