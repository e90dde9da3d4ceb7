"""The threshold that sends a share of a fleet's requests up, found from how its scores are spread: pure."""

import math
from array import array
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import add

from pointsman_operator.tuning.tallies import Growth

BINS = 256
# About so many scores count, the latest most. A share of 10 % of them is known to half a point. Where more come, it is
# those of some computings: of each, some sidecars have spoken only.
MEMORY = 5_000
_COMPUTINGS = 10
# The shipped model's spread counts as much as this many scores. They make way like others.
PRIOR = 40
# Of fewer scores, what each sidecar finds by itself does.
ENOUGH = 100
# What was missed in so many is made up for in as many; where more come, in those of some computings: a threshold is
# heard of late, and what is made up for faster than that swings.
RECENT = 500
_MADE_UP_IN = 5
# What moves it by less, in the bins' own measure, is not worth telling thousands of sidecars.
_WORTH = 0.001
_DIGITS = 6
# As the contract has them, and the end of the last.
_EDGES = tuple(math.sin(at / BINS * math.pi / 2) ** 2 for at in range(BINS + 1))
_SHIPPED = tuple(PRIOR * (end - begin) for begin, end in pairwise(_EDGES))


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How the scores of late are spread, and the threshold that is in force for a share.

    `judged` of the latest were held against a threshold for this share, of which `high` were above it. `fresh` of them
    came since the threshold was placed last, and about `pace` do from one placing to the next.
    """

    # No tuple of floats: these take four times the room, and there are thousands of policies.
    bins: "array[float]" = field(default_factory=lambda: array("d", _SHIPPED))
    judged: float = 0.0
    high: float = 0.0
    fresh: float = 0.0
    pace: float = 0.0
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
    """The scores with more of them."""
    if not any(growth.scores):
        return scores
    added = sum(growth.scores)
    more = (*growth.scores, *(0,) * (BINS - len(growth.scores)))
    return replace(
        scores,
        bins=array("d", map(add, scores.bins, more)),
        judged=scores.judged + added,
        high=scores.high + min(growth.high, added),
        fresh=scores.fresh + added,
    )


def _aged(scores: Scores) -> Scores:
    """The scores, of which the older make way for those that came since the last placing."""
    if not scores.fresh:
        return scores
    pace = max(scores.fresh, 0.9 * scores.pace)
    stays = min(1.0, max(MEMORY, _COMPUTINGS * pace) / scores.total)
    bins = scores.bins if stays == 1 else array("d", (each * stays for each in scores.bins))
    stays = min(1.0, max(RECENT, _MADE_UP_IN * pace) / scores.judged) if scores.judged else 1.0
    return replace(scores, bins=bins, judged=scores.judged * stays, high=scores.high * stays, fresh=0.0, pace=pace)


def placed(scores: Scores, share: int) -> Scores:
    """The scores with the threshold for this share, in percent; 0 wants none. The same object where nothing changes."""
    scores = _aged(scores)
    if share != scores.share:
        before, scores = scores.share, replace(scores, share=share, threshold=None)
        if before:
            # What was high was so by another share's threshold: nothing is to be made up for.
            scores = replace(scores, judged=0.0, high=0.0)
    if not share or scores.total < ENOUGH + PRIOR:
        return scores
    threshold = round(_threshold(scores, share / 100), _DIGITS)
    if scores.threshold is not None and abs(_place(threshold) - _place(scores.threshold)) < _WORTH:
        return scores
    return replace(scores, threshold=threshold)


def _threshold(scores: Scores, wanted: float) -> float:
    """The score that the wanted share lies above, and what was missed of late."""
    missed = (wanted * scores.judged - scores.high) / max(RECENT, _MADE_UP_IN * scores.pace)
    above = min(1.0, max(0.0, wanted + missed)) * scores.total
    for at in range(BINS - 1, -1, -1):
        if (count := scores.bins[at]) >= above and count:
            return _EDGES[at + 1] - above / count * (_EDGES[at + 1] - _EDGES[at])
        above -= count
    return 0.0


def _place(score: float) -> float:
    """Where a score lies among bins of the same width."""
    return math.asin(math.sqrt(score)) * 2 / math.pi
