"""Ridge regression over sparse rows, with numpy and nothing else."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_ENOUGH = 1e-6


class Matrix(Protocol):
    """Rows by columns, to be multiplied."""

    @property
    def columns(self) -> int:
        """How many columns."""

    def times(self, values: Floats) -> Floats:
        """Of each row, the sum of `values` (one a column)."""

    def transposed_times(self, values: Floats) -> Floats:
        """Of each column, the sum of `values` (one a row)."""


@dataclass(frozen=True, slots=True)
class Dense:
    """A matrix that is written out."""

    values: Floats

    @property
    def columns(self) -> int:
        """How many columns."""
        return int(self.values.shape[1])

    def times(self, values: Floats) -> Floats:
        """Of each row, the sum of `values` (one a column)."""
        return self.values @ values

    def transposed_times(self, values: Floats) -> Floats:
        """Of each column, the sum of `values` (one a row)."""
        return self.values.T @ values


@dataclass(frozen=True, slots=True)
class Sparse:
    """Of each entry that is not zero: its row, its column, its value."""

    rows: Whole
    places: Whole
    values: Floats
    height: int
    columns: int

    def times(self, values: Floats) -> Floats:
        """Of each row, the sum of `values` (one a column)."""
        found: Floats = np.bincount(self.rows, self.values * values[self.places], self.height).astype(np.float64)
        return found

    def transposed_times(self, values: Floats) -> Floats:
        """Of each column, the sum of `values` (one a row)."""
        found: Floats = np.bincount(self.places, self.values * values[self.rows], self.columns).astype(np.float64)
        return found


def ridge(matrix: Matrix, target: Floats, *, weight: Floats, groups: Whole, penalty: float, steps: int = 40) -> Floats:
    """The coefficients that explain the differences within each group, by conjugate gradients.

    Groups differ in level for reasons of their own, such as which models were compared, so levels are taken out.
    """
    _, group = np.unique(groups, return_inverse=True)
    mass = np.bincount(group, weight)

    def centred(values: Floats) -> Floats:
        return values - (np.bincount(group, weight * values) / mass)[group]

    found = np.zeros(matrix.columns)
    rest = matrix.transposed_times(weight * centred(target))
    direction, square = rest.copy(), float(rest @ rest)
    least = _ENOUGH * square
    for _ in range(steps):
        if square <= least:
            break
        image = matrix.transposed_times(weight * centred(matrix.times(direction))) + penalty * direction
        pace = square / float(direction @ image)
        found += pace * direction
        rest -= pace * image
        before, square = square, float(rest @ rest)
        direction = rest + square / before * direction
    return found
