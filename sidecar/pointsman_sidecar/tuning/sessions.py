"""How many answers of a session were found wanting: of the sessions of late."""

from collections import OrderedDict
from dataclasses import dataclass

_MOST = 10_000
_KEPT = 3600.0


@dataclass(kw_only=True, slots=True)
class Session:
    """One session's count. Whoever counted holds on to it, so that it is never taken off of a later one's."""

    negative: int = 0
    last: float = 0.0


class Sessions:
    """By the session's id. One is forgotten an hour after its last negative label, or to make room for others."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._of: OrderedDict[str, Session] = OrderedDict()

    def negative(self, session: str, now: float) -> int:
        """How many of the session's answers have a negative label."""
        self._forget(now)
        known = self._of.get(session)
        return 0 if known is None else known.negative

    def add(self, session: str, now: float) -> Session:
        """Count one answer more, and say where it was counted."""
        self._forget(now)
        known = self._of.setdefault(session, Session())
        known.negative += 1
        known.last = now
        self._of.move_to_end(session)
        if len(self._of) > self._most:
            self._of.popitem(last=False)
        return known

    def _forget(self, now: float) -> None:
        while self._of:
            session, oldest = next(iter(self._of.items()))
            if now - oldest.last <= _KEPT:
                return
            del self._of[session]
