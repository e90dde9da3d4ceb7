"""Token log-probabilities, by quantiles: one token in doubt among a hundred sure ones hides in a mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Of more tokens the first and the last are read.
MOST_TOKENS = 2_000
_FLOOR = -20.0
_DOUBTFUL = math.log(0.5)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Probabilities, 0 to 1, and the share of tokens that were less likely than not."""

    least: float
    fifth_percentile: float
    median: float
    doubtful: float


def likelihood(logprobs: Sequence[float] | None) -> Likelihood | None:
    """What the log-probabilities say; None where there are none."""
    if not logprobs:
        return None
    read = [*logprobs[: MOST_TOKENS // 2], *logprobs[max(MOST_TOKENS // 2, len(logprobs) - MOST_TOKENS // 2) :]]
    sane = sorted(min(0.0, max(_FLOOR, each)) for each in read if not math.isnan(each))
    if not sane:
        return None
    return Likelihood(
        least=math.exp(sane[0]),
        fifth_percentile=math.exp(sane[len(sane) // 20]),
        median=math.exp(sane[len(sane) // 2]),
        doubtful=sum(each < _DOUBTFUL for each in sane) / len(sane),
    )
