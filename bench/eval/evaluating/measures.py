"""How good an order of answers is: what escalating in that order gains, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointsman.quality import Interval, Ordered, interval, resampled
from pointsman.quality import Quality as Worth

_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Quality:
    """What an order is worth, and the 95 % interval of its APGR."""

    worth: Worth
    apgr: Interval


def quality(scores: Sequence[float], gains: Sequence[float]) -> Quality:
    """Escalate by falling score."""
    order, draw = Ordered(scores, gains), np.random.default_rng(0)
    (drawn,) = resampled(
        [order],
        rows=len(scores),
        draws=_RESAMPLES,
        choose=lambda count: draw.integers(0, count, count).tolist(),
    )
    return Quality(order.quality(), interval([each.apgr for each in drawn]))


def auc(scores: Sequence[float], right: Sequence[float]) -> float:
    """How often a right answer is trusted more than a wrong one; ties count half."""
    score, label = np.array(scores), np.array(right) > 0
    good, bad = score[label], score[~label]
    above = (good[:, None] > bad[None, :]).mean() + 0.5 * (good[:, None] == bad[None, :]).mean()
    return float(above)
