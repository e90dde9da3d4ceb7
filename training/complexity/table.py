"""The questions as numbers: measured once by the sidecar's own code, then picked from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from complexity.sets import TRAINED, Row
from complexity.sparse import Floats, Sparse, Whole
from pointsman_sidecar.complexity.measures import Measures, measure, pieces

_KNOTS = 33
_OUTERMOST = 0.03
_LEAST_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Questions, one a row."""

    numbers: Floats
    terms: tuple[Whole, ...]
    often: tuple[Floats, ...]
    kind: Whole
    source: Whole
    question: Whole
    target: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def pick(self, at: Whole) -> "Table":
        """Some of the rows."""
        return Table(
            numbers=self.numbers[at],
            terms=tuple(self.terms[each] for each in at),
            often=tuple(self.often[each] for each in at),
            kind=self.kind[at],
            source=self.source[at],
            question=self.question[at],
            target=self.target[at],
        )


def table(rows: Sequence[Row]) -> Table:
    """Measure the prompts of rows."""
    measured = [measure(each.prompt) for each in rows]
    terms = [_terms(each) for each in measured]
    order = list(TRAINED)
    return Table(
        numbers=np.array([each.numbers for each in measured], np.float64),
        terms=tuple(np.array(sorted(each), np.int64) for each in terms),
        often=tuple(np.array([each[term] for term in sorted(each)], np.float64) for each in terms),
        kind=np.array([each.kind for each in measured], np.int64),
        source=np.array([order.index(each.source) if each.source in TRAINED else -1 for each in rows], np.int64),
        question=np.array([each.question for each in rows], np.int64),
        target=np.array([each.target for each in rows], np.float64),
    )


def _terms(measured: Measures) -> "Counter[int]":
    """How often each term counts."""
    return Counter([*measured.terms, *(each for word in measured.words for each in pieces(word))])


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms that occur in three questions or more, sorted, and how rare each is."""

    terms: Whole
    rarity: Floats
    occurrences: Whole

    def of(self, some: Table) -> Sparse:
        """Each question as a vector of length 1 over its terms."""
        lengths = np.array([len(each) for each in some.terms], np.int64)
        every = np.concatenate(some.terms) if len(some) else np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self.terms, every), len(self.terms) - 1)
        known = self.terms[at] == every
        rows, places = np.repeat(np.arange(len(some)), lengths)[known], at[known]
        often = (np.concatenate(some.often) if len(some) else np.zeros(0))[known]
        values = self.rarity[places]
        square = np.bincount(rows, often * values**2, len(some))
        return Sparse(rows, places, often * values / np.sqrt(square[rows]), len(some), len(self.terms))


def vocabulary(some: Table) -> Vocabulary:
    """The terms of some questions."""
    terms, occurrences = np.unique(np.concatenate(some.terms), return_counts=True)
    kept = occurrences >= _LEAST_ROWS
    rarity = np.log((len(some) + 1) / (occurrences[kept] + 1)) + 1
    return Vocabulary(terms[kept], rarity, occurrences[kept])


@dataclass(frozen=True, slots=True)
class Ranks:
    """Turns each measure into where it lies among those of some questions, as a normal distribution has it."""

    knots: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]

    def of(self, numbers: Floats) -> Floats:
        """The measures, levelled."""
        columns = zip(numbers.T, self.knots, self.levels, strict=True)
        return np.stack([np.interp(column, knots, levels) for column, knots, levels in columns], axis=1)


def ranks(numbers: Floats) -> Ranks:
    """Learn where measures lie; a measure that is everywhere the same says nothing."""
    shares = np.linspace(0, 1, _KNOTS)
    knots, levels = [], []
    normal = NormalDist()
    for column in np.quantile(numbers, shares, axis=0).T:
        found, at = np.unique(column, return_inverse=True)
        middle = np.bincount(at, shares) / np.bincount(at)
        clipped = np.clip(middle, _OUTERMOST, 1 - _OUTERMOST)
        knots.append(tuple(map(float, found)))
        levels.append(tuple(normal.inv_cdf(float(each)) for each in clipped) if len(found) > 1 else (0.0,))
    return Ranks(tuple(knots), tuple(levels))
