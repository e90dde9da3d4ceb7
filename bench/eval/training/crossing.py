"""Scores that no question was learnt from: of the other folds, and of the other sets alone."""

import numpy as np

from training.fitting import cross_fitted, folds, worth
from training.sparse import Floats
from training.table import Table


def within(some: Table) -> Floats:
    """Five folds over all sets: other questions of a question's own set are learnt from, itself under no name."""
    return _worths(some, cross_fitted(some, folds(some)))


def across(some: Table) -> Floats:
    """A fold for each set: what is told of a set by the others alone."""
    return _worths(some, cross_fitted(some, some.source))


def _worths(some: Table, place: Floats) -> Floats:
    # Five or so numbers for a kind, of thousands of questions: they do not tell one question from another.
    return np.asarray(worth(some, place).of(some.kind, place))
