"""The threshold that sends a share of a fleet's requests up, found from how its scores are spread: pure."""

import math
from dataclasses import dataclass, replace

from pointsman_operator.tuning.tallies import Growth

BINS = 256
# About so many scores count, the latest most. A share of 10 % of them is known to half a point.
MEMORY = 5_000
# Of fewer, a threshold is no better than what each sidecar finds by itself.
ENOUGH = 1_000
# What moves it by less, in the bins' own measure, is not worth telling thousands of sidecars.
_WORTH = 0.001
_DIGITS = 6
# As the contract has them, and the end of the last.
_EDGES = tuple(math.sin(at / BINS * math.pi / 2) ** 2 for at in range(BINS + 1))


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How the scores of late are spread, and the threshold that is in force for a share.

    `judged` of them were held against a threshold for this share, of which `high` were above it.
    """

    bins: tuple[float, ...] = (0.0,) * BINS
    judged: float = 0.0
    high: float = 0.0
    share: int = 0
    threshold: float | None = None

    @property
    def total(self) -> float:
        """How many scores these are."""
        return sum(self.bins)

    @property
    def seen(self) -> float | None:
        """The share that was high, from 0 to 1; None where that is not known."""
        return self.high / self.judged if self.judged else None


def taken_in(scores: Scores, growth: Growth) -> Scores:
    """The scores with more of them, to which older ones make way."""
    if not any(growth.scores):
        return scores
    total, added = scores.total, sum(growth.scores)
    stays = min(1.0, max(0.0, MEMORY - added) / total) if total else 0.0
    more = (*growth.scores, *(0,) * (BINS - len(growth.scores)))
    bins = tuple(each * stays + new for each, new in zip(scores.bins, more, strict=True))
    high = scores.high * stays + min(growth.high, added)
    return replace(scores, bins=bins, judged=scores.judged * stays + added, high=high)


def placed(scores: Scores, share: int) -> Scores:
    """The scores with the threshold for this share, in percent; 0 wants none. The same object where nothing changes."""
    if share != scores.share:
        before, scores = scores.share, replace(scores, share=share, threshold=None)
        if before:
            # What was high was so by another share's threshold: nothing is to be made up for.
            scores = replace(scores, judged=0.0, high=0.0)
    if not share or scores.total < ENOUGH:
        return scores
    threshold = round(_threshold(scores, share / 100), _DIGITS)
    if scores.threshold is not None and abs(_place(threshold) - _place(scores.threshold)) < _WORTH:
        return scores
    return replace(scores, threshold=threshold)


def _threshold(scores: Scores, wanted: float) -> float:
    """The score that the wanted share lies above, and what was missed of late."""
    missed = wanted * scores.judged - scores.high
    above = min(scores.total, max(0.0, wanted * scores.total + missed))
    for at in range(BINS - 1, -1, -1):
        if (count := scores.bins[at]) >= above and count:
            return _EDGES[at + 1] - above / count * (_EDGES[at + 1] - _EDGES[at])
        above -= count
    return 0.0


def _place(score: float) -> float:
    """Where a score lies among bins of the same width."""
    return math.asin(math.sqrt(score)) * 2 / math.pi
