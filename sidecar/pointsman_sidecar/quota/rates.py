"""How fast something is spent: a mean over the last minute or so, in which what is older counts less."""

from math import exp

_MEMORY_SECONDS = 60.0
# Within so short a time, what is older counts as much: a thousandth less would be right.
_MOMENT_SECONDS = 0.06


class Rate:
    """Amounts per second."""

    __slots__ = ("_at", "_rate")

    def __init__(self, *, now: float) -> None:
        self._rate = 0.0
        self._at = now

    def add(self, amount: int, *, now: float) -> float:
        """Count what was spent now, and tell the rate."""
        elapsed = now - self._at
        if elapsed > _MOMENT_SECONDS:
            self._rate *= exp(-elapsed / _MEMORY_SECONDS)
            self._at = now
        self._rate += amount / _MEMORY_SECONDS
        return self._rate

    def at(self, now: float) -> float:
        """The rate as of now."""
        elapsed = now - self._at
        return self._rate * exp(-elapsed / _MEMORY_SECONDS) if elapsed > 0 else self._rate
