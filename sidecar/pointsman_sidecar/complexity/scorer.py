"""The score of a text: how much it needs the stronger model, as its place among many texts."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import sqrt

from pointsman_sidecar.complexity.measures import Measures, measure
from pointsman_sidecar.complexity.model import RARITY_STEPS, Model, load


class Scorer:
    """Scores texts by a model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places = {term: place for place, term in enumerate(model.terms)}
        # Whole numbers, so that the order of a set does not show in a sum.
        self._squares = [each * each for each in model.rarities]
        self._shares = tuple(each / (len(model.quantiles) - 1) for each in range(len(model.quantiles)))
        # For each kind and each measure that counts: where it lies in a line between two knots, and what that adds.
        self._lines = [
            [
                (at, knots, [weight * each for each in levels])
                for at, (weight, knots, levels) in enumerate(zip(head.numbers, model.knots, model.levels, strict=True))
                if weight and len(knots) > 1
            ]
            for head in model.heads
        ]

    @staticmethod
    def load() -> "Scorer":
        """The scorer with the model that is shipped; the file is read once, when it is first asked for."""
        return _shipped()

    def score(self, text: str) -> float:
        """From 0 to 1, higher where the stronger model is needed more.

        It is a rank: about 20 % of a mixed population of questions score above 0.8. The same text has the same score
        on any machine; it takes a bounded time whatever the text.
        """
        return _between(self.worth(measure(text)), self._model.quantiles, self._shares)

    def worth(self, measures: Measures) -> float:
        """What the stronger model is expected to gain, before it is made a rank."""
        model = self._model
        head = model.heads[measures.kind]
        places = self._places
        known = [places[each] for each in measures.terms if each in places]
        value = head.level
        if known:
            weights, squares = model.weights[measures.kind], self._squares
            length = sqrt(sum([squares[each] for each in known])) / RARITY_STEPS
            value += head.words * sum([weights[each] for each in known]) / length
        numbers = measures.numbers
        # What _between does, written out: it is the most of the time.
        for index, knots, levels in self._lines[measures.kind]:
            number = numbers[index]
            at = bisect_right(knots, number)
            if not at:
                value += levels[0]
            elif at == len(knots):
                value += levels[-1]
            else:
                low, level = knots[at - 1], levels[at - 1]
                value += level + (levels[at] - level) * (number - low) / (knots[at] - low)
        return value


@cache
def _shipped() -> Scorer:
    return Scorer(load((files(__package__) / "complexity.model").read_bytes()))


def _between(value: float, knots: Sequence[float], levels: Sequence[float]) -> float:
    """The level at a value: straight lines between the knots, flat beyond them."""
    at = bisect_right(knots, value)
    if not at:
        return levels[0]
    if at == len(knots):
        return levels[-1]
    low, high = knots[at - 1], knots[at]
    return levels[at - 1] + (levels[at] - levels[at - 1]) * (value - low) / (high - low)
