"""Where splits stand that change by themselves."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitState:
    """The weights in force, in the order of the arms.

    `rolled_back` is the arm that was rolled back, by its model; empty where none was.
    """

    weights: tuple[int, ...]
    rolled_back: str = ""
