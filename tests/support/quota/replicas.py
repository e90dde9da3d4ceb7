"""An operator's replica around the pure ledger, as little of it as the protocol needs."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pointsman_operator.ledger import eras, lapsing
from pointsman_operator.ledger.accounts import Account, AccountKey, Block
from pointsman_operator.ledger.answering import Answer, Moment, Presence, Terms, answer
from pointsman_operator.ledger.books import Books
from pointsman_operator.ledger.messages import Call, Reply
from support.quota.stores import Era, ModelStore

Granted = Callable[[AccountKey, Account, Call], None]


@dataclass
class Replica:
    """Believes what it has in memory until the store contradicts it.

    `granted` is told of each grant once it is stored, and `lapsed` of each block whose holder was given up.
    """

    store: ModelStore
    terms: Callable[[], dict[str, Terms]]
    granted: Granted
    lapsed: Callable[[AccountKey, Block], None]
    new_session: Callable[[], int]
    skew: float = 0.0
    books: Books = field(default_factory=Books)
    versions: dict[AccountKey, int] = field(default_factory=dict)
    presences: dict[str, Presence] = field(default_factory=dict)
    since: float = 0.0
    era: Era = field(default_factory=Era)
    grants_from: float = float("-inf")

    def take_over(self, now: float) -> None:
        """Begin to lead: whatever is in the store counts, and nothing that was in memory."""
        if self.store.era.run != self.store.run:
            self.store.begin_era(now=now + self.skew)
        if self.era != self.store.era:
            self.era = self.store.era
            self.grants_from = eras.grants_from(began=self.era.began, now=now + self.skew)
        self.since = now + self.skew
        self.presences.clear()
        self.reload()

    def reload(self) -> None:
        """Read the store."""
        self.books = Books()
        self.versions = {}
        for key, (version, account) in self.store.accounts.items():
            self.books.put(key, account)
            self.versions[key] = version

    def receive(self, call: Call, now: float) -> Reply | None:
        """Answer a call; None where the store will not have it."""
        current = False
        for _ in range(4):
            if not self.store.is_in(self.era.number):
                self.take_over(now)
            moment = Moment(
                now=now + self.skew,
                era=self.era.number,
                grants_from=self.grants_from,
                fresh_session=self.new_session(),
            )
            given = answer(
                call,
                presence=self.presences.get(call.holder),
                books=self.books,
                terms=self.terms(),
                moment=moment,
            )
            if (current or not given.behind) and self._stored(given, call, now):
                self.presences[call.holder] = given.presence
                return given.reply
            self.reload()
            current = True
        return None

    def sweep(self, now: float) -> None:
        """Give up who is silent, and drop what is over."""
        if not self.store.is_in(self.era.number):
            return
        local = now + self.skew
        for holder in lapsing.silent(self.presences, self.books, now=local, since=self.since):
            blocks = [(key, self.books[key].blocks[holder, serial]) for key, serial in self.books.held_by(holder)]
            for key, account in lapsing.lapse(holder, books=self.books, era=self.era.number).items():
                if not self._write({key: account}, now):
                    # The rest was decided by what is no longer so.
                    return
                for of, block in blocks:
                    if of == key:
                        self.lapsed(key, block)
            self.presences.pop(holder, None)
        self._write(dict.fromkeys(lapsing.over(self.books, now=local)), now)

    def _stored(self, given: Answer, call: Call, now: float) -> bool:
        closed = {(item.key, item.serial) for item in call.items if item.closed}
        # One account after the other, as stores of many objects do: some may be written and others not.
        for key in given.urgent:
            before, account = self.books[key], given.changes[key]
            if not self._write({key: account}, now):
                return False
            for (_, serial), block in before.blocks.items():
                if (block.holder, serial) not in account.blocks and (key, serial) not in closed:
                    self.lapsed(key, block)
            if any(block.granted > _granted(before, name) for name, block in account.blocks.items()):
                self.granted(key, account, call)
        for key, account in given.changes.items():
            if key not in given.urgent:
                self.books.put(key, account)
        return True

    def _write(self, changes: dict[AccountKey, Account | None], now: float) -> bool:
        for key, account in changes.items():
            version = self.store.swap(key, account, expected=self.versions.get(key, 0), era=self.era.number, now=now)
            if version is None:
                self.reload()
                return False
            self.versions[key] = version
            self.books.put(key, account)
            if account is None:
                self.versions.pop(key)
        return True


def _granted(account: Account, name: tuple[str, int]) -> int:
    block = account.blocks.get(name)
    return 0 if block is None else block.granted
