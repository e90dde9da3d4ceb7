"""All accounts in memory, as the store has them, with an index of who holds blocks where."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pointsman_operator.ledger.accounts import Account, AccountKey

NOTHING = Account()


class Books:
    """The accounts. Changed only by `put`: with what the store has confirmed or, for reports alone, will be told."""

    def __init__(self) -> None:
        self._accounts: dict[AccountKey, Account] = {}
        self._of_holder: defaultdict[str, dict[AccountKey, int]] = defaultdict(dict)

    def __getitem__(self, key: AccountKey) -> Account:
        """The account; one with nothing in it where there is none."""
        return self._accounts.get(key, NOTHING)

    def __contains__(self, key: AccountKey) -> bool:
        return key in self._accounts

    def __len__(self) -> int:
        return len(self._accounts)

    @property
    def accounts(self) -> Mapping[AccountKey, Account]:
        """All there are."""
        return MappingProxyType(self._accounts)

    def held_by(self, holder: str) -> Iterator[tuple[AccountKey, int]]:
        """The open blocks of a holder: account and serial."""
        for key in self._of_holder.get(holder, ()):
            yield from ((key, serial) for owner, serial in self._accounts[key].blocks if owner == holder)

    @property
    def holders(self) -> tuple[str, ...]:
        """Whoever holds blocks."""
        return tuple(self._of_holder)

    def put(self, key: AccountKey, account: Account | None) -> None:
        """Replace an account, or drop it."""
        before = self._accounts.get(key, NOTHING)
        after = NOTHING if account is None else account
        if before.blocks is not after.blocks:
            for owner, serial in before.blocks:
                if (owner, serial) not in after.blocks:
                    self._count(owner, key, -1)
            for owner, serial in after.blocks:
                if (owner, serial) not in before.blocks:
                    self._count(owner, key, 1)
        if account is None:
            self._accounts.pop(key, None)
        else:
            self._accounts[key] = account

    def _count(self, owner: str, key: AccountKey, change: int) -> None:
        there = self._of_holder[owner]
        there[key] = there.get(key, 0) + change
        if not there[key]:
            del there[key]
            if not there:
                del self._of_holder[owner]
