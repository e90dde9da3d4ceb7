"""Where accounts are kept: what the ledger asks of a store, and the store that forgets with its process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pointsman_operator.ledger.accounts import Account, AccountKey


class StoreConflictError(Exception):
    """Somebody else wrote first: read again. Some of what was to be written may have been."""


class StoreUnavailableError(Exception):
    """The store cannot be read or written now; the message says why. What was to be written may have been."""


class StoreFullError(Exception):
    """The store has no room for these accounts; nothing was written. The message says why."""

    def __init__(self, message: str, *, accounts: frozenset[AccountKey]) -> None:
        super().__init__(message)
        self.accounts = accounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Era:
    """Since when a store has lost nothing that it confirmed.

    Attributes:
        number: higher than those of all eras before; 0 where a store never loses anything.
        began: when that was, by the clock of whoever began it.
    """

    number: int
    began: float


NO_ERA = Era(number=0, began=float("-inf"))


class Store(Protocol):
    """Accounts, each written by compare-and-swap: only if it still is as this store read or wrote it last.

    One ledger uses it, one call at a time. Each call may raise StoreUnavailableError; then, and after a conflict,
    everything is to be read again before more is written.
    """

    @property
    def era(self) -> Era:
        """The era that it was in when it was read last. Nothing is written in another."""

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts as they are stored now."""

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write accounts, or drop those that are None; return when that is durable.

        Raise StoreConflictError or StoreFullError.
        """

    async def close(self) -> None:
        """Let go of whatever is held for it. It can be used again."""


class SharedMemory:
    """What several `MemoryStore` see: accounts, each with the number of its last write."""

    def __init__(self) -> None:
        self.accounts: dict[AccountKey, tuple[int, Account]] = {}
        self.writes = 0


class MemoryStore:
    """Accounts in memory: for the standalone command where it is given no folder for its state."""

    def __init__(self, shared: SharedMemory | None = None) -> None:
        self.shared = shared or SharedMemory()
        self._seen: dict[AccountKey, int] = {}

    @property
    def era(self) -> Era:
        """It loses nothing but with its process."""
        return NO_ERA

    async def close(self) -> None:
        """Hold nothing."""

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts."""
        self._seen = {key: number for key, (number, _) in self.shared.accounts.items()}
        return {key: account for key, (_, account) in self.shared.accounts.items()}

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write all, or raise StoreConflictError and write none."""
        accounts = self.shared.accounts
        if any(accounts.get(key, (0, None))[0] != self._seen.get(key, 0) for key in changes):
            raise StoreConflictError("the accounts in memory were written by somebody else")
        for key, account in changes.items():
            if account is None:
                accounts.pop(key, None)
                self._seen.pop(key, None)
                continue
            self.shared.writes += 1
            accounts[key] = (self.shared.writes, account)
            self._seen[key] = self.shared.writes
