"""What was counted of one arm of a split: numbers that only grow, and what is asked of the difference of two of them.

The bins of both histograms are said in tuning.proto, which is the contract with those who count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from math import log2

_BINS_PER_DOUBLING = 8
_FIRST_SECONDS = 0.001
CONFIDENCE_GRAIN = 0.02
_P95 = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmCounts:
    """Counts of one arm. `latency` and `confidence` are histograms, without the empty bins at their end."""

    requests: int = 0
    errors: int = 0
    latency: tuple[int, ...] = ()
    confidence: tuple[int, ...] = ()
    labels: int = 0
    negative: int = 0

    def __add__(self, other: "ArmCounts") -> "ArmCounts":
        """Both together."""
        return ArmCounts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            latency=_paired(self.latency, other.latency, sign=1),
            confidence=_paired(self.confidence, other.confidence, sign=1),
            labels=self.labels + other.labels,
            negative=self.negative + other.negative,
        )

    def __sub__(self, earlier: "ArmCounts") -> "ArmCounts":
        """What came since then."""
        return ArmCounts(
            requests=self.requests - earlier.requests,
            errors=self.errors - earlier.errors,
            latency=_paired(self.latency, earlier.latency, sign=-1),
            confidence=_paired(self.confidence, earlier.confidence, sign=-1),
            labels=self.labels - earlier.labels,
            negative=self.negative - earlier.negative,
        )

    @property
    def is_sound(self) -> bool:
        """Whether no number is below 0: false of a difference to counts of which some were lost since."""
        return min(self.requests, self.errors, self.labels, self.negative, *self.latency, *self.confidence) >= 0

    @property
    def answers(self) -> int:
        """The requests that the arm's model answered."""
        return sum(self.latency)

    @property
    def judged(self) -> int:
        """The answers whose confidence is known."""
        return sum(self.confidence)

    def slower_than(self, seconds: float) -> float:
        """How many answers took longer; of the bin that the time lies in, by where in it."""
        place = _BINS_PER_DOUBLING * log2(max(seconds, _FIRST_SECONDS) / _FIRST_SECONDS)
        within = int(place)
        if within + 1 >= len(self.latency):
            return 0.0
        # Bin i reaches from place i - 1 to i.
        return sum(self.latency[within + 2 :]) + self.latency[within + 1] * (1 - (place - within))

    @property
    def p95(self) -> float:
        """The seconds within which 95 of a hundred answers came; 0 where there are none."""
        wanted, total = _P95 * self.answers, self.answers
        if not total:
            return 0.0
        at = next(index for index, below in enumerate(accumulate(self.latency)) if below >= wanted)
        missing = (wanted - sum(self.latency[:at])) / self.latency[at]
        return float(_FIRST_SECONDS * 2 ** ((at - 1 + missing) / _BINS_PER_DOUBLING))

    @property
    def mean_confidence(self) -> float:
        """The mean; 0 where none is known."""
        return _mean(self.confidence)

    @property
    def confidence_variance(self) -> float:
        """How far confidences lie apart."""
        mean, judged = self.mean_confidence, self.judged
        return sum(count * (_middle(index) - mean) ** 2 for index, count in enumerate(self.confidence)) / max(judged, 1)


def summed(counts: Iterable[ArmCounts]) -> ArmCounts:
    """All together."""
    total = ArmCounts()
    for each in counts:
        total += each
    return total


def _paired(ours: Sequence[int], others: Sequence[int], *, sign: int) -> tuple[int, ...]:
    both = [our + sign * other for our, other in zip_longest(ours, others, fillvalue=0)]
    while both and not both[-1]:
        both.pop()
    return tuple(both)


def _mean(bins: Sequence[int]) -> float:
    return sum(count * _middle(index) for index, count in enumerate(bins)) / max(sum(bins), 1)


def _middle(index: int) -> float:
    return (index + 0.5) * CONFIDENCE_GRAIN
