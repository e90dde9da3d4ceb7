"""What came of the requests of each arm of a split that changes by itself, counted since the process began."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, log2

# A split that was changed is another one; the counts of those that are long gone are of no use to anybody.
_MOST_ARMS = 128
_BINS_PER_DOUBLING = 8
_MOST_LATENCY_BINS = 161
_MILLISECOND = 0.001
CONFIDENCE_BINS = 50
"""Of the same width, for arms and for labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmResult:
    """What came of a request that fell to an arm. `seconds` until its model began to answer; None where it failed to.

    `confidence` is None where the answer was not looked at.
    """

    seconds: float | None
    confidence: float | None = None


@dataclass(kw_only=True, slots=True)
class ArmTally:
    """The counts of one arm. The bins of both histograms are said in tuning.proto."""

    split: str
    model: str
    requests: int = 0
    errors: int = 0
    latency: list[int] = field(default_factory=list)
    confidence: list[int] = field(default_factory=list)
    labels: int = 0
    negative: int = 0


class ArmTallies:
    """Counts arms. Belongs to one event loop."""

    def __init__(self) -> None:
        self._arms: OrderedDict[tuple[str, str], ArmTally] = OrderedDict()

    def __iter__(self) -> Iterator[ArmTally]:
        """All that was counted."""
        return iter(self._arms.values())

    def add(self, result: ArmResult, *, split: str, model: str) -> None:
        """Count a request that the arm's model answered, or failed to."""
        tally = self._tally(split, model)
        tally.requests += 1
        if result.seconds is None:
            tally.errors += 1
        else:
            _count(tally.latency, latency_bin(result.seconds))
        if result.confidence is not None:
            _count(tally.confidence, confidence_bin(result.confidence))

    def label(self, *, split: str, model: str, negative: bool) -> None:
        """Count a label that an answer of an arm was given."""
        tally = self._tally(split, model)
        tally.labels += 1
        tally.negative += negative

    def _tally(self, split: str, model: str) -> ArmTally:
        tally = self._arms.get((split, model))
        if tally is None:
            tally = self._arms[split, model] = ArmTally(split=split, model=model)
            while len(self._arms) > _MOST_ARMS:
                self._arms.popitem(last=False)
        self._arms.move_to_end((split, model))
        return tally


def latency_bin(seconds: float) -> int:
    """The bin of a time: 0 up to a millisecond, then eight for each doubling, the last for all that is longer."""
    if seconds <= _MILLISECOND:
        return 0
    return min(ceil(_BINS_PER_DOUBLING * log2(seconds / _MILLISECOND)), _MOST_LATENCY_BINS - 1)


def confidence_bin(confidence: float) -> int:
    """The bin of a confidence from 0 to 1."""
    return min(max(int(confidence * CONFIDENCE_BINS), 0), CONFIDENCE_BINS - 1)


def _count(bins: list[int], at: int) -> None:
    if at >= len(bins):
        bins.extend([0] * (at + 1 - len(bins)))
    bins[at] += 1
