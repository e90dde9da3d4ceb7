"""What is tuned of a policy beside its snapshot: an input of its plans."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman_sidecar.confidence.calibration import Calibration
from pointsman_sidecar.tuning.splits import SplitState


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """Of the policy with this UID. Of two, the one with the higher version is the later.

    `complexity_threshold` is the score from which on a request goes up, found for a share of `complexity_share`
    percent; None where none was found. `calibration` is what confidences mean, None where that is not known. `splits`
    are the states of splits that change by themselves, by name.
    """

    policy_uid: str = ""
    version: int = 0
    complexity_threshold: float | None = None
    complexity_share: int = 0
    calibration: Calibration | None = None
    splits: Mapping[str, SplitState] = field(default_factory=dict)


UNTUNED = Tuning()


def is_found(policy_uid: str, share: int, *, fleet: Tuning) -> bool:
    """Whether the fleet has a threshold for this policy and this share, in percent."""
    return fleet.policy_uid == policy_uid and fleet.complexity_share == share and fleet.complexity_threshold is not None


def tuning_for(policy_uid: str, share: int, *, fleet: Tuning, own_threshold: float) -> Tuning:
    """What a policy that wants this share, in percent, is tuned by.

    The fleet's threshold, where it was found for this policy and this share; else the sidecar's own.
    """
    if is_found(policy_uid, share, fleet=fleet):
        return fleet
    ours = fleet if fleet.policy_uid == policy_uid else UNTUNED
    return Tuning(policy_uid=policy_uid, complexity_threshold=own_threshold, complexity_share=share, splits=ours.splits)


def without_thresholds(fleet: Tuning) -> Tuning:
    """What is left of it once it is old: where a split stands was decided, and is not found anew."""
    return Tuning(policy_uid=fleet.policy_uid, version=fleet.version, splits=fleet.splits)
