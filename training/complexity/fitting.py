"""From questions to weights: for each kind of question two ridge regressions, over words and over measures, added."""

from dataclasses import dataclass

import numpy as np

from complexity.sets import TRAINED
from complexity.sparse import Dense, Floats, Whole, ridge
from complexity.table import Ranks, Table, Vocabulary, ranks, vocabulary
from pointsman_sidecar.complexity.measures import Kind
from pointsman_sidecar.complexity.model import RARITY_STEPS, Head, Model

FOLDS = 5
_WORDS_PENALTY = 20.0
_NUMBERS_PENALTY = 2500.0
# The part of the measures beside that of the words, each taken by how much it varies.
_NUMBERS_PART = 1.5
# Length is what holds on sets that nothing was learnt of: without it a new kind of question is judged worse than by it.
_LENGTH_PART = 0.75
# Where options stand on lines, length tells nothing: an order by it is no better than by chance.
_WITHOUT_LENGTH = frozenset({Kind.LISTED})
# How much a question of another kind teaches.
_AKIN = {
    (Kind.LETTERED, Kind.LISTED): 0.03,
    (Kind.LISTED, Kind.LETTERED): 0.3,
    (Kind.NUMBERS, Kind.OTHER): 0.1,
    (Kind.OTHER, Kind.NUMBERS): 0.1,
    (Kind.FORMAL, Kind.NUMBERS): 0.3,
    (Kind.NUMBERS, Kind.FORMAL): 0.1,
}
_QUANTILES = 101
_MOST_TERMS = 24_000
_BYTE = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was learnt of some questions: of each kind, the weight of each term and of each measure."""

    words: Vocabulary
    ranks: Ranks
    by_term: tuple[Floats, ...]
    by_number: tuple[Floats, ...]
    centres: tuple[float, ...]

    def predict(self, some: Table) -> Floats:
        """How each question stands among those of its kind."""
        matrix, numbers = self.words.of(some), self.ranks.of(some.numbers)
        every = np.stack(
            [
                matrix.times(term) + numbers @ number - centre
                for term, number, centre in zip(self.by_term, self.by_number, self.centres, strict=True)
            ]
        )
        return every[some.kind, np.arange(len(some))]


def fit(some: Table) -> Fit:
    """Learn from some questions."""
    words, ranked = vocabulary(some), ranks(some.numbers)
    by_term, by_number, centres = [], [], []
    for kind in Kind:
        akin = np.array([1.0 if other == kind else _AKIN.get((kind, other), 0.0) for other in Kind])[some.kind]
        own = some.pick(np.flatnonzero(akin))
        if not len(own):
            by_term.append(np.zeros(len(words.terms)))
            by_number.append(np.zeros(some.numbers.shape[1]))
            centres.append(0.0)
            continue
        weight = akin[akin > 0] * np.array(list(TRAINED.values()))[own.source]
        matrix, dense = words.of(own), Dense(ranked.of(own.numbers))
        groups = own.source * len(Kind) + own.kind
        term = ridge(matrix, own.target, weight=weight, groups=groups, penalty=_WORDS_PENALTY)
        number = ridge(dense, own.target, weight=weight, groups=groups, penalty=_NUMBERS_PENALTY)
        term /= _spread(matrix.times(term), weight)
        number *= _NUMBERS_PART / _spread(dense.times(number), weight)
        by_term.append(term)
        by_number.append(number)
        number[0] += 0.0 if kind in _WITHOUT_LENGTH else _LENGTH_PART
        centres.append(float(np.average(matrix.times(term) + dense.times(number), weights=weight)))
    return Fit(words=words, ranks=ranked, by_term=tuple(by_term), by_number=tuple(by_number), centres=tuple(centres))


def folds(some: Table, *, seed: int = 0) -> Whole:
    """The fold of each question. One that is asked twice, be it in two sets, is in one fold."""
    draw = np.random.default_rng(seed)
    every, at = np.unique(some.question, return_inverse=True)
    return draw.integers(0, FOLDS, len(every))[at]


def unseen(some: Table, *, held_out: Whole) -> Whole:
    """The questions that may be learnt from where `held_out` are scored: none of those, under no other name."""
    return np.flatnonzero(~np.isin(some.question, some.question[held_out]))


def cross_fitted(some: Table, fold: Whole) -> Floats:
    """Each question's place among its kind, as told by what was learnt from the other folds."""
    found = np.zeros(len(some))
    for each in np.unique(fold):
        at = np.flatnonzero(fold == each)
        found[at] = fit(some.pick(unseen(some, held_out=at))).predict(some.pick(at))
    return found


@dataclass(frozen=True, slots=True)
class Worth:
    """What a place among its kind is worth: for each kind, the mean gain and how much it grows."""

    level: Floats
    slope: Floats

    def of(self, kind: Whole, place: Floats) -> Floats:
        """The gain that is expected."""
        return self.level[kind] + self.slope[kind] * place


def worth(some: Table, place: Floats) -> Worth:
    """Learn it from places that were told without having seen the question."""
    level, slope = np.zeros(len(Kind)), np.zeros(len(Kind))
    for kind in Kind:
        own = some.kind == kind
        sources, at, rows = np.unique(some.source[own], return_inverse=True, return_counts=True)
        if not len(sources):
            continue
        gains = np.bincount(at, some.target[own]) / rows
        level[kind] = np.average(gains, weights=np.sqrt(rows))
        # The rows of a source may all stand high: only differences within it count.
        seen, got = place[own] - (np.bincount(at, place[own]) / rows)[at], some.target[own] - gains[at]
        slope[kind] = max(0.01, float(seen @ got) / max(float(seen @ seen), 1e-9))
    return Worth(level, slope)


def model(some: Table) -> Model:
    """The model to ship: learnt from all questions, made into worths and ranks by places told across folds."""
    place = cross_fitted(some, folds(some))
    worths = worth(some, place)
    learnt = fit(some)
    _, at, rows = np.unique(some.source, return_inverse=True, return_counts=True)
    kept = _kept(learnt)
    heads, weights = [], []
    for kind in Kind:
        slope = worths.slope[kind]
        scaled = learnt.by_term[kind][kept] * learnt.words.rarity[kept]
        step = max(float(np.abs(scaled).max()), 1e-9) / _BYTE
        weights.append(np.round(scaled / step).astype(int).tolist())
        heads.append(
            Head(
                level=float(worths.level[kind] - slope * learnt.centres[kind]),
                words=float(slope * step),
                numbers=tuple(map(float, slope * learnt.by_number[kind])),
            )
        )
    return Model(
        knots=learnt.ranks.knots,
        levels=learnt.ranks.levels,
        terms=learnt.words.terms[kept].tolist(),
        rarities=np.clip(np.round(learnt.words.rarity[kept] * RARITY_STEPS), 1, 255).astype(int).tolist(),
        heads=tuple(heads),
        weights=tuple(weights),
        quantiles=_quantiles(worths.of(some.kind, place), 1 / np.sqrt(rows[at])),
    )


def _kept(learnt: Fit) -> Whole:
    """The terms that move the most questions most: the file is small."""
    moved = np.abs(np.stack(learnt.by_term)).max(axis=0) * learnt.words.rarity * np.sqrt(learnt.words.occurrences)
    return np.sort(np.argsort(-moved, kind="stable")[:_MOST_TERMS])


def _quantiles(values: Floats, weight: Floats) -> tuple[float, ...]:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) - weight[order] / 2
    found = np.interp(np.linspace(0, 1, _QUANTILES), share / weight.sum(), values[order])
    # Strictly rising, so that a line can be drawn between each two.
    return tuple(float(each) for each in np.maximum.accumulate(found + np.arange(_QUANTILES) * 1e-7))


def _spread(values: Floats, weight: Floats) -> float:
    mean = np.average(values, weights=weight)
    return max(float(np.sqrt(np.average((values - mean) ** 2, weights=weight))), 1e-9)
