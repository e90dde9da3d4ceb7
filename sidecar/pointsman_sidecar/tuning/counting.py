"""What this process has counted for the fleet: by policy, and growing only."""

import math
from bisect import bisect_right
from collections.abc import Callable

from pointsman_sidecar.tuning.arms import CONFIDENCE_BINS, ArmResult, ArmTallies, confidence_bin

BINS = 256
# As the contract has them: narrow at both ends, where scores are often close together.
_BEGINNINGS = tuple(math.sin(at / BINS * math.pi / 2) ** 2 for at in range(BINS))
# Policies follow each other in a sidecar; the counts of so many are kept, should one come back.
_MOST_POLICIES = 4


class ScoreTally:
    """Complexity scores, and how many of them were high."""

    def __init__(self) -> None:
        self.bins = [0] * BINS
        self.high = 0

    def add(self, score: float, *, is_high: bool) -> None:
        """Count a score from 0 to 1."""
        self.bins[max(0, bisect_right(_BEGINNINGS, score) - 1)] += 1
        self.high += is_high


class LabelTally:
    """Labels of one model's answers, by how far the judge trusted these."""

    def __init__(self) -> None:
        self.right = [0] * CONFIDENCE_BINS
        self.wrong = [0] * CONFIDENCE_BINS

    def add(self, confidence: float, *, is_right: bool) -> None:
        """Count a label of an answer of this confidence, from 0 to 1."""
        counts = self.right if is_right else self.wrong
        counts[confidence_bin(confidence)] += 1


class PolicyCounts:
    """What was counted under one policy."""

    def __init__(self, *, policy_uid: str, process: str, began: int) -> None:
        self.policy_uid = policy_uid
        self.process = process
        self.began = began
        self.scores = ScoreTally()
        self.labels: dict[str, LabelTally] = {}
        self.arms = ArmTallies()
        self.changes = 0
        """How often something was counted."""

    def score(self, score: float, *, is_high: bool) -> None:
        """Count a complexity score that the policy's share is of."""
        self.scores.add(score, is_high=is_high)
        self.changes += 1

    def label(self, model: str, confidence: float, *, is_right: bool) -> None:
        """Count a label of an answer that a model of the policy gave, of this confidence before any calibration."""
        self.labels.setdefault(model, LabelTally()).add(confidence, is_right=is_right)
        self.changes += 1

    def arm(self, result: ArmResult, *, split: str, model: str) -> None:
        """Count a request that fell to an arm of a split."""
        self.arms.add(result, split=split, model=model)
        self.changes += 1

    def arm_label(self, *, split: str, model: str, negative: bool) -> None:
        """Count a label that an answer of an arm was given."""
        self.arms.label(split=split, model=model, negative=negative)
        self.changes += 1


class Counting:
    """All that is counted in this process. `new_name` gives names that no process has had, `now` seconds since 1970."""

    def __init__(self, *, new_name: Callable[[], str], now: Callable[[], float]) -> None:
        self._new_name = new_name
        self._now = now
        self._of: dict[str, PolicyCounts] = {}

    def under(self, policy_uid: str) -> PolicyCounts:
        """What is counted under a policy."""
        if (counts := self._of.get(policy_uid)) is None:
            if len(self._of) >= _MOST_POLICIES:
                del self._of[next(iter(self._of))]
            counts = PolicyCounts(policy_uid=policy_uid, process=self._new_name(), began=int(self._now()))
            self._of[policy_uid] = counts
        return counts

    def known(self, policy_uid: str) -> PolicyCounts | None:
        """What was counted under a policy; None where nothing was."""
        return self._of.get(policy_uid)
