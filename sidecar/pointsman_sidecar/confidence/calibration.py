"""Maps from what the judge says to how often answers of a model are right, learned from labelled answers.

Platt's map, a logistic curve of two numbers, is learned of a few answers; from `ENOUGH_FOR_STEPS` on an isotonic line
takes its place, which can follow any rising curve and needs that many to do so. Neither falls: a calibrated confidence
orders the answers of a model as the judge does.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Fewer labels than this make no map of a model's own.
ENOUGH = 20
ENOUGH_FOR_STEPS = 1_000
_LEAST_IN_GROUP, _MOST_GROUPS = 50, 40
_ROUNDS = 50
_EDGE = 1e-5


@dataclass(frozen=True, slots=True)
class Labelled:
    """An answer of a model, what the judge said of it, and how right it was, 0 to 1; or `count` that are alike."""

    model: str
    confidence: float
    is_right: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Curve:
    """One model's map: straight lines between points. Below the first point and above the last it is flat."""

    points: tuple[tuple[float, float], ...]
    labels: int

    def at(self, confidence: float) -> float:
        """The share of answers of this confidence that are right."""
        after = bisect_right(self.points, confidence, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (left, low), (right, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (confidence - left) / (right - left)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The maps of the models that have one. `others` is for the rest; None leaves their confidences as they are."""

    models: Mapping[str, Curve]
    others: Curve | None = None

    def apply(self, model: str, confidence: float) -> float:
        """What a confidence means for a model's answers."""
        curve = self.models.get(model, self.others)
        return confidence if curve is None else curve.at(confidence)


def fit(labels: Iterable[Labelled]) -> Calibration:
    """Learn a map for each model that has labels `ENOUGH`, and one of all labels together for the others."""
    every = list(labels)
    by_model: dict[str, list[Labelled]] = {}
    for label in every:
        by_model.setdefault(label.model, []).append(label)
    curves = {model: _curve(own) for model, own in sorted(by_model.items()) if _count(own) >= ENOUGH}
    return Calibration(models=curves, others=_curve(every) if _count(every) >= ENOUGH else None)


def _count(labels: Sequence[Labelled]) -> int:
    return sum(label.count for label in labels)


def _curve(labels: Sequence[Labelled]) -> Curve:
    count = _count(labels)
    slope, level = _platt(labels)
    grid = [step / 50 for step in range(51)]
    points = [(each, _sigmoid(slope * _logit(each) + level)) for each in grid]
    if count >= ENOUGH_FOR_STEPS:
        points = _steps(labels)
    return Curve(tuple((round(at, 6), round(value, 6)) for at, value in points), count)


def _platt(labels: Sequence[Labelled]) -> tuple[float, float]:
    """Slope and level by Newton's method, held towards "as it is" by the weight of one answer."""
    inputs = [_logit(label.confidence) for label in labels]
    slope, level = 1.0, 0.0
    for _ in range(_ROUNDS):
        by_slope, by_level = slope - 1.0, level
        bend_slope, bend_both, bend_level = 1.0, 0.0, 1.0
        for seen, label in zip(inputs, labels, strict=True):
            expected = _sigmoid(slope * seen + level)
            gap = (expected - label.is_right) * label.count
            spread = expected * (1 - expected) * label.count
            by_slope += gap * seen
            by_level += gap
            bend_slope += spread * seen * seen
            bend_both += spread * seen
            bend_level += spread
        scale = bend_slope * bend_level - bend_both * bend_both
        move_slope = (by_slope * bend_level - by_level * bend_both) / scale
        move_level = (by_level * bend_slope - by_slope * bend_both) / scale
        # No further than it can be trusted: Newton's steps leap where the curve is flat.
        slope -= max(-1.0, min(1.0, move_slope))
        level -= max(-1.0, min(1.0, move_level))
        if abs(move_slope) + abs(move_level) < _EDGE:
            break
    return max(0.0, slope), level


def _steps(labels: Sequence[Labelled]) -> list[tuple[float, float]]:
    """A rising line through groups of neighbours: groups that fall behind the one before are pooled with it."""
    size = max(_LEAST_IN_GROUP, math.ceil(_count(labels) / _MOST_GROUPS))
    groups: list[list[Labelled]] = []
    room = 0
    for label in sorted(labels, key=lambda each: each.confidence):
        if room <= 0:
            groups.append([])
            room = size
        groups[-1].append(label)
        room -= label.count
    pools: list[tuple[float, int, list[float]]] = []  # right ones, answers, and where each group lies
    for group in groups:
        right, count = sum(each.is_right * each.count for each in group), _count(group)
        places = [sum(each.confidence * each.count for each in group) / count]
        while pools and pools[-1][0] * count >= right * pools[-1][1]:
            before = pools.pop()
            right, count, places = before[0] + right, before[1] + count, [*before[2], *places]
        pools.append((right, count, places))
    points: list[tuple[float, float]] = []
    for right, count, places in pools:
        for place in places:
            if not points or place > points[-1][0] + _EDGE:
                points.append((place, right / count))
    return points


def _logit(confidence: float) -> float:
    bounded = min(1 - _EDGE, max(_EDGE, confidence))
    return math.log(bounded / (1 - bounded))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, value))))
