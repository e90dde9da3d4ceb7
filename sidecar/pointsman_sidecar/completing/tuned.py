"""What the policy in force is tuned by, and what is counted for that."""

from pointsman_sidecar.completing.arms import arm_result
from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.routing.policy import Policy
from pointsman_sidecar.tuning.counting import Counting
from pointsman_sidecar.tuning.shares import OwnThresholds
from pointsman_sidecar.tuning.tuning import UNTUNED, Tuning, tuning_for


class Tuned:
    """The fleet's numbers where there are any; else the sidecar's own, which it goes on looking for all the while."""

    def __init__(self, in_force: InForce, counting: Counting) -> None:
        self._in_force = in_force
        self._counting = counting
        self._own = OwnThresholds()

    def by(self, policy: Policy) -> Tuning:
        """What a request's plan is made with."""
        share = _share(policy)
        if not share:
            fleet = self._in_force.fleet
            return fleet if fleet.policy_uid == policy.uid else UNTUNED
        own = self._own.threshold(policy.uid, share)
        return tuning_for(policy.uid, share, fleet=self._in_force.fleet, own_threshold=own)

    def learn(self, progress: Progress) -> None:
        """A request was decided on. The share is of those that no route matched: of these alone the score decides."""
        policy, complexity = progress.policy, progress.complexity
        share = _share(policy)
        if share and complexity is not None and not progress.plan.route:
            self.see(policy.uid, share, complexity.score, is_high=complexity.is_high)

    def calibrated(self, policy: Policy, model: str, confidence: float) -> float:
        """How often answers of this model are right that the judge trusts so far.

        Told by the fleet's labels, where there are enough; else by what was given; else it is what the judge says.
        """
        fleet = self._in_force.fleet
        known = fleet.calibration if fleet.policy_uid == policy.uid else None
        calibration = known or self._in_force.calibration
        return confidence if calibration is None else calibration.apply(model, confidence)

    def see(self, policy_uid: str, share: int, score: float, *, is_high: bool) -> None:
        """Count a score of a policy that wants this share, in percent."""
        self._own.add(policy_uid, share, score)
        self._counting.under(policy_uid).score(score, is_high=is_high)

    def ended(self, progress: Progress, *, out_of_time: bool) -> None:
        """A request has ended, well or not; `out_of_time` as of `arm_result`."""
        arm, result = progress.plan.arm, arm_result(progress, out_of_time=out_of_time)
        if arm is not None and result is not None:
            self._counting.under(progress.policy.uid).arm(result, split=arm.split, model=arm.model)


def _share(policy: Policy) -> int:
    return 0 if policy.escalation is None else policy.escalation.complexity_share
