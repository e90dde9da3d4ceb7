"""What is new in what sidecars say they have counted: pure.

Each says what it has counted since it began, so what it said before is taken off. Of sidecars that were counted before
this replica kept count, that is not known: nothing of what they have by then is new, and what comes after it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.tuning.arm_messages import arm_growth
from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.calibrations import Labels

# As many as a fleet has sidecars, and some that went. Each takes about half a KiB.
MOST_PROCESSES = 20_000


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What was counted under a policy, and not before."""

    scores: tuple[int, ...] = ()
    high: int = 0
    labels: Mapping[str, Labels] = field(default_factory=dict)
    arms: Mapping[tuple[str, str], ArmCounts] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it is anything."""
        return any(self.scores) or self.high > 0 or bool(self.labels) or bool(self.arms)


class Tallies:
    """What each process said last. `kept` says of each policy up to when its sidecars have been counted before."""

    def __init__(self, kept: Mapping[str, int]) -> None:
        self._kept = kept
        self._said: dict[tuple[str, str], bytes] = {}
        # Of a process that was forgotten it is not known what it said.
        self._forgotten_until = 0

    def hear(self, tally: pb.Tally, *, now: float) -> Growth:
        """What is new in this."""
        key = tally.policy_uid, tally.process
        said = self._said.pop(key, None)
        self._said[key] = tally.SerializeToString()
        if len(self._said) > MOST_PROCESSES:
            del self._said[next(iter(self._said))]
            self._forgotten_until = int(now)
        if said is None:
            counted_before = max(self._kept.get(tally.policy_uid, 0), self._forgotten_until)
            return Growth() if tally.began <= counted_before else growth(pb.Tally(), tally)
        return growth(pb.Tally.FromString(said), tally)


def growth(before: pb.Tally, after: pb.Tally) -> Growth:
    """What a tally has that the one before it had not."""
    known = {each.model: each for each in before.labels}
    labels = {each.model: _labels(known.get(each.model, pb.LabelTally()), each) for each in after.labels}
    return Growth(
        scores=_more(before.complexity.bins, after.complexity.bins),
        high=max(0, after.complexity.high - before.complexity.high),
        labels={model: grown for model, grown in labels.items() if grown.count},
        arms=arm_growth(before.arms, after.arms),
    )


def _labels(before: pb.LabelTally, after: pb.LabelTally) -> Labels:
    return Labels(right=_more(before.right, after.right), wrong=_more(before.wrong, after.wrong))


def _more(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    return tuple(max(0, count - (before[at] if at < len(before) else 0)) for at, count in enumerate(after))
