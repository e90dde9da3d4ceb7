"""How many calls there were of late, and how many of them were of a kind: a sliding window in slots."""

_SLOTS = 10


class SlidingCounts:
    """Two counts over the last `window` seconds. They are kept in slots, which go out of the window one at a time.

    Times must not run backwards; one that does counts as the latest that was seen.
    """

    __slots__ = ("_all", "_slot", "_some", "_totals", "_width")

    def __init__(self, *, window: float) -> None:
        self._width = window / _SLOTS
        self._all = [0] * _SLOTS
        self._some = [0] * _SLOTS
        self._totals = [0, 0]
        self._slot = 0

    def add(self, now: float, *, every: int = 0, some: int = 0) -> None:
        """Count calls, and those of them that are of the kind."""
        self._advance(now)
        at = self._slot % _SLOTS
        self._all[at] += every
        self._some[at] += some
        self._totals[0] += every
        self._totals[1] += some

    def totals(self, now: float) -> tuple[int, int]:
        """The calls of the window, and those of the kind."""
        self._advance(now)
        return self._totals[0], self._totals[1]

    def clear(self) -> None:
        """Forget them."""
        self._all = [0] * _SLOTS
        self._some = [0] * _SLOTS
        self._totals = [0, 0]

    def _advance(self, now: float) -> None:
        slot = int(now // self._width)
        if slot <= self._slot:
            return
        for gone in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
            at = gone % _SLOTS
            self._totals[0] -= self._all[at]
            self._totals[1] -= self._some[at]
            self._all[at] = self._some[at] = 0
        self._slot = slot
