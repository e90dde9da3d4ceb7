"""The pods that asked for a sidecar, and whether they have today's: pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pointsman_operator.inject import INJECTED_LABEL, asks
from pointsman_operator.resources import Pod
from pointsman_operator.status.conditions import Condition

INJECTED = "Injected"
_MOST_NAMED = 3


class PodState(StrEnum):
    """What a pod that asked for a sidecar has."""

    CURRENT = "current"
    OUTDATED = "outdated"
    UNINJECTED = "uninjected"


@dataclass(frozen=True, kw_only=True)
class PodsView:
    """The pods that a policy selects and that asked for a sidecar, by name."""

    current: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    uninjected: tuple[str, ...] = ()


class Unscanned:
    """Nobody has looked yet for pods without a sidecar: what stands in a status stays."""


def state_of(pod: Pod, *, namespace_labels: Mapping[str, str], fingerprint: str) -> PodState | None:
    """What the pod has of what it asked for; None where it did not ask, or is none to look at.

    `fingerprint` is the annotation of a pod that is injected today. Whoever has our label and not our annotation wrote
    the label by hand, or in a template: that brings no sidecar.
    """
    if pod.leaving or pod.mirror:
        return None
    labels = pod.metadata.labels
    if pod.injection and labels.get(INJECTED_LABEL) == "true":
        return PodState.CURRENT if pod.injection == fingerprint else PodState.OUTDATED
    return PodState.UNINJECTED if asks(labels, namespace_labels=namespace_labels) else None


def injected(view: PodsView, *, namespace: str) -> Condition:
    """The condition that says whether all pods have what they asked for, and what to do where they have not."""
    clauses = [*_lacking(view.uninjected), *_old(view.outdated)]
    if clauses:
        remedy = f"Restart what they belong to, as by kubectl rollout restart deployment/NAME -n {namespace}"
        reason = "Uninjected" if view.uninjected else "Outdated"
        return Condition(type=INJECTED, status=False, reason=reason, message=". ".join([*clauses, remedy]))
    if not view.current:
        message = "No pod that it selects asks for a sidecar"
        return Condition(type=INJECTED, status=True, reason="NoPods", message=message)
    message = "Each pod that it selects and that asks for a sidecar has today's"
    return Condition(type=INJECTED, status=True, reason="AllCurrent", message=message)


def pods_status(view: PodsView) -> dict[str, Any]:
    """The counts."""
    current, outdated, uninjected = len(view.current), len(view.outdated), len(view.uninjected)
    return {
        "injected": current + outdated,
        "outdated": outdated,
        "uninjected": uninjected,
        "summary": f"{current}/{current + outdated + uninjected}",
    }


def named(pods: Collection[str]) -> str:
    """Pods by name, the first few of them."""
    first = sorted(pods)[:_MOST_NAMED]
    rest = len(pods) - len(first)
    return f"{'pod' if len(pods) == 1 else 'pods'} {', '.join(first)}" + (f" and {rest} more" if rest else "")


def _lacking(pods: Sequence[str]) -> Iterator[str]:
    if pods:
        verb = "has" if len(pods) == 1 else "have"
        yield f"{_begun(named(pods))} asked for a sidecar and {verb} none"


def _old(pods: Sequence[str]) -> Iterator[str]:
    if pods:
        sentence = (
            "has a sidecar of other settings than it" if len(pods) == 1 else "have sidecars of other settings than they"
        )
        yield f"{_begun(named(pods))} {sentence} would get today"


def _begun(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
