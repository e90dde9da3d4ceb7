"""Scores that no question was learnt from: of the other folds, and of the other sets alone."""

import numpy as np

from complexity.fitting import cross_fitted, folds, unseen, worth
from complexity.sparse import Floats, Whole
from complexity.table import Table


def within(some: Table) -> Floats:
    """Five folds over all sets: other questions of a question's own set are learnt from, itself under no name."""
    return _worths(some, folds(some))


def across(some: Table) -> Floats:
    """A fold for each set: what is told of a set by the others alone."""
    return _worths(some, some.source)


def _worths(some: Table, fold: Whole) -> Floats:
    place = cross_fitted(some, fold)
    found = np.zeros(len(some))
    for each in np.unique(fold):
        at = np.flatnonzero(fold == each)
        others = unseen(some, held_out=at)
        found[at] = worth(some.pick(others), place[others]).of(some.kind[at], place[at])
    return _aligned(some, fold, found)


def _aligned(some: Table, fold: Whole, found: Floats) -> Floats:
    """Shift each fold's part of a set to the set's mean score.

    A fold whose questions are harder by chance is judged by levels that are lower by as much: beside the others it
    would stand too low. This looks at scores only, never at what was right.
    """
    _, group = np.unique(some.source * len(np.unique(fold)) + fold, return_inverse=True)
    return np.asarray(found - _means(found, group)[group] + _means(found, some.source)[some.source])


def _means(values: Floats, group: Whole) -> Floats:
    return np.asarray(np.bincount(group, values) / np.maximum(np.bincount(group), 1))
