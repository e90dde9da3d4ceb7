"""What comes of asking for a part of the budgets."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from pointsman_sidecar.quota.blocks import Block
from pointsman_sidecar.quota.budgets import Budget


class Charge(NamedTuple):
    """An amount of a budget, for a subject: the budget's own, or the user's where it has none."""

    budget: Budget
    subject: str
    amount: int


class Reservation:
    """Leave to make one call. To be settled or released once; whatever comes after that does nothing.

    Attributes:
        parts: the block that each charge is taken from; None where that takes nothing.
        bounds: what is taken from each.
    """

    __slots__ = ("bounds", "done", "parts")

    def __init__(self, parts: list[Block | None], bounds: list[int]) -> None:
        self.parts = parts
        self.bounds = bounds
        self.done = False


class Cause(Enum):
    """Why there is nothing to spend from."""

    # Not known yet: the ledger is asked. Worth a short wait, then another try.
    ASKED = auto()
    # The ledger had too little left.
    EXHAUSTED = auto()
    # The ledger does not answer, or has not told of a window for this moment.
    UNANSWERED = auto()
    # The ledger answers, and grants nothing for a while: its store may have lost something.
    PAUSED = auto()
    # More subjects are in use at once than are kept.
    CROWDED = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortage:
    """No leave. Nothing was reserved of any budget.

    Attributes:
        budget: the one to name: the tightest of those that were short.
        used, limit: how it stands, as far as is known.
        held: what of it is held by sidecars, and may come back.
        resets_at: when its window ends, in seconds since 1970; None where no window is known.
        pause: for how many seconds more the ledger grants nothing at all.
    """

    cause: Cause
    budget: Budget
    amount: int
    used: int = 0
    held: int = 0
    limit: int = 0
    resets_at: int | None = None
    pause: float = 0.0

    @property
    def is_the_ledgers(self) -> bool:
        """Whether it is because the ledger does not answer or grant, and not because nothing is left."""
        return self.cause is not Cause.EXHAUSTED
