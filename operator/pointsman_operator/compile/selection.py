"""Which of a namespace's policies is for a pod."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from pointsman_operator.compile.selectors import matches, selector_problems
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.policy import ModelRoutingPolicy
from pointsman_operator.resources.selector import LabelSelector
from pointsman_operator.resources.unreadable import Unreadable


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a policy claims: the pods that its selector matches, or all pods where it has none.

    `legible` is false where the selector cannot be read or no label can match it as written. Nobody can say which pods
    are meant then, so such a policy keeps those that it had and wins no other.
    """

    key: Key
    uid: str
    created: datetime
    selector: LabelSelector | None
    legible: bool = True

    def precedence(self) -> tuple[bool, datetime, str]:
        """Sorts the claim that wins a pod before those that lose it."""
        return self.legible and self.selector is None, self.created, self.key.name

    def same_pods(self, other: "Claim") -> bool:
        """Whether the two claim the same pods whatever pods there are."""
        if not self.legible or not other.legible:
            return False
        if self.selector is None or other.selector is None:
            return self.selector is other.selector
        return self.selector.requirements() == other.selector.requirements()


def claim_of(policy: ModelRoutingPolicy | Unreadable) -> Claim:
    """What a policy claims; of an unreadable one, as far as its selector can still be read."""
    metadata = policy.metadata
    selector: LabelSelector | None = None
    legible = True
    if isinstance(policy, ModelRoutingPolicy):
        selector = policy.spec.selector
    elif not isinstance(policy.spec, Mapping):
        legible = False
    elif policy.spec.get("selector") is not None:
        try:
            selector = LabelSelector.model_validate(policy.spec["selector"])
        except ValidationError:
            legible = False
    if selector is not None and any(selector_problems(selector, path="")):
        legible = False
    return Claim(
        key=metadata.key,
        uid=metadata.uid,
        created=metadata.creation_timestamp,
        selector=selector,
        legible=legible,
    )


def select(
    claims: Iterable[Claim], *, pod_labels: Mapping[str, str], held_uid: str = ""
) -> tuple[Claim | None, tuple[Claim, ...]]:
    """The claim that wins a pod, and those that lose it, best first.

    One with a selector beats one without; then the older wins; then the first by name. `held_uid` is the policy that
    the pod's sidecar has in force.
    """
    entitled = [
        claim for claim in claims if (matches(claim.selector, pod_labels) if claim.legible else claim.uid == held_uid)
    ]
    if not entitled:
        return None, ()
    winner, *losers = sorted(entitled, key=Claim.precedence)
    return winner, tuple(losers)
