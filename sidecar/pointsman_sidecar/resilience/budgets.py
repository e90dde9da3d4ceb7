"""What may be added to the traffic: at most a share of the requests of the last minute."""

from pointsman_sidecar.resilience.counts import SlidingCounts

WINDOW = 60.0


class Budget:
    """Grants extra calls, at most a percentage of the requests that it was told of.

    So many as `floor` are granted in a window however few requests there were: a share of a quiet app's requests would
    be none.
    """

    __slots__ = ("_counts", "_floor")

    def __init__(self, *, floor: int) -> None:
        self._floor = floor
        self._counts = SlidingCounts(window=WINDOW)

    def request(self, now: float) -> None:
        """Count one more request."""
        self._counts.add(now, every=1)

    def take(self, now: float, *, percent: int) -> bool:
        """Grant one extra call, unless it would be one too many."""
        requests, taken = self._counts.totals(now)
        if percent <= 0 or taken + 1 > max(self._floor, requests * percent // 100):
            return False
        self._counts.add(now, some=1)
        return True
