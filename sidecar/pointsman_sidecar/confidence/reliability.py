"""Whether confidences mean what they say: bins of answers, what was said of them, and how many were right."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Bins of fewer answers are merged: of 100 that are right by 70 %, one in three misses 70 % by more than 4.6 points.
LEAST_IN_BIN = 100


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one confidence: the mean of what was said, and the share that was right."""

    confidence: float
    accuracy: float
    count: int

    @property
    def gap(self) -> float:
        """By how much the answers are better than was said."""
        return self.accuracy - self.confidence

    @property
    def chance(self) -> float:
        """The half width of the accuracy's 90 % interval: a gap within it may be luck."""
        spread = self.confidence * (1 - self.confidence) / self.count
        return _NINETY_PERCENT * math.sqrt(max(0.0, spread))


_NINETY_PERCENT = 1.645


def table(judged: Iterable[tuple[float, float]], *, bins: int = 10, least: int = LEAST_IN_BIN) -> list[Bin]:
    """Bins of equal width over 0 to 1, those of too few answers merged with the next. Pairs: confidence, rightness."""
    slots: list[list[tuple[float, float]]] = [[] for _ in range(bins)]
    for confidence, right in judged:
        slots[min(bins - 1, int(confidence * bins))].append((confidence, right))
    merged: list[list[tuple[float, float]]] = []
    waiting: list[tuple[float, float]] = []
    for slot in slots:
        waiting = [*waiting, *slot]
        if len(waiting) >= least:
            merged.append(waiting)
            waiting = []
    if waiting:
        if merged:
            merged[-1] = [*merged[-1], *waiting]
        else:
            merged.append(waiting)
    return [_bin(each) for each in merged]


def ece(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean gap, by answers."""
    total = sum(each.count for each in bins)
    return sum(abs(each.gap) * each.count for each in bins) / total if total else 0.0


def _bin(answers: Sequence[tuple[float, float]]) -> Bin:
    count = len(answers)
    return Bin(
        confidence=sum(confidence for confidence, _ in answers) / count,
        accuracy=sum(right for _, right in answers) / count,
        count=count,
    )
