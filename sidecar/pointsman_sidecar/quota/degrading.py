"""What is done with less as a budget runs out: the steps of all budgets that bind a request, taken together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

from pointsman_sidecar.quota.budgets import Budget


class Level(NamedTuple):
    """What is used of a budget, as far as this sidecar knows."""

    budget: Budget
    used: int
    limit: int
    resets_at: int | None

    @property
    def reached_percent(self) -> int | None:
        """The highest step that is reached; None where none is."""
        return max((step.at_percent for step in self.budget.steps if self.reaches(step.at_percent)), default=None)

    def reaches(self, percent: int) -> bool:
        """Whether so much of it is used. A budget of nothing is used up."""
        return self.used * 100 >= self.limit * percent


class Standing(NamedTuple):
    """How a budget stands, as far as this sidecar knows.

    `held` is what all sidecars hold, `free` what of this one's part is for no call yet, and `told` whether the ledger
    has spoken of it.
    """

    level: Level
    held: int = 0
    free: int = 0
    told: bool = False

    @property
    def left(self) -> int:
        """What a call of this sidecar can still have: what is free of its own part, and what nobody holds."""
        return max(0, self.level.limit - self.level.used - self.held + self.free)


@dataclass(frozen=True, kw_only=True, slots=True)
class Degradation:
    """What holds for a request now. `budgets` are those whose steps say so."""

    max_output_tokens: int | None = None
    default_model_only: bool = False
    no_shadow: bool = False
    no_hedging: bool = False
    budgets: tuple[Budget, ...] = ()


def degradation(levels: Iterable[Level]) -> Degradation:
    """The strictest of all steps that are reached."""
    reached = [
        (level.budget, step) for level in levels for step in level.budget.steps if level.reaches(step.at_percent)
    ]
    caps = [step.max_output_tokens for _, step in reached if step.max_output_tokens is not None]
    return Degradation(
        max_output_tokens=min(caps, default=None),
        default_model_only=any(step.default_model_only for _, step in reached),
        no_shadow=any(step.no_shadow for _, step in reached),
        no_hedging=any(step.no_hedging for _, step in reached),
        budgets=tuple(dict.fromkeys(budget for budget, _ in reached)),
    )


def tightest(levels: Sequence[Level]) -> Level | None:
    """The level of which the largest share is used, providers' rate limits aside; None where there is none."""
    own = [level for level in levels if not level.budget.is_rate_limit]
    return reduce(tighter, own) if own else None


def tighter(one: Level, other: Level) -> Level:
    """The level of which the larger share is used; the first, where both are alike. Of nothing, all is used."""
    if one.limit <= 0 or (other.limit > 0 and other.used * one.limit <= one.used * other.limit):
        return one
    return other
