"""Who waits for a turn: by priority, then by arrival; when the line is full, the least and latest goes."""

from collections import deque
from typing import Generic, TypeVar

from pointsman_sidecar.routing.policy import Priority

_Waiting = TypeVar("_Waiting")


class Line(Generic[_Waiting]):
    """The line."""

    def __init__(self) -> None:
        self._waiting: dict[Priority, deque[_Waiting]] = {each: deque() for each in sorted(Priority, reverse=True)}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def join(self, who: _Waiting, priority: Priority, *, most: int) -> _Waiting | None:
        """Stand at the end of one's priority. Gives whoever must go, where more than `most` would wait: maybe `who`."""
        self._waiting[priority].append(who)
        if len(self) <= most:
            return None
        return next(self._waiting[each].pop() for each in sorted(Priority) if self._waiting[each])

    def next(self) -> _Waiting | None:
        """Whose turn it is; None where nobody waits."""
        return next((each.popleft() for each in self._waiting.values() if each), None)

    def leave(self, who: _Waiting) -> None:
        """Give up, wherever one stands."""
        for each in self._waiting.values():
            if who in each:
                each.remove(who)
                return
