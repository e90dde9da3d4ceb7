"""How good an order of answers is: what escalating in that order gains, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Quality:
    """APGR, CPT50 and CPT80 with the bounds of their 95 % intervals."""

    values: tuple[float, float, float]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]


def quality(scores: Sequence[float], gains: Sequence[float]) -> Quality:
    """Escalate by falling score: the area under the recovered gap, and the shares that recover 50 % and 80 % of it."""
    score, gain = np.array(scores), np.array(gains)
    draw = np.random.default_rng(0)
    resampled: list[Numbers] = []
    while len(resampled) < _RESAMPLES:
        picked = draw.integers(0, len(score), len(score))
        if gain[picked].sum() > 0:
            resampled.append(_measure(score[picked], gain[picked]))
    low, high = np.percentile(np.array(resampled), [2.5, 97.5], axis=0)
    return Quality(_three(_measure(score, gain)), _three(low), _three(high))


def auc(scores: Sequence[float], right: Sequence[float]) -> float:
    """How often a right answer is trusted more than a wrong one; ties count half."""
    score, label = np.array(scores), np.array(right) > 0
    good, bad = score[label], score[~label]
    above = (good[:, None] > bad[None, :]).mean() + 0.5 * (good[:, None] == bad[None, :]).mean()
    return float(above)


def _measure(score: Numbers, gain: Numbers) -> Numbers:
    order = np.argsort(-score, kind="stable")
    # Equal scores are one step: within it the order is chance, and the line is straight.
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    share = np.concatenate([[0.0], (ends + 1) / len(order)])
    recovered = np.concatenate([[0.0], np.cumsum(gain[order])[ends] / gain.sum()])
    area = float(np.sum(np.diff(share) * (recovered[1:] + recovered[:-1]) / 2))
    return np.array([area, *(_share_for(part, share, recovered) for part in (0.5, 0.8))])


def _share_for(part: float, share: Numbers, recovered: Numbers) -> float:
    reached = int(np.argmax(recovered >= part))
    below, above = recovered[reached - 1], recovered[reached]
    return float(100 * (share[reached - 1] + (share[reached] - share[reached - 1]) * (part - below) / (above - below)))


def _three(numbers: Numbers) -> tuple[float, float, float]:
    return float(numbers[0]), float(numbers[1]), float(numbers[2])
