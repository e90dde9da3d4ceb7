"""What a policy's status and its Events say of splits that change by themselves: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pointsman_operator.resources import ModelRoutingPolicy, Unreadable
from pointsman_operator.status.events import Announcement
from pointsman_operator.tuning.kept_splits import KeptSplits
from pointsman_operator.tuning.rules import split_rules
from pointsman_operator.tuning.splits import Phase, SplitRule, SplitState, weights_of

_LONGEST_MESSAGE = 1024  # as in the CRD
_ANNOUNCED = {
    Phase.ROLLED_BACK: ("SplitRolledBack", "RollBack", "Warning"),
    Phase.PAUSED: ("SplitPaused", "Pause", "Warning"),
    Phase.PROMOTED: ("SplitPromoted", "Promote", "Normal"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitView:
    """A split as the policy has it, and where it stands."""

    rule: SplitRule
    state: SplitState


def split_views(policy: ModelRoutingPolicy | Unreadable, kept: KeptSplits | None) -> tuple[SplitView, ...] | None:
    """A policy's splits as they stand by what is `kept` of them; None where that is not known yet."""
    if isinstance(policy, Unreadable):
        return None
    rules = split_rules(policy)
    if not rules:
        return ()
    if kept is None or any(rule.split not in kept.splits for rule in rules):
        return None
    return tuple(SplitView(rule=rule, state=kept.splits[rule.split].state) for rule in rules)


def splits_status(splits: Sequence[SplitView] | None, *, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the status says of them; of None, which is not known yet, what it said before.

    The status is written as a merge patch, in which null removes.
    """
    if splits is None:
        return {name: before[name] for name in ("splits", "splitsSummary") if name in before}
    if not splits:
        return {name: None for name in ("splits", "splitsSummary") if name in before}
    return {
        "splits": [_entry(each) for each in splits],
        "splitsSummary": ", ".join(f"{each.rule.route} {each.state.phase}" for each in splits)[:_LONGEST_MESSAGE],
    }


def split_announcements(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Announcement]]:
    """What is to be announced when a status is followed by another, each with what tells it from other news."""
    earlier = {each.get("route"): each for each in before.get("splits") or ()}
    for entry in after.get("splits") or ():
        was, phase = earlier.get(entry["route"], {}), Phase(entry["phase"])
        news = f"{entry['route']} {phase} {entry['since']}"
        if phase is Phase.PROGRESSING:
            if entry.get("step", 0) > was.get("step", entry.get("step", 0)):
                yield (
                    news,
                    Announcement(reason="SplitAdvanced", action="Advance", note=_note(entry), type="Normal"),
                )
        elif (was.get("phase"), was.get("reason")) != (phase, entry.get("reason")):
            reason, action, type_ = _ANNOUNCED[phase]
            yield (
                news,
                Announcement(
                    reason=reason, action=action, note=_note(entry), type="Warning" if type_ == "Warning" else "Normal"
                ),
            )


def _entry(split: SplitView) -> dict[str, Any]:
    rule, state = split.rule, split.state
    weights = weights_of(rule, state)
    return {
        "route": rule.route,
        "phase": state.phase.value,
        "stable": rule.stable,
        "canary": rule.canary,
        "weight": round(100 * weights[1] / sum(weights)),
        **({"step": state.step + 1} if rule.steps else {}),
        "reason": state.reason,
        "message": state.message[:_LONGEST_MESSAGE],
        "since": datetime.fromtimestamp(state.since, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _note(entry: Mapping[str, Any]) -> str:
    return f"route {entry['route']}: {entry['message']}"
