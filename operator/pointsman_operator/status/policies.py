"""The status of a policy: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman_operator.push import Verdict
from pointsman_operator.resources import Problem
from pointsman_operator.status.conditions import Condition, failed, merged, without
from pointsman_operator.status.patches import merge_patch
from pointsman_operator.status.pods import INJECTED, PodsView, Unscanned, injected, named, pods_status
from pointsman_operator.status.splits import SplitView, splits_status

_MOST_REJECTIONS = 10  # as in the CRD
# What the status says of what is tuned.
_TUNED = ("escalation",)


@dataclass(frozen=True, kw_only=True)
class SidecarView:
    """A connected sidecar that the policy is for."""

    pod: str
    applied: bool  # whether it has this generation in force
    rejection: str | None = None  # why it would not put it in force


@dataclass(frozen=True, kw_only=True)
class PolicyView:
    """All that a policy's status depends on.

    `taken` has the pods of connected sidecars that the policy selects and another has, by the name of the other.
    `overridden_by` is the policy that selects the same pods whatever pods there are, and comes before this one.
    `pods` is None where this operator injects nothing. `tuned` is what is said of what is tuned, and `splits` how these
    stand; None where that is not known: then what was said stays.
    """

    verdict: Verdict
    sidecars: tuple[SidecarView, ...] = ()
    taken: Mapping[str, Sequence[str]]
    overridden_by: str | None = None
    access_problems: tuple[Problem, ...] = ()
    pods: PodsView | Unscanned | None = None
    tuned: Mapping[str, Any] | None = None
    splits: tuple[SplitView, ...] | None = None


def policy_status(view: PolicyView, *, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status that should stand there; `before` is what does."""
    generation = view.verdict.policy.metadata.generation
    programmed = _programmed(view)
    conflict = _conflict(view)
    ready = _ready(view, programmed=programmed, conflict=conflict)
    wanted = [ready, programmed, conflict]
    counts: dict[str, Any] = {}
    if isinstance(view.pods, PodsView):
        wanted.append(injected(view.pods, namespace=view.verdict.policy.metadata.namespace))
        counts = {"pods": pods_status(view.pods)}
    elif "pods" in before:
        # The status is written as a merge patch, in which null removes.
        counts = {"pods": before["pods"] if view.pods else None}
    kept = before if view.pods else without(before, INJECTED)
    return {
        "observedGeneration": generation,
        "conditions": merged(wanted, before=kept, generation=generation, now=now),
        "sidecars": _sidecars(view.sidecars),
        **splits_status(view.splits, before=before),
        **counts,
        **_tuned(view.tuned, before=before),
    }


def _tuned(tuned: Mapping[str, Any] | None, *, before: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: before[name] for name in _TUNED if name in before}
    return said if tuned is None else merge_patch(said, tuned)


def _programmed(view: PolicyView) -> Condition:
    if view.verdict.compiled is None:
        last_good = view.verdict.last_good
        remark = f"Generation {last_good.generation} stays in force" if last_good is not None else ""
        return failed("Programmed", view.verdict.problems, remark=remark)
    rejecting = [sidecar for sidecar in view.sidecars if sidecar.rejection is not None]
    applied = sum(sidecar.applied for sidecar in view.sidecars)
    connected = len(view.sidecars)
    if rejecting:
        rest = f" ({len(rejecting) - 1} more reject it)" if len(rejecting) > 1 else ""
        return Condition(
            type="Programmed",
            status=False,
            reason="Rejected",
            message=f"The sidecar of pod {rejecting[0].pod} rejects it: {rejecting[0].rejection}{rest}",
        )
    if applied < connected:
        return Condition(
            type="Programmed",
            status=False,
            reason="Pending",
            message=f"{applied} of {connected} connected sidecars have applied it",
        )
    if not connected:
        return Condition(
            type="Programmed",
            status=True,
            reason="NoSidecars",
            message="No sidecar that it is for is connected; the next one is given it",
        )
    message = f"All {connected} connected sidecars have applied it"
    if connected == 1:
        message = "The one connected sidecar has applied it"
    return Condition(type="Programmed", status=True, reason="Applied", message=message)


def _conflict(view: PolicyView) -> Condition:
    clauses = []
    if view.overridden_by is not None:
        clauses.append(f"ModelRoutingPolicy {view.overridden_by} selects the same pods and comes first")
    for name, pods in sorted(view.taken.items()):
        clauses.append(f"ModelRoutingPolicy {name} has {named(pods)}")
    if not clauses:
        return Condition(
            type="Conflict", status=False, reason="NoConflict", message="No other policy has pods that it selects"
        )
    return Condition(type="Conflict", status=True, reason="Overridden", message="; ".join(clauses))


def _ready(view: PolicyView, *, programmed: Condition, conflict: Condition) -> Condition:
    wholly_overridden = view.overridden_by is not None or (bool(view.taken) and not view.sidecars)
    if view.verdict.compiled is None:
        return Condition(type="Ready", status=False, reason=programmed.reason, message=programmed.message)
    if wholly_overridden:
        return Condition(type="Ready", status=False, reason="Conflict", message=conflict.message)
    if view.access_problems:
        return failed("Ready", view.access_problems)
    if not programmed.status:
        return Condition(type="Ready", status=False, reason=programmed.reason, message=programmed.message)
    return Condition(type="Ready", status=True, reason="InForce", message="It is in force for the pods that it is for")


def _sidecars(sidecars: Sequence[SidecarView]) -> dict[str, Any]:
    rejections = [
        {"sidecar": sidecar.pod, "reason": sidecar.rejection} for sidecar in sidecars if sidecar.rejection is not None
    ]
    applied = sum(sidecar.applied for sidecar in sidecars)
    return {
        "connected": len(sidecars),
        "applied": applied,
        "rejected": len(rejections),
        "summary": f"{applied}/{len(sidecars)}",
        "rejections": rejections[:_MOST_REJECTIONS],
    }
