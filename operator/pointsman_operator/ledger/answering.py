"""What the ledger does on a call, and what it answers: pure.

Whoever calls `answer` stores the changes (those that are urgent, before the reply is told), puts them into the books
and keeps the presence; or, when the store has another version of one of the accounts, drops it all, reads the store
anew and calls again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pointsman_operator.ledger import sizing
from pointsman_operator.ledger.accounts import (
    Account,
    AccountKey,
    Block,
    Stamp,
    closed,
    given_up,
    heard_of,
    is_behind,
    next_stamp,
    spent_unseen,
    was_lost,
    with_block,
    with_report,
)
from pointsman_operator.ledger.books import Books
from pointsman_operator.ledger.messages import BlockState, Call, Item, Reply, Verdict
from pointsman_operator.ledger.windows import Window

REPORT_SECONDS = 10.0
# Near the end of a budget, where what one holds is what another lacks.
TAIL_REPORT_SECONDS = 1.0
RETRY_SECONDS = 1.0
# How long before its start a window can be granted from.
AHEAD_SECONDS = 180.0
# How long an account outlives its window, for those that settle late and for replicas whose clocks are behind.
KEEP_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """A budget as it is now: its limit in its unit, and which windows its calendar has.

    `subject` is whom the caller may spend for; None where that is for the caller to say, as with users.
    """

    unit: str
    limit: int
    has_window: Callable[[Window], bool]
    subject: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """What the ledger remembers of a sidecar that it hears of. In memory only.

    Attributes:
        session: a number that no other presence ever had, under which the sidecar declares what it holds. Whatever
        comes
            without it, or late from another session, is not heard: so what is forgotten cannot come back.
        declared: whether it has.
        high: the highest serial of its blocks. A block with a lower one is never made: it was, and is settled.
        heard: when it was last heard of.
    """

    session: int
    declared: bool = False
    high: int = 0
    heard: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """What an answer depends on beside the call and the books.

    Attributes:
        now: the ledger's clock, in seconds since 1970.
        era: the era of the store: it grows when the store may have lost what it had confirmed.
        grants_from: until then nothing is granted, so that sidecars can declare what the store may have lost.
        has_room: whether the store has room for more. Where it has none, nothing is granted either.
        fresh_session: a number that was never used for a session.
    """

    now: float
    fresh_session: int
    era: int = 0
    grants_from: float = 0.0
    has_room: bool = True

    @property
    def grants(self) -> bool:
        """Whether anything is granted now."""
        return self.has_room and self.now >= self.grants_from


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What comes of a call.

    Attributes:
        changes: the accounts that are no longer as the books have them.
        urgent: those among them that must be stored before the reply is told. The others only say what was used of a
            block that is held anyway; lost, they are said again.
        behind: accounts of which the caller has seen a later version. Unless the store was read for this very call,
            the answer is not to be told: it would deny blocks that another replica made. Read the store, and call
            again.
        starved_by: other holders of accounts that were short, who should speak soon, and will be told what to keep.
    """

    reply: Reply
    presence: Presence
    changes: Mapping[AccountKey, Account]
    urgent: tuple[AccountKey, ...] = ()
    starved_by: frozenset[str] = frozenset()
    behind: frozenset[AccountKey] = frozenset()


def answer(
    call: Call, *, presence: Presence | None, books: Books, terms: Mapping[str, Terms], moment: Moment
) -> Answer:
    """Hear a call. `terms` are the budgets that bind the caller, by name."""
    if presence is None:
        presence = Presence(session=moment.fresh_session)
    presence = replace(presence, heard=moment.now)
    if call.session != presence.session or not (presence.declared or call.declares):
        return Answer(reply=_reply(call, presence, moment, declare=True), presence=presence, changes={})
    work = _Work(call=call, presence=presence, books=books, terms=terms, moment=moment)
    if not presence.declared:
        work.declaration()
    verdicts = tuple(work.item(item) for item in call.items)
    tail = any(verdict.keep is not None for verdict in verdicts)
    reply = _reply(call, work.presence, moment, verdicts=verdicts, soon=tail or not moment.grants)
    return Answer(
        reply=reply,
        presence=work.presence,
        changes=work.changes,
        urgent=tuple(work.urgent),
        starved_by=frozenset(work.starved_by - {call.holder}),
        behind=frozenset(work.behind),
    )


def _reply(
    call: Call,
    presence: Presence,
    moment: Moment,
    *,
    declare: bool = False,
    verdicts: tuple[Verdict, ...] = (),
    soon: bool = False,
) -> Reply:
    return Reply(
        id=call.id,
        session=presence.session,
        now=moment.now,
        declare=declare,
        report_after=TAIL_REPORT_SECONDS if soon else REPORT_SECONDS,
        retry_after=RETRY_SECONDS,
        grants_after=max(0.0, moment.grants_from - moment.now),
        verdicts=verdicts,
    )


class _Work:
    """One call's work: the accounts as they come to be."""

    def __init__(
        self, *, call: Call, presence: Presence, books: Books, terms: Mapping[str, Terms], moment: Moment
    ) -> None:
        self._call = call
        self._books = books
        self._terms = terms
        self._moment = moment
        self._floor = presence.high
        self.presence = presence
        self.changes: dict[AccountKey, Account] = {}
        self.urgent: dict[AccountKey, None] = {}
        self._settled: dict[tuple[AccountKey, int], Stamp] = {}
        self.starved_by: set[str] = set()
        self.behind: set[AccountKey] = set()

    def declaration(self) -> None:
        """The holder says, once in a session, all that it has: what it does not, it has lost, and counts as spent."""
        call = self._call
        self.presence = replace(self.presence, declared=True, high=call.high)
        self._floor = call.high
        named = {(item.key, item.serial) for item in call.items}
        for key, serial in list(self._books.held_by(call.holder)):
            if serial <= call.high and (key, serial) not in named:
                account = self._account(key)
                self._put(key, given_up(account, account.blocks[call.holder, serial], era=self._moment.era))
        for item in call.items:
            self._restore(item)

    def item(self, item: Item) -> Verdict:
        """What the holder says of one block."""
        account = self._account(item.key)
        block = account.blocks.get((self._call.holder, item.serial))
        if block is None and item.created is not None and is_behind(account, item.created):
            self.behind.add(item.key)
        if block is None:
            block = self._new(item, account)
        if block is None:
            return self._verdict(item, None, short=item.total > 0 and not item.closed)
        heard = heard_of(block, item.said)
        if item.closed:
            self._put(item.key, closed(account, heard, era=self._moment.era))
            self._settled[item.key, item.serial] = heard.created
            return self._verdict(item, None)
        given = self._given(item, account, heard)
        after = replace(heard, granted=heard.granted + given)
        if given or after.returned != block.returned:
            self._put(item.key, with_block(account, after, era=self._moment.era))
        elif after != block:
            self._put(item.key, with_report(account, after), urgent=False)
        if not after.granted:
            # A block was asked for and nothing granted: there is none.
            return self._verdict(item, None, short=True)
        return self._verdict(item, after, short=after.granted < item.needed)

    def _new(self, item: Item, account: Account) -> Block | None:
        """The block to be, where the holder may have it made: under a serial that was never heard of."""
        if item.serial <= self._floor:
            return None
        self.presence = replace(self.presence, high=max(self.presence.high, item.serial))
        if item.closed or item.created is not None:
            return None
        return Block(holder=self._call.holder, serial=item.serial, created=next_stamp(account, era=self._moment.era))

    def _given(self, item: Item, account: Account, block: Block) -> int:
        """How much to grant now. The invariant is here: no grant brings what is committed above the limit."""
        terms = self._terms.get(item.key.budget)
        now = self._moment.now
        if terms is None or not self._moment.grants or not _grantable(item.key, terms, now):
            return 0
        before = account.blocks.get((block.holder, block.serial))
        committed = account.committed - (before.committed if before else 0) + block.committed
        others = {owner for owner, _ in account.blocks} - {block.holder}
        free = terms.limit - committed
        used_by_all = _used_of_open(account) - (before.used if before else 0) + block.used

        def fair(unspent: int) -> int:
            return sizing.fair(unspent=unspent, holders=len(others) + 1, used=block.used, used_by_all=used_by_all)

        share = fair(terms.limit - account.used) - (block.committed - block.used)
        if item.needed > 0:
            # Of what it has nearly all is in use, for calls under way: that is not to keep those that wait from theirs.
            share = max(share, fair(free))
        give = sizing.grant(item.wish(block.granted), free=free, share=share)
        if block.granted + give < item.needed:
            self.starved_by.update(others)
        return give

    def _verdict(self, item: Item, block: Block | None, *, short: bool = False) -> Verdict:
        account = self._account(item.key)
        terms = self._terms.get(item.key.budget)
        limit = terms.limit if terms is not None and terms.unit == item.key.unit else None
        used, held = account.used, account.held
        if block is None:
            state = BlockState.CLOSED if item.closed else BlockState.GONE
            return Verdict(
                serial=item.serial,
                state=state,
                created=self._settled.get((item.key, item.serial)),
                short=short,
                limit=limit,
                used=used,
                held=held,
            )
        free = 0 if limit is None else limit - used - held
        return Verdict(
            serial=item.serial,
            state=BlockState.OPEN,
            granted=block.granted,
            returned=block.returned,
            created=block.created,
            short=short,
            keep=_keep(account, block, free=free, limit=limit),
            limit=limit,
            used=used,
            held=held,
        )

    def _restore(self, item: Item) -> None:
        """Take over what the store has lost of a block: its last grants, or all of it."""
        if item.created is None or self._moment.era == 0:
            return
        account = self._account(item.key)
        block = account.blocks.get((self._call.holder, item.serial))
        era = self._moment.era
        if block is not None:
            if item.granted > block.granted and item.created.era < era:
                self._put(item.key, with_block(account, replace(block, granted=item.granted), era=era))
        elif was_lost(account, item.created, era=era) and self._moment.now < item.key.end + KEEP_SECONDS:
            if item.closed:
                self._settled[item.key, item.serial] = next_stamp(account, era=era)
                self._put(item.key, spent_unseen(account, item.said, era=era))
            else:
                made = Block(
                    holder=self._call.holder,
                    serial=item.serial,
                    created=next_stamp(account, era=era),
                    granted=item.granted,
                )
                self._put(item.key, with_block(account, heard_of(made, item.said), era=era))

    def _account(self, key: AccountKey) -> Account:
        changed = self.changes.get(key)
        return self._books[key] if changed is None else changed

    def _put(self, key: AccountKey, account: Account, *, urgent: bool = True) -> None:
        self.changes[key] = account
        if urgent:
            self.urgent[key] = None


def _grantable(key: AccountKey, terms: Terms, now: float) -> bool:
    """Whether this is an account of the budget as it is, for a window that is now or begins soon."""
    window = Window(key.start, key.end)
    return (
        key.unit == terms.unit
        and terms.subject in {None, key.subject}
        and window.start - AHEAD_SECONDS <= now < window.end
        and terms.has_window(window)
    )


def _keep(account: Account, block: Block, *, free: int, limit: int | None) -> int | None:
    """How much a holder may keep of what it does not use; None where it may keep all."""
    if limit is None:
        return 0
    if not sizing.is_tail(free=free, limit=limit):
        return None
    return sizing.fair(
        unspent=limit - account.used,
        holders=len(account.blocks),
        used=block.used,
        used_by_all=_used_of_open(account),
    )


def _used_of_open(account: Account) -> int:
    """What is used of the blocks that are held now."""
    return account.used - account.spent
