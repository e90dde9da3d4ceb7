"""The score of a text: how much it needs the stronger model, as its place among many texts."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from math import sqrt

from pointsman_sidecar.complexity.measures import Kind, Measures, measure, pieces
from pointsman_sidecar.complexity.model import RARITY_STEPS, Model, load

# Words come again from text to text: so many are kept, none of them longer than this, with what their pieces weigh.
_KEPT = 8192
_LONGEST_KEPT = 24
# Each line between two knots, in so many steps.
_STEPS = 4


class Scorer:
    """Scores texts by a model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places = {term: place for place, term in enumerate(model.terms)}
        # Whole numbers, so that the order of a set does not show in a sum.
        self._squares = [each * each for each in model.rarities]
        self._shares = tuple(each / (len(model.quantiles) - 1) for each in range(len(model.quantiles)))
        self._kept = lru_cache(_KEPT)(lambda word: self._of_terms(pieces(word), Kind.LISTED))
        # For each kind, each measure that counts: its place, where it steps up or down, and what each step adds.
        self._steps = [
            [
                (at, *_stepped(knots, [weight * each for each in levels]))
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
        value = head.level
        if measures.words:
            told = [self._of_word(each) for each in measures.words]
            weight, square = sum([each[0] for each in told]), sum([each[1] for each in told])
        else:
            weight, square = self._of_terms(measures.terms, measures.kind)
        if square:
            value += head.words * weight * RARITY_STEPS / sqrt(square)
        numbers = measures.numbers
        steps = self._steps[measures.kind]
        return value + sum([levels[bisect_right(edges, numbers[at])] for at, edges, levels in steps])

    def _of_terms(self, terms: Iterable[int], kind: Kind) -> tuple[int, int]:
        """What terms weigh, and the square of their length."""
        known = [place for place in map(self._places.get, terms) if place is not None]
        weights = self._model.weights[kind]
        return sum(map(weights.__getitem__, known)), sum(map(self._squares.__getitem__, known))

    def _of_word(self, word: bytes) -> tuple[int, int]:
        if len(word) > _LONGEST_KEPT:
            return self._of_terms(pieces(word), Kind.LISTED)
        return self._kept(word)


@cache
def _shipped() -> Scorer:
    return Scorer(load((files(__package__) / "complexity.model").read_bytes()))


def _stepped(knots: Sequence[float], levels: Sequence[float]) -> tuple[list[float], list[float]]:
    """Edges, and the level after each: straight lines between the knots as steps, which take less time to look up."""
    edges, values = [], [levels[0]]
    for (low, level), (high, next_level) in pairwise(zip(knots, levels, strict=True)):
        for step in range(_STEPS):
            edges.append(low + (high - low) * (step + 0.5) / _STEPS)
            values.append(level + (next_level - level) * (step + 1) / _STEPS)
    return edges, values


def _between(value: float, knots: Sequence[float], levels: Sequence[float]) -> float:
    """The level at a value: straight lines between the knots, flat beyond them."""
    at = bisect_right(knots, value)
    if not at:
        return levels[0]
    if at == len(knots):
        return levels[-1]
    low, high = knots[at - 1], knots[at]
    return levels[at - 1] + (levels[at] - levels[at - 1]) * (value - low) / (high - low)
