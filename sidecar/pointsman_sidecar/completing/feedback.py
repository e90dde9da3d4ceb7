"""Answers that can still be labelled, by decision id: the last ones, for a while. Given the clock."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto

_MOST = 10_000
_KEPT = 3600.0


class Label(Enum):
    """What an answer was found to be."""

    GOOD = auto()
    BAD = auto()
    HALLUCINATION = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Which answer was given: what a label is counted by."""

    policy: str
    route: str
    model: str


class Labels:
    """The answers, and how each was labelled last."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._given: OrderedDict[str, tuple[float, Given, Label | None]] = OrderedDict()

    def gave(self, decision_id: str, given: Given, now: float) -> None:
        """Know an answer; the oldest make room."""
        self._given[decision_id] = (now, given, None)
        self._forget(now)

    def label(self, decision_id: str, label: Label, now: float) -> tuple[Given, bool] | None:
        """Label an answer: which it was, and whether the label is new to it. None where it is not known."""
        self._forget(now)
        known = self._given.get(decision_id)
        if known is None:
            return None
        at, given, before = known
        self._given[decision_id] = (at, given, label)
        return given, label is not before

    def _forget(self, now: float) -> None:
        while self._given:
            at, _, _ = next(iter(self._given.values()))
            if len(self._given) <= self._most and now - at <= _KEPT:
                return
            self._given.popitem(last=False)
