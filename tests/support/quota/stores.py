"""A store as the protocol needs it: one account at a time, by compare-and-swap. It can lose what it confirmed last."""

from dataclasses import dataclass, field

from pointsman_operator.ledger.accounts import Account, AccountKey


@dataclass(frozen=True, kw_only=True)
class Era:
    """What the store keeps of its era: its number, the run of the server it is of, and when it began by some clock."""

    number: int = 0
    run: int = 0
    began: float = float("-inf")


@dataclass
class ModelStore:
    """Accounts with versions. `run` changes when the server is another one than before, as Redis' run id does."""

    accounts: dict[AccountKey, tuple[int, Account]] = field(default_factory=dict)
    run: int = 0
    era: Era = field(default_factory=Era)
    eras: int = 0
    keeps_history: bool = False
    _history: list[tuple[float, AccountKey, tuple[int, Account] | None]] = field(default_factory=list)

    def swap(self, key: AccountKey, account: Account | None, *, expected: int, era: int, now: float) -> int | None:
        """Write an account if it is at the expected version (0: there is none) in this era: its new one, or None."""
        there = self.accounts.get(key)
        if (there[0] if there else 0) != expected or not self.is_in(era):
            return None
        if self.keeps_history:
            self._history.append((now, key, there))
            while self._history[0][0] < now - 2:
                self._history.pop(0)
        if account is None:
            self.accounts.pop(key, None)
            return 0
        self.accounts[key] = (expected + 1, account)
        return expected + 1

    def lose(self, since: float) -> None:
        """Go back to what was there then, as another server that had not heard of the rest."""
        while self._history and self._history[-1][0] >= since:
            _, key, before = self._history.pop()
            if before is None:
                self.accounts.pop(key, None)
            else:
                self.accounts[key] = before
        self._history.clear()
        self.run += 1

    def is_in(self, era: int) -> bool:
        """Whether this is the store's era, and the store the one that it began with."""
        return self.era.number == era and self.era.run == self.run

    def begin_era(self, *, now: float) -> None:
        """Begin one, under a number that no other had."""
        self.eras += 1
        self.era = Era(number=self.eras, run=self.run, began=now)
