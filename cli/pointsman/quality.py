"""How good scores are at saying which questions need the stronger model. Pure.

Questions are sent to the stronger model from the highest score down. Of each share that is sent, PGR is the part of the
gap between the two models that is recovered; APGR is its mean over all shares: 0.5 for a random order. CPT50 is the
least share, in percent, that recovers half the gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_PARTS = (0.5, 0.8)


class NoGapError(Exception):
    """The stronger model is no better on these questions: there is no gap to recover."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What an order of questions is worth."""

    apgr: float
    cpt50: float
    cpt80: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies, drawn anew from the same questions."""

    low: float
    high: float


RANDOM = Quality(0.5, 50, 80)


class Ordered:
    """Questions in the order of their scores, the highest first; equal ones count as ordered at random."""

    def __init__(self, scores: Sequence[float], gains: Sequence[float]) -> None:
        self._gains = gains
        order = sorted(range(len(scores)), key=lambda at: -scores[at])
        starts = [0, *(at + 1 for at, (one, other) in enumerate(pairwise(order)) if scores[one] != scores[other])]
        self._groups = [order[start:end] for start, end in zip(starts, [*starts[1:], len(order)], strict=True)]

    def quality(self, counts: Sequence[int] | None = None) -> Quality:
        """The order's worth, each question taken as often as `counts` says.

        Raises:
            NoGapError: the gains add up to nothing.
        """
        shares, parts = self.curve(counts)
        area = sum(
            (right - left) * (low + high) / 2
            for (left, right), (low, high) in zip(pairwise(shares), pairwise(parts), strict=True)
        )
        return Quality(area, *(100 * _first(shares, parts, part) for part in _PARTS))

    def curve(self, counts: Sequence[int] | None = None) -> tuple[list[float], list[float]]:
        """The shares sent to the stronger model, and the part of the gap recovered at each.

        Raises:
            NoGapError: the gains add up to nothing.
        """
        gains, rows, total = self._gains, 0, 0.0
        places, sums = [0], [0.0]
        for group in self._groups:
            if counts is None:
                rows += len(group)
                total += sum([gains[at] for at in group])
            else:
                rows += sum([counts[at] for at in group])
                total += sum([counts[at] * gains[at] for at in group])
            if rows > places[-1]:
                places.append(rows)
                sums.append(total)
        if total <= 0:
            raise NoGapError("the stronger model is no better on these questions: there is no gap to recover")
        return [each / rows for each in places], [each / total for each in sums]


def resampled(
    orders: Sequence[Ordered], *, rows: int, draws: int, choose: Callable[[int], Sequence[int]]
) -> list[list[Quality]]:
    """The worth of several orders on questions drawn anew, with repeats: the same ones for each order.

    `choose` gives as many positions as it is asked for. A draw in which the stronger model is no better is left out.
    """
    found: list[list[Quality]] = [[] for _ in orders]
    for _ in range(draws):
        counts = [0] * rows
        for at in choose(rows):
            counts[at] += 1
        try:
            drawn = [each.quality(counts) for each in orders]
        except NoGapError:
            continue
        for each, quality in zip(found, drawn, strict=True):
            each.append(quality)
    return found


def interval(values: Sequence[float], *, part: float = 0.95) -> Interval:
    """The middle `part` of values."""
    ordered = sorted(values)
    return Interval(_quantile(ordered, (1 - part) / 2), _quantile(ordered, (1 + part) / 2))


def _quantile(ordered: Sequence[float], share: float) -> float:
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _first(shares: Sequence[float], parts: Sequence[float], part: float) -> float:
    at = next(index for index, each in enumerate(parts) if each >= part)
    return shares[at - 1] + (shares[at] - shares[at - 1]) * (part - parts[at - 1]) / (parts[at] - parts[at - 1])
