"""`Purse`: what a sidecar may spend, with a journal, a clock, and those who wait for more."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from pointsman_sidecar.quota import journal as journals
from pointsman_sidecar.quota.budgets import Budget
from pointsman_sidecar.quota.degrading import Level, Standing
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.messages import Call, Reply
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from pointsman_sidecar.quota.users import user_subject
from pointsman_sidecar.spending.journal_file import JournalFile

# How long a request waits for the ledger, in seconds: where nothing is held yet, or too little.
_PATIENCE = 0.25
# How long one waits, after the sidecar's start, to hear which budgets there are.
_FIRST_WORD = 2.0


class Purse:
    """One for the process. `clock` never jumps, and showed about the seconds since 1970 when it began."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        incarnation: Callable[[], str],
        boot: str,
        journal: JournalFile | None,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self.clock = clock
        self._log = log
        self._key = b""
        self._asked: Call | None = None
        self._journal = journal if boot else None
        self._heard = asyncio.Event()
        self.budgets: tuple[Budget, ...] = ()
        """The budgets that bind this sidecar: another tuple whenever they change."""
        self.told = asyncio.Event()
        """Set once it is known which budgets there are, be it none."""
        self.due = asyncio.Event()
        """Set when there is something to say to the ledger."""
        recovered = journals.read(journal.read(), boot=boot) if journal is not None and boot else None
        self._holdings = Holdings(incarnation=incarnation(), boot=boot, now=clock(), recovered=recovered)
        self._write()
        if recovered is not None and self._journal is None:
            # Who cannot write on could not be believed after the next crash: nothing of it is taken over.
            self._holdings = Holdings(incarnation=incarnation(), boot=boot, now=clock())

    @property
    def incarnation(self) -> str:
        """What names this process among those that the pod had."""
        return self._holdings.incarnation

    @property
    def holds_nothing(self) -> bool:
        """Whether there is nothing left to tell the ledger of."""
        return self._holdings.holds_nothing

    def standing(self) -> list[tuple[str, int, int]]:
        """Of each budget, as people call it: what is held here, and what of that is reserved."""
        sums = self._holdings.standing()
        shown: dict[str, tuple[int, int]] = {}
        for budget in self.budgets:
            # One series for one name, whatever the ledger has under it.
            (held, reserved), (more, also) = shown.get(budget.shown, (0, 0)), sums.get(budget.name, (0, 0))
            shown[budget.shown] = held + more, reserved + also
        return [(name, *both) for name, both in shown.items()]

    def bind(self, budgets: Sequence[Budget], *, user_key: bytes) -> None:
        """From now on, these budgets bind."""
        self._holdings.bind(budgets)
        self.budgets = self._holdings.budgets
        self._key = user_key
        self.told.set()
        self._changed()

    async def knows(self) -> bool:
        """Wait until it is known which budgets there are, for a while at most."""
        try:
            async with asyncio.timeout(_FIRST_WORD):
                await self.told.wait()
        except TimeoutError:
            return False
        return True

    def subject_of(self, user: str) -> str:
        """A user as the ledger knows them. Requests without a user are one user's."""
        return user_subject(user, key=self._key)

    def levels(self, charged: Iterable[tuple[Budget, str]]) -> list[Level]:
        """How budgets stand, each for a subject."""
        now = self.clock()
        return [self._holdings.level(budget, subject, now=now) for budget, subject in charged]

    def standings(self, charged: Iterable[tuple[Budget, str]]) -> list[Standing]:
        """How budgets stand, each for a subject, with what is held of them."""
        now = self.clock()
        return [self._holdings.standing_of(budget, subject, now=now) for budget, subject in charged]

    def reaches_a_step(self, budgets: Iterable[Budget], subject: str) -> bool:
        """Whether a step of any of these budgets holds; of those that each user has, for this one."""
        return self._holdings.reaches_a_step(budgets, subject, now=self.clock())

    def tightest(self, charges: Sequence[Charge], reservation: Reservation) -> Level | None:
        """The tightest of the budgets that a call was charged to, as they are now."""
        return self._holdings.tightest(charges, reservation, now=self.clock)

    async def reserve(self, charges: Sequence[Charge], *, may_wait: bool) -> Reservation | Shortage:
        """Take all of these amounts, or none; where the ledger is to be asked first, wait for it a little."""
        outcome = self.take(charges)
        if not may_wait or not _asked(outcome):
            return outcome
        try:
            async with asyncio.timeout(_PATIENCE):
                while _asked(outcome):
                    await self._heard.wait()
                    outcome = self.take(charges)
        except TimeoutError:
            pass
        return outcome

    def take(self, charges: Sequence[Charge]) -> Reservation | Shortage:
        """Take all of these amounts, or none, and wait for nobody."""
        holdings = self._holdings
        outcome = holdings.reserve(charges, now=self.clock())
        if holdings.unwritten:
            self._write()
        # What is due in time is known to whoever speaks; only what has come up is news.
        if holdings.urgent and not self.due.is_set() and holdings.wants_to_speak(now=self.clock()):
            self.due.set()
        if isinstance(outcome, Shortage) and outcome.cause is Cause.ASKED:
            self._heard.clear()
        return outcome

    def settle(self, reservation: Reservation, amounts: Sequence[int]) -> None:
        """The call used this much."""
        self._holdings.settle(reservation, amounts, now=self.clock())
        if self._holdings.unwritten:
            self._write()

    def settle_at_bound(self, reservation: Reservation) -> None:
        """The call was sent, and nobody knows what it used."""
        self._holdings.settle_at_bound(reservation, now=self.clock())
        self._write()

    def release(self, reservation: Reservation) -> None:
        """The call was never sent."""
        self._holdings.release(reservation)

    def next_call(self) -> Call | None:
        """What to say to the ledger now."""
        call = self._holdings.next_call(now=self.clock())
        self._write()
        self._asked = call or self._asked
        if call is None:
            # Perhaps because the last one was given up: whoever waits for its answer is to know.
            self._tell()
        return call

    def speaks_in(self) -> float:
        """How many seconds until there is something to say, unless `due` is set before."""
        return self._holdings.speaks_at(now=self.clock()) - self.clock()

    def hear(self, reply: Reply) -> None:
        """The ledger's answer."""
        self._holdings.hear(reply, now=self.clock())
        self._changed()
        self._tell()

    def unanswered(self) -> None:
        """No answer to the last call will come any more."""
        if self._asked is None:
            return
        self._holdings.unanswered(self._asked, now=self.clock())
        self._changed()
        self._tell()

    def reachable(self) -> None:
        """There is a connection again."""
        self._holdings.reachable()
        self.due.set()

    def nudge(self) -> None:
        """The ledger would like to hear of all blocks."""
        self._holdings.nudge()
        self.due.set()

    def close_all(self) -> None:
        """Give back all that is not reserved, for good."""
        self._holdings.close_all()
        self._changed()

    def _tell(self) -> None:
        # Whoever waits now tries again; whoever asks again waits anew.
        self._heard.set()

    def _changed(self) -> None:
        self._write()
        if not self.due.is_set() and self._holdings.wants_to_speak(now=self.clock()):
            self.due.set()

    def _write(self) -> None:
        records, whole = self._holdings.drain()
        if not records or self._journal is None:
            return
        journal = self._journal
        try:
            journal.write(records, whole=whole)
        except OSError as error:
            self._journal = None
            self._log.warning("the journal of budgets cannot be written and is removed", reason=error.strerror)
            try:
                journal.remove()
            except OSError as failure:
                self._log.warning("the journal of budgets cannot be removed", reason=failure.strerror)


def _asked(outcome: Reservation | Shortage) -> bool:
    return isinstance(outcome, Shortage) and outcome.cause is Cause.ASKED
