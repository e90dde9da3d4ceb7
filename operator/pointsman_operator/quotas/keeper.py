"""The ledger's edge: calls come in, are answered together, and what is told was stored before.

Whatever fails, everything in memory is dropped and the store is read again: the ledger's word is what is stored.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from pointsman_operator.compile import budget_name
from pointsman_operator.ledger import eras, lapsing
from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.answering import Answer, Moment, Presence, Terms, answer
from pointsman_operator.ledger.books import Books
from pointsman_operator.ledger.messages import Call, Reply
from pointsman_operator.ledger.windows import Window
from pointsman_operator.quotas.metrics import LedgerMetrics
from pointsman_operator.quotas.pacing import LONG_SECONDS
from pointsman_operator.quotas.stores import (
    NO_ERA,
    Era,
    Store,
    StoreConflictError,
    StoreFullError,
    StoreUnavailableError,
)
from pointsman_operator.resources import TokenQuota
from pointsman_operator.status import LedgerState, Standing, standings_in

log = structlog.get_logger(__name__)

# Calls that come within this are answered together, so that accounts of one object are written at once.
GROUP_SECONDS = 0.004
SWEEP_SECONDS = 60.0
# What was reported of an account is stored when that is written next, or after so long.
REPORTED_SECONDS = 60.0
RETRY_SECONDS = 0.5
NUDGE_SECONDS = 1.0
_PAUSED = "nothing is granted yet: the ledger's store may have lost its last writes, and sidecars say what they hold"
# Bounds how long those at the end of a group wait.
_MOST_CALLS = 256
# What nobody waits for is written a little at a time, so that what somebody waits for has not to wait behind it: within
# the last while, so much of it at least, and else one part in so many.
_SWEEP_PAUSE_SECONDS = 1.0
_SWEPT_AT_ONCE = 3
_SWEPT_IN_PARTS = 30
_TRIES = 4
# A store is read at most so often because callers have seen more of it: whatever they claim.
_READ_SECONDS = 1.0
_SHORT_SECONDS = 60.0
_SAID_SECONDS = 60.0
# What is over sooner than this is in the log alone.
_TROUBLE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call, whom its budgets bind, and where the answer goes. `terms` is asked for the budgets as they then are."""

    call: Call
    terms: Callable[[], Mapping[str, Terms]]
    reply: Callable[[Reply, str], None]
    nudge: Callable[[], None]


@dataclass
class _Term:
    """What is known while this replica leads. Begun anew with each term.

    `since` is when it began to listen in this era, and `grants_from` when it may grant.
    """

    since: float
    era: Era = NO_ERA
    grants_from: float = float("-inf")
    books: Books = field(default_factory=Books)
    presences: dict[str, Presence] = field(default_factory=dict)
    nudges: dict[str, Callable[[], None]] = field(default_factory=dict)
    nudged: dict[str, float] = field(default_factory=dict)
    of_budget: defaultdict[str, dict[AccountKey, None]] = field(default_factory=lambda: defaultdict(dict))
    # Since when there is something that was reported and not stored; the oldest comes first.
    reports: dict[AccountKey, float] = field(default_factory=dict)
    short: dict[AccountKey, float] = field(default_factory=dict)
    current: bool = False
    ever_read: bool = False
    trouble: str = ""
    trouble_since: float = 0.0
    trouble_told: bool = False


class Keeper:
    """Keeps the ledger from `begin` to `pause`; `run` is the whole life of it.

    `now` is the calendar's clock, `clock` a steady one, `fresh_session` gives numbers that were never given before.
    `moved` is told of budgets whose accounts changed, and `opened` called each time that the store was first read,
    and where it is another story whether it can be used.
    `behind` says how long writes take of late.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        fresh_session: Callable[[], int],
        metrics: LedgerMetrics,
        moved: Callable[[frozenset[str]], None] = lambda _: None,
        opened: Callable[[], None] = lambda: None,
        behind: Callable[[], float] = lambda: 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._now = now
        self._clock = clock
        self._fresh_session = fresh_session
        self._metrics = metrics
        self._moved = moved
        self._opened = opened
        self._behind = behind
        self._sleep = sleep
        self._term: _Term | None = None
        self._asked: dict[str, Asked] = {}
        # Calls that have seen more than the books have.
        self._ahead: dict[str, Asked] = {}
        self._wake = asyncio.Event()
        self._read_at = float("-inf")
        self._sweep_at = float("-inf")
        self._said_at: dict[str, float] = {}
        self._remarks: dict[str, tuple[str, float]] = {}

    def begin(self) -> None:
        """Lead from now on: what is stored counts, and nothing that was in memory."""
        self._term = _Term(since=self._now())
        self._wake.set()

    def pause(self) -> None:
        """Lead no more. Calls that wait are dropped: whoever made them asks the next."""
        self._term = None
        self._metrics.usable.set(0)
        self._asked.clear()
        self._ahead.clear()

    def submit(self, asked: Asked) -> None:
        """Answer this call, unless another of the same holder comes before that."""
        self._ahead.pop(asked.call.holder, None)
        self._asked[asked.call.holder] = asked
        self._wake.set()

    def state(self) -> LedgerState:
        """Whether budgets can be granted from, as far as that is known here."""
        term, now = self._term, self._clock()
        if term is None:
            return LedgerState(known=False)
        remarks = [reason for reason, at in self._remarks.values() if now - at < _SAID_SECONDS]
        if term.ever_read and self._now() < term.grants_from:
            remarks.append(_PAUSED)
        trouble = term.trouble if term.trouble_told else ""
        return LedgerState(known=term.ever_read, trouble=trouble, remark="; ".join(remarks))

    def standings(self, quota: TokenQuota, window: Window) -> Sequence[Standing]:
        """How the quota's budgets stand in a window; of those that nobody has spent from, nothing."""
        term = self._term
        if term is None:
            return ()
        oldest = self._clock() - _SHORT_SECONDS
        keys = term.of_budget.get(budget_name(quota.metadata.key), {})
        short = frozenset(key for key in keys if term.short.get(key, float("-inf")) >= oldest)
        accounts = ((key, term.books[key]) for key in keys)
        return standings_in(accounts, quota=quota, window=window, short=short)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            await self._run()
        finally:
            await self._store.close()

    async def _run(self) -> None:
        while True:
            await self._woken()
            term = self._term
            if term is None:
                continue
            try:
                if not term.current:
                    await self._read(term)
                await self._work(term)
            except (StoreUnavailableError, StoreConflictError) as error:
                term.current = False
                self._say("the ledger's store cannot be used now; will be tried again", str(error))
                self._in_trouble(term, str(error))
                await self._sleep(RETRY_SECONDS)
                self._wake.set()

    def _in_trouble(self, term: _Term, reason: str) -> None:
        now = self._clock()
        if not term.trouble:
            term.trouble_since = now
        term.trouble = reason
        self._metrics.usable.set(0)
        if now - term.trouble_since >= _TROUBLE_SECONDS and not term.trouble_told and term is self._term:
            term.trouble_told = True
            self._opened()

    def _out_of_trouble(self, term: _Term) -> None:
        self._metrics.usable.set(1)
        told, term.trouble, term.trouble_told = term.trouble_told, "", False
        if (told or not term.ever_read) and term is self._term:
            if not term.ever_read:
                log.info("the ledger is open", accounts=len(term.books))
            elif told:
                log.info("the ledger's store can be used again")
            term.ever_read = True
            self._opened()

    async def _woken(self) -> None:
        """Wait until there may be something to do; for calls a little longer, so that more of them come together."""
        term = self._term
        waits = [self._sweep_at - self._clock()] if term is not None else []
        if self._ahead:
            waits.append(self._read_at + _READ_SECONDS - self._clock())
        try:
            async with asyncio.timeout(max(0.0, min(waits)) if waits else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        if self._asked:
            await self._sleep(GROUP_SECONDS)

    async def _read(self, term: _Term) -> None:
        accounts = await self._store.read()
        books = Books()
        of_budget: defaultdict[str, dict[AccountKey, None]] = defaultdict(dict)
        for key, account in accounts.items():
            books.put(key, account)
            of_budget[key.budget][key] = None
        term.books, term.of_budget, term.reports = books, of_budget, {}
        self._enter(term, self._store.era)
        term.current = True
        self._read_at = self._clock()
        self._out_of_trouble(term)
        self._moved(frozenset(of_budget))

    def _enter(self, term: _Term, era: Era) -> None:
        """Where the store may have lost something, all sidecars declare what they hold before more is granted."""
        if era == term.era:
            return
        now = self._now()
        term.era, term.since = era, now
        term.grants_from = eras.grants_from(began=era.began, now=now)
        term.presences.clear()
        if (seconds := term.grants_from - now) > 0:
            log.info(
                "the ledger's store may have lost what it confirmed last: sidecars declare what they hold, and until "
                "then nothing is granted",
                era=era.number,
                seconds=round(seconds),
            )

    async def _work(self, term: _Term) -> None:
        if self._ahead and self._clock() >= self._read_at + _READ_SECONDS:
            ahead, self._ahead = self._ahead, {}
            await self._read(term)
            await self._answer(term, ahead, current=True)
        if self._asked:
            group = dict(list(self._asked.items())[:_MOST_CALLS])
            for holder in group:
                del self._asked[holder]
            await self._answer(term, group, current=False)
            if self._asked:
                self._wake.set()
        if self._clock() >= self._sweep_at:
            await self._sweep(term)

    async def _answer(self, term: _Term, group: Mapping[str, Asked], *, current: bool) -> None:
        """Answer a group: on a conflict read and begin anew, and where that does not help, not at all."""
        full: frozenset[AccountKey] = frozenset()
        message = ""
        for _ in range(_TRIES):
            if term is not self._term:
                return
            answers = self._answers(term, group, current=current, full=full)
            urgent = {key: given.changes[key] for _, given in answers for key in given.urgent}
            # The last word on each: later answers build on earlier ones.
            urgent = {key: term.books[key] for key in urgent}
            try:
                if urgent:
                    await self._store.write(urgent)
            except StoreConflictError as error:
                log.info("the ledger was written by another replica; it is read again", reason=str(error))
                await self._again(term)
                current = True
                continue
            except StoreFullError as error:
                self._remark("the ledger's store is full", str(error))
                full, message = full | error.accounts, str(error)
                await self._again(term)
                current = True
                continue
            except StoreUnavailableError:
                term.current = False
                self._metrics.calls.labels(result="dropped").inc(len(answers))
                raise
            for key in urgent:
                term.reports.pop(key, None)
            self._tell(term, answers, message=message)
            return
        self._metrics.calls.labels(result="dropped").inc(len(group))

    async def _again(self, term: _Term) -> None:
        term.current = False
        await self._read(term)

    def _answers(
        self, term: _Term, group: Mapping[str, Asked], *, current: bool, full: frozenset[AccountKey]
    ) -> list[tuple[Asked, Answer]]:
        """One after the other, each upon what the ones before it changed in the books."""
        answers: list[tuple[Asked, Answer]] = []
        for holder, asked in group.items():
            # Where there is no room for more, what is given back or done with is heard all the same.
            no_room = any(item.key in full for item in asked.call.items)
            moment = Moment(
                now=self._now(),
                fresh_session=self._fresh_session(),
                era=term.era.number,
                grants_from=term.grants_from,
                has_room=not no_room,
            )
            presence = term.presences.get(holder)
            given = answer(asked.call, presence=presence, books=term.books, terms=asked.terms(), moment=moment)
            if given.behind and not current:
                self._ahead.setdefault(holder, asked)
                continue
            for key, account in given.changes.items():
                self._put(term, key, account)
                if key not in given.urgent:
                    term.reports.setdefault(key, self._clock())
            answers.append((asked, given))
        return answers

    def _tell(self, term: _Term, answers: Iterable[tuple[Asked, Answer]], *, message: str) -> None:
        if term is not self._term:
            return
        if not message and (behind := self._behind()) >= LONG_SECONDS:
            message = (
                f"the ledger is at the end of what the cluster's ConfigMaps can take: writes take {behind:.1f} s; "
                "keep it in Redis (--ledger-redis-url), or have fewer budgets with longer windows"
            )
            self._remark("the ledger is at the end of what its store can take", message)
        moved: set[str] = set()
        for asked, given in answers:
            holder = asked.call.holder
            term.presences[holder] = given.presence
            term.nudges[holder] = asked.nudge
            for item, verdict in zip(asked.call.items, given.reply.verdicts, strict=False):
                if item.needed and verdict.short and given.reply.grants_after > 0:
                    # Nothing is granted to anybody now, which says nothing of what is left.
                    continue
                if item.needed and verdict.short:
                    term.short[item.key] = self._clock()
                    moved.add(item.key.budget)
                elif item.needed:
                    term.short.pop(item.key, None)
            moved.update(key.budget for key in given.changes)
            self._metrics.calls.labels(result="declare" if given.reply.declare else "answered").inc()
            asked.reply(given.reply, message)
            for starving in given.starved_by:
                self._nudge(term, starving)
        if moved:
            self._moved(frozenset(moved))

    def _nudge(self, term: _Term, holder: str) -> None:
        now = self._clock()
        if (nudge := term.nudges.get(holder)) and now >= term.nudged.get(holder, float("-inf")) + NUDGE_SECONDS:
            term.nudged[holder] = now
            nudge()

    async def _sweep(self, term: _Term) -> None:
        """Store what was reported, give up who is silent, drop what is over."""
        since = self._clock() - REPORTED_SECONDS
        reports = _portion([key for key, at in term.reports.items() if at <= since])
        if reports:
            await self._write(term, {key: term.books[key] for key in reports})
            for key in reports:
                term.reports.pop(key, None)
        now = self._now()
        for holder in lapsing.silent(term.presences, term.books, now=now, since=term.since):
            lapsed = lapsing.lapse(holder, books=term.books, era=term.era.number)
            if lapsed:
                await self._write(term, lapsed)
                log.info("a sidecar is heard of no more: what it held counts as spent", holder=holder)
            for kept in (term.presences, term.nudges, term.nudged):
                kept.pop(holder, None)
        over = _portion(lapsing.over(term.books, now=now))
        if over:
            await self._write(term, dict.fromkeys(over))
        term.short = {key: at for key, at in term.short.items() if at >= self._clock() - _SHORT_SECONDS}
        wait = _SWEEP_PAUSE_SECONDS if over or reports else SWEEP_SECONDS
        if term.reports:
            wait = min(wait, max(_SWEEP_PAUSE_SECONDS, next(iter(term.reports.values())) - since))
        self._sweep_at = self._clock() + wait

    async def _write(self, term: _Term, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write what no caller waits for. After a conflict, everything is decided anew."""
        try:
            await self._store.write(changes)
        except StoreFullError as error:
            self._remark("the ledger's store is full", str(error))
            return
        for key, account in changes.items():
            self._put(term, key, account)
        self._moved(frozenset(key.budget for key in changes))

    def _put(self, term: _Term, key: AccountKey, account: Account | None) -> None:
        term.books.put(key, account)
        if account is not None:
            term.of_budget[key.budget][key] = None
            return
        keys = term.of_budget[key.budget]
        keys.pop(key, None)
        if not keys:
            del term.of_budget[key.budget]

    def _remark(self, event: str, reason: str) -> None:
        """Something that statuses say too, for as long as it was so of late."""
        self._remarks[event] = reason, self._clock()
        self._say(event, reason)

    def _say(self, event: str, reason: str) -> None:
        """Once a minute: what is so now is so for each call."""
        if self._clock() >= self._said_at.get(event, float("-inf")) + _SAID_SECONDS:
            self._said_at[event] = self._clock()
            log.warning(event, reason=reason)


def _portion(waiting: Sequence[AccountKey]) -> Sequence[AccountKey]:
    return waiting[: max(_SWEPT_AT_ONCE, len(waiting) // _SWEPT_IN_PARTS)]
