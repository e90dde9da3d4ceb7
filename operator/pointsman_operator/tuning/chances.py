"""How sure a share or a mean is, from how many it was counted: bounds that are wrong once in a hundred."""

from math import sqrt

# One-sided, 99 %.
_Z = 2.326


def share_bounds(hits: float, of: int) -> tuple[float, float]:
    """Between which shares the true one lies, by Wilson's score; all of 0 to 1 where nothing was counted."""
    if of <= 0:
        return 0.0, 1.0
    share, spread = hits / of, _Z * _Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def least_excess(hits: float, of: int, *, other_hits: float, other_of: int) -> float:
    """By how much one share is above another at least, by Newcombe's way of joining two of Wilson's bounds."""
    if of <= 0 or other_of <= 0:
        return -1.0
    share, other = hits / of, other_hits / other_of
    low, high = share_bounds(hits, of)[0], share_bounds(other_hits, other_of)[1]
    return share - other - sqrt((share - low) ** 2 + (high - other) ** 2)


def mean_error(variance: float, of: int, *, grain: float) -> float:
    """How far a mean may be off. `grain` is how finely the values were told apart: no spread is below that."""
    return _Z * sqrt((variance + grain * grain) / of) if of > 0 else float("inf")
