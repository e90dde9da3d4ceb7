"""What keeps a store from being written while its accounts are moved to another, and after."""

import json
from dataclasses import dataclass
from typing import Literal, Protocol

from pointsman_operator.quotas.stores import Store, StoreUnavailableError

Why = Literal["exported", "importing", "unreadable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fence:
    """Stands in a store: nobody writes to it but whoever moves it.

    Attributes:
        why: whether its accounts were exported, or others are being imported.
        at: when, for people.
    """

    why: Why
    at: str

    def text(self) -> str:
        """As it is stored."""
        return json.dumps({"why": self.why, "at": self.at})

    @staticmethod
    def read(text: str) -> "Fence":
        """Read it. Whatever else stands there is a fence too."""
        try:
            value = json.loads(text)
            if value["why"] in {"exported", "importing"}:
                return Fence(why=value["why"], at=str(value["at"]))
        except (ValueError, TypeError, KeyError):
            pass
        return Fence(why="unreadable", at="")


class StoreFencedError(StoreUnavailableError):
    """The store is not to be written any more, or not yet."""

    def __init__(self, store: object, fence: Fence) -> None:
        says = {
            "exported": f"was exported at {fence.at}: nothing more is granted from it; use the store that it was "
            "imported to, or take it up again with `pointsman-operator ledger reopen`",
            "importing": f"is being imported since {fence.at}: nothing is granted from it until that is done; "
            "if it was broken off, run `pointsman-operator ledger import` again",
            "unreadable": "has a fence that this version cannot read: nothing is granted from it",
        }
        super().__init__(f"{store} {says[fence.why]}")
        self.fence = fence


class Movable(Store, Protocol):
    """A store whose accounts can be moved to another."""

    async def fence(self) -> Fence | None:
        """What stands there."""

    async def put_fence(self, fence: Fence | None) -> None:
        """Put one up, or take it away. From its return on, nobody else writes who has not seen it."""
