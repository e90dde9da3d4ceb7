"""The ledger is away for minutes, and pods crash in a loop: on a clock of our own, with the cores of both sides."""

from dataclasses import dataclass, field

from pointsman_operator.ledger.answering import Moment, Presence, Terms, answer
from pointsman_operator.ledger.books import Books
from pointsman_operator.ledger.windows import Window as LedgerWindow
from pointsman_sidecar.quota import journal
from pointsman_sidecar.quota.budgets import Budget, Unit, Window
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from support.quota.wires import to_ledger, to_sidecar

START = 1_800_000_000
BOUND, USED = 20, 10


def minutes(limit: int) -> Budget:
    """A budget of each minute."""
    windows = tuple(Window(START + at * 60, START + (at + 1) * 60) for at in range(20))
    return Budget(name="quota/shop/minute", shown="minute", unit=Unit.TOKENS, limit=limit, windows=windows)


def month(limit: int) -> Budget:
    """A budget of the month."""
    window = Window(START - 1000, START + 2_000_000)
    return Budget(name="quota/shop/month", shown="month", unit=Unit.TOKENS, limit=limit, windows=(window,))


@dataclass
class Ledger:
    """The operator's own core. While it is `away` it answers nothing."""

    budget: Budget
    books: Books = field(default_factory=Books)
    away: bool = False
    presences: dict[str, Presence] = field(default_factory=dict)
    sessions: int = 0
    writes: int = 0

    def hear(self, sidecar: Holdings, now: float) -> None:
        """Have a sidecar say all that it has to say."""
        while (call := sidecar.next_call(now=now)) is not None:
            if self.away:
                sidecar.unanswered(call, now=now)
                return
            self.sessions += 1
            holder = f"pod/{sidecar.incarnation}"
            terms = Terms(
                unit=Unit.TOKENS.value,
                limit=self.budget.limit,
                has_window=self.has_window,
                subject="",
            )
            given = answer(
                to_ledger(call, holder),
                presence=self.presences.get(holder),
                books=self.books,
                terms={self.budget.name: terms},
                moment=Moment(now=now, fresh_session=self.sessions),
            )
            for key, account in given.changes.items():
                assert account.committed <= self.budget.limit
                self.books.put(key, account)
            self.presences[holder] = given.presence
            self.writes += bool(given.urgent)
            sidecar.hear(to_sidecar(given.reply), now=now)

    def has_window(self, window: LedgerWindow) -> bool:
        """Whether the budget has it."""
        return Window(window.start, window.end) in self.budget.windows

    @property
    def committed(self) -> int:
        """What is spent and held, of all windows."""
        return sum(account.committed for account in self.books.accounts.values())


def begun(budget: Budget, *, name: str = "one", recovered: journal.Recovered | None = None, now: float) -> Holdings:
    """A sidecar's process."""
    sidecar = Holdings(incarnation=name, boot="boot", now=now, recovered=recovered)
    sidecar.bind([budget])
    return sidecar


def asked(sidecar: Holdings, ledger: Ledger, now: float) -> Reservation | Shortage:
    """Leave for a call, for which the ledger is asked where that is needed."""
    charges = [Charge(ledger.budget, "", BOUND)]
    outcome = sidecar.reserve(charges, now=now)
    ledger.hear(sidecar, now)
    return sidecar.reserve(charges, now=now) if isinstance(outcome, Shortage) else outcome


def call(sidecar: Holdings, ledger: Ledger, now: float) -> Shortage | None:
    """A call; the shortage where there is none."""
    outcome = asked(sidecar, ledger, now)
    if isinstance(outcome, Shortage):
        return outcome
    sidecar.settle(outcome, [USED], now=now)
    return None


def test_while_the_ledger_is_away_calls_go_on_over_the_minutes_end_and_then_it_is_said_that_nobody_answers() -> None:
    ledger = Ledger(minutes(100_000))
    sidecar = begun(ledger.budget, now=START)
    for second in range(290):
        assert call(sidecar, ledger, START + second) is None

    ledger.away = True
    served = [second for second in range(290, 1000) if call(sidecar, ledger, START + second) is None]

    # Of that minute ten seconds were left, and of the next two all was held ahead but for what makes no whole call.
    assert {299, 300, 359 - 5, 360, 419 - 5} <= set(served)
    assert 110 <= len(served) <= 130
    shortage = call(sidecar, ledger, START + 999)
    assert shortage is not None
    assert shortage.cause is Cause.UNANSWERED

    ledger.away = False
    sidecar.reachable()
    again = START + 1000
    assert call(sidecar, ledger, again) is None
    for second in range(1, 30):
        assert call(sidecar, ledger, again + second) is None
    sidecar.close_all()
    ledger.hear(sidecar, again + 60)
    assert sidecar.holds_nothing
    assert ledger.committed == USED * (290 + len(served) + 30)


def test_of_a_month_two_minutes_are_held_while_the_ledger_is_away() -> None:
    ledger = Ledger(month(10_000_000))
    sidecar = begun(ledger.budget, now=START)
    for second in range(600):
        call(sidecar, ledger, START + second)

    ledger.away = True
    refused = next(second for second in range(600, 3000) if call(sidecar, ledger, START + second) is not None)

    # A block is filled up once a quarter of that is gone: between the two, by where it was just then.
    assert 80 <= refused - 600 <= 125


def test_a_sidecar_at_an_even_rate_has_the_ledger_write_twice_a_minute_at_most() -> None:
    ledger = Ledger(month(10_000_000))
    sidecar = begun(ledger.budget, now=START)
    for second in range(300):
        call(sidecar, ledger, START + second)

    before = ledger.writes
    assert all(call(sidecar, ledger, START + second) is None for second in range(300, 900))

    assert ledger.writes - before <= 20


def test_a_pod_in_a_crash_loop_does_not_drain_the_month() -> None:
    ledger = Ledger(month(1_000_000))
    kept = b""
    for crash in range(500):
        now = START + 10.0 * crash
        sidecar = begun(ledger.budget, name=f"i{crash}", recovered=journal.read(kept, boot="boot"), now=now)
        # It crashes within a call, with the journal as it then is.
        asked(sidecar, ledger, now)
        records, whole = sidecar.drain()
        kept = records if whole else kept + records

    # Each crash costs its call, and what was not sure to be unused: not the block, which the next process goes on with.
    assert ledger.committed <= 500 * 3 * BOUND
    assert len(ledger.presences) == 1


def test_a_crash_loop_without_a_journal_costs_a_reservation_each() -> None:
    ledger = Ledger(month(1_000_000))
    for crash in range(500):
        now = START + 10.0 * crash
        asked(begun(ledger.budget, name=f"i{crash}", now=now), ledger, now)

    assert ledger.committed == 500 * BOUND
