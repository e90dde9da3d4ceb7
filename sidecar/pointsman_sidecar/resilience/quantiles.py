"""Quantiles of latencies as they stream by: a histogram whose buckets grow by a tenth, and which forgets.

Small, of fixed size, and right to a tenth of the value: all that is asked of the moment to hedge.
"""

import math

# Buckets from a millisecond to half an hour.
_LEAST, _GROWTH, _BUCKETS = 0.001, 1.1, 152
_LOG = math.log(_GROWTH)
# How long a generation of samples grows before it becomes the previous one, and the one before that is forgotten.
GENERATION = 300.0
# Fewer samples say nothing of a tail.
ENOUGH = 20


class Quantiles:
    """The latencies of the last five to ten minutes, in seconds."""

    __slots__ = ("_before", "_counts", "_since")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self._since: float | None = None

    def add(self, now: float, seconds: float) -> None:
        """One more."""
        self._turn(now)
        self._counts[_bucket(seconds)] += 1

    def quantile(self, now: float, percent: int) -> float | None:
        """The latency that `percent` of the samples do not exceed; None while there are too few to say."""
        self._turn(now)
        total = sum(self._counts) + sum(self._before)
        if total < ENOUGH:
            return None
        rank = max(1, math.ceil(total * percent / 100))
        seen = 0
        for index, (new, old) in enumerate(zip(self._counts, self._before, strict=True)):
            seen += new + old
            if seen >= rank:
                return float(_LEAST * _GROWTH**index)
        return None  # pragma: no cover - the last bucket's sum is the total

    def _turn(self, now: float) -> None:
        if self._since is None:
            self._since = now
        age = now - self._since
        if age < GENERATION:
            return
        self._before = self._counts if age < 2 * GENERATION else [0] * _BUCKETS
        self._counts = [0] * _BUCKETS
        self._since = now


def _bucket(seconds: float) -> int:
    """The number of the bucket whose upper edge is the first at or above."""
    if seconds <= _LEAST:
        return 0
    return min(_BUCKETS - 1, math.ceil(math.log(seconds / _LEAST) / _LOG))
