"""The threshold that sends a given share of requests up, found from the scores that come.

No clock and no draw: the same scores in the same order always give the same thresholds. It takes bounded memory and a
bounded time for each score.
"""

from bisect import bisect_left, insort
from collections import deque

# The shipped distribution counts as much as this many scores. They are the first to be forgotten.
_PRIOR = 40
# The scores of late, which the threshold is placed among.
_MEMORY = 1_000
# What went up of late is looked at over about so many, and what is missing or too much is made up for.
_RECENT = 300
_GAIN = 4.0


class Share:
    """One policy's: `wanted` is the share of requests, from 0 to 1, that is to be at or above the threshold."""

    def __init__(self, wanted: float) -> None:
        self.wanted = wanted
        # Scores are ranks: they lie as close together at one place as at any other.
        self._sorted = [(at + 0.5) / _PRIOR for at in range(_PRIOR)]
        self._in_turn = deque(self._sorted)
        self._recent = wanted
        self.threshold = 1.0 - wanted
        """From which score on a request goes up now."""

    def add(self, score: float) -> None:
        """See a score that was held against the threshold as it is."""
        went_up = score >= self.threshold
        self._recent += (went_up - self._recent) / _RECENT
        insort(self._sorted, score)
        self._in_turn.append(score)
        if len(self._in_turn) > _MEMORY:
            del self._sorted[bisect_left(self._sorted, self._in_turn.popleft())]
        self.threshold = self._place()

    def _place(self) -> float:
        """The score that has the wanted share above it, with what was missed of late."""
        aim = self.wanted + _GAIN * (self.wanted - self._recent)
        place = min(1.0, max(0.0, 1.0 - aim)) * (len(self._sorted) - 1)
        at = min(int(place), len(self._sorted) - 2)
        low, high = self._sorted[at], self._sorted[at + 1]
        return min(1.0, low + (high - low) * (place - at))


class OwnThresholds:
    """Those of the policy in force, where it names a share. Another policy, or share, begins anew."""

    def __init__(self) -> None:
        self._of: tuple[str, int] | None = None
        self._share = Share(0.0)

    def threshold(self, policy_uid: str, percent: int) -> float:
        """From which score on a request goes up, by what this sidecar has seen."""
        return self._found(policy_uid, percent).threshold

    def add(self, policy_uid: str, percent: int, score: float) -> None:
        """See the score of a request that was decided by the policy."""
        self._found(policy_uid, percent).add(score)

    def _found(self, policy_uid: str, percent: int) -> Share:
        if self._of != (policy_uid, percent):
            self._of = (policy_uid, percent)
            self._share = Share(percent / 100)
        return self._share
