"""The Events of a quota, at its steps and its end: pure.

What was announced can be seen from the status that stood there before. Beside that an Event has a name that is the same
for the same news of the same hour, or window where that is longer: whoever makes it again, such as another replica,
is told that it is there.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pointsman_operator.compile.budgets import amount_of
from pointsman_operator.ledger.windows import Window
from pointsman_operator.resources import TokenQuota
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.quota import QuotaStep
from pointsman_operator.status.amounts import words
from pointsman_operator.status.events import Announcement, event_of
from pointsman_operator.status.quotas import resets_at

EXHAUSTED = "Exhausted"
_HOUR = 3600


def announcements(
    quota: TokenQuota, *, window: Window, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Announcement]:
    """What is to be announced when a status is followed by another."""
    same = before.get("resetsAt") == after.get("resetsAt")
    earlier = before.get("step", 0) if same else 0
    reached = after.get("step", 0)
    for step in quota.spec.steps:
        if earlier < step.at_percent <= reached:
            yield Announcement(
                reason=f"Reached{step.at_percent}Percent", action="Degrade", note=_note(quota, step, window)
            )
    now = _condition(after, "Exhausted")
    was = _condition(before, "Exhausted")
    if now.get("status") == "True" and not (same and was.get("status") == "True"):
        action = "KeepToDefaultModel" if quota.spec.when_exhausted == "DefaultModel" else "Refuse"
        yield Announcement(reason=EXHAUSTED, action=action, note=f"{now.get('message', '')}; {_END[action]}")


def event(
    announcement: Announcement, *, quota: TokenQuota, window: Window, instance: str, now: datetime
) -> dict[str, Any]:
    """The Event, of events.k8s.io/v1. `instance` is who announces."""
    period = window.start if window.end - window.start > _HOUR else window.start // _HOUR * _HOUR
    return event_of(
        announcement,
        kind=Kind.QUOTA,
        metadata=quota.metadata,
        news=f"{announcement.reason} {period}",
        instance=instance,
        now=now,
    )


_END = {
    "Refuse": "requests are refused",
    "KeepToDefaultModel": "requests keep to the default model",
}
_WHOSE = {"Namespace": "", "Workload": " by a workload", "User": " by a user"}


def _note(quota: TokenQuota, step: QuotaStep, window: Window) -> str:
    limit = amount_of(quota.spec.limit)
    effects = []
    if step.max_output_tokens is not None:
        effects.append(f"answers are capped at {step.max_output_tokens} tokens")
    if step.only is not None:
        effects.append("the default model alone answers")
    if step.disable:
        effects.append("no call is hedged")
    return (
        f"{step.at_percent} % of {words(limit.value, limit)} are used{_WHOSE[quota.spec.scope]}: "
        f"until {resets_at(quota, window)} {', '.join(effects)}"
    )


def _condition(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    return next((each for each in status.get("conditions") or () if each.get("type") == type_), {})
