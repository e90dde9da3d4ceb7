"""What is in force in this sidecar now. Set by the control stream, read on each request."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman_sidecar.confidence.calibration import Calibration
from pointsman_sidecar.routing.policy import Policy
from pointsman_sidecar.tuning.tuning import UNTUNED, Tuning, is_found

WAITING = "the operator has not sent a policy yet"


@dataclass(kw_only=True, slots=True)
class InForce:
    """The policy, or a sentence why there is none; and the key of each provider that may be called.

    A provider that is not in `access` may not be called; an empty key means that it asks for none. `waiting` tells a
    sidecar that has heard nothing yet from one that was told that no policy is for it. `fleet` is what the operator
    made of the counts of all sidecars, of this policy or of another one. `calibration` is what was given to say what
    confidences mean where the fleet's labels do not.
    """

    policy: Policy | None = None
    no_policy: str = WAITING
    access: Mapping[str, str] = field(default_factory=dict, repr=False)
    waiting: bool = True
    fleet: Tuning = UNTUNED
    calibration: Calibration | None = None

    def is_untuned(self) -> bool:
        """Whether the policy asks for a share of complex requests that the fleet has no threshold for."""
        rule = None if self.policy is None else self.policy.escalation
        share = 0 if rule is None else rule.complexity_share
        return self.policy is not None and share > 0 and not is_found(self.policy.uid, share, fleet=self.fleet)

    def apply(self, policy: Policy) -> None:
        """Put a policy in force."""
        self.policy, self.no_policy, self.waiting = policy, "", False

    def withdraw(self, reason: str) -> None:
        """Have no policy in force."""
        self.policy, self.no_policy, self.waiting = None, reason, False
