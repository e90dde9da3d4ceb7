"""Conditions, as Kubernetes' API conventions have them: pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pointsman_operator.resources import Problem

_MOST_MESSAGE = 4096


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Whether something holds, and why."""

    type: str
    status: bool
    reason: str
    message: str


def failed(type_: str, problems: Sequence[Problem], *, remark: str = "") -> Condition:
    """A condition that is false for these problems: the first gives the reason, all of them the message."""
    message = "; ".join(str(problem) for problem in problems)
    if remark:
        message = f"{message}. {remark}"
    return Condition(type=type_, status=False, reason=problems[0].reason, message=message)


def merged(
    wanted: Iterable[Condition], *, before: Mapping[str, Any], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions to write: `lastTransitionTime` stays while the status does, and so do the conditions of others."""
    there = {each["type"]: each for each in before.get("conditions") or () if "type" in each}
    written = []
    for condition in wanted:
        status = "True" if condition.status else "False"
        earlier = there.pop(condition.type, {})
        since = earlier.get("lastTransitionTime") if earlier.get("status") == status else None
        written.append(
            {
                "type": condition.type,
                "status": status,
                "observedGeneration": generation,
                "lastTransitionTime": since or _timestamp(now),
                "reason": condition.reason,
                "message": _shortened(condition.message),
            }
        )
    return [*written, *there.values()]


def without(status: Mapping[str, Any], type_: str) -> dict[str, Any]:
    """The status without the conditions of a type."""
    return {**status, "conditions": [each for each in status.get("conditions") or () if each.get("type") != type_]}


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shortened(message: str) -> str:
    return message if len(message) <= _MOST_MESSAGE else f"{message[: _MOST_MESSAGE - 1]}…"
