"""What becomes of sidecars that are heard of no more, and of windows that are over."""

from collections.abc import Mapping

from pointsman_operator.ledger.accounts import Account, AccountKey, given_up
from pointsman_operator.ledger.answering import KEEP_SECONDS, Presence
from pointsman_operator.ledger.books import Books

# Long enough for a pod in a crash loop, whose kubelet waits five minutes at most, to come back for what its journal
# says.
LAPSE_SECONDS = 900.0


def silent(presences: Mapping[str, Presence], books: Books, *, now: float, since: float) -> tuple[str, ...]:
    """Holders to give up: those not heard of for so long. `since` is when this ledger began to listen."""
    known = {*presences, *books.holders}
    return tuple(
        holder
        for holder in sorted(known)
        if now - (presences[holder].heard if holder in presences else since) >= LAPSE_SECONDS
    )


def lapse(holder: str, *, books: Books, era: int) -> dict[AccountKey, Account]:
    """The accounts after a holder was given up: its blocks count as spent. Its presence is to be forgotten with it."""
    changes: dict[AccountKey, Account] = {}
    for key, serial in books.held_by(holder):
        account = changes.get(key, books[key])
        changes[key] = given_up(account, account.blocks[holder, serial], era=era)
    return changes


def over(books: Books, *, now: float) -> tuple[AccountKey, ...]:
    """Accounts to drop: whatever comes for them now comes too late to count."""
    return tuple(key for key in books.accounts if now >= key.end + KEEP_SECONDS)
