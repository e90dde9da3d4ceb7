"""How much of a budget is stranded: held by some when others are first refused, on a clock of our own."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, count

from pointsman_operator.ledger.answering import Moment, Presence, Terms, answer
from pointsman_operator.ledger.books import Books
from pointsman_sidecar.quota.budgets import Budget, Unit, Window
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.messages import Call
from pointsman_sidecar.quota.outcomes import Cause, Charge, Shortage
from support.quota.wires import to_ledger, to_sidecar

_NAME = "TokenQuota/shop/month"
_START = 1_800_000_000
# From a sidecar to the ledger's word: a group's time, the store, and the way there and back.
_ROUND_TRIP = 0.02
_PATIENCE = 0.25
_NUDGE_SECONDS = 1.0
_LARGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Stranded:
    """How a budget stood at the first refusal.

    Attributes:
        times: how often the largest reservation of every sidecar fits into the budget.
        spent: by calls that had ended.
        reserved: by calls that were under way.
        after: when that was, in seconds.
    """

    times: int
    limit: int
    spent: int
    reserved: int
    calls: int
    after: float

    @property
    def share(self) -> float:
        """The part of the budget that was truly spent."""
        return self.spent / self.limit


class _Fleet:
    """Sidecars under Zipf's load and one ledger that answers; what happens is a heap of things to do."""

    def __init__(self, *, sidecars: int, limit: int, rate: float, seconds_per_call: float, seed: int) -> None:
        self.now = float(_START)
        self.limit = limit
        self.spent = self.reserved = self.calls = 0
        self.refused = False
        self._rate = rate
        self._per_call = seconds_per_call
        self._random = random.Random(seed)  # noqa: S311 - the same again for the same seed
        self._weights = list(accumulate(1 / (at + 1) for at in range(sidecars)))
        self._order = count()
        self._todo: list[tuple[float, int, Callable[[], None]]] = []
        window = Window(_START - 1000, _START + 10_000_000)
        self._budget = Budget(name=_NAME, shown=_NAME, unit=Unit.TOKENS, limit=limit, windows=(window,), subject="")
        self._terms = {_NAME: Terms(unit=Unit.TOKENS.value, limit=limit, has_window=lambda _: True, subject="")}
        self._books = Books()
        self._presences: dict[int, Presence] = {}
        self._nudged: dict[int, float] = {}
        self._speaks: dict[int, float] = {}
        self._waiting: dict[int, list[tuple[float, int]]] = {at: [] for at in range(sidecars)}
        self._sidecars = [Holdings(incarnation="one", boot="boot", now=self.now) for _ in range(sidecars)]
        for each in self._sidecars:
            each.bind([self._budget])

    def run(self) -> None:
        """Until somebody is refused."""
        self._arrive()
        while not self.refused:
            self.now, _, act = heapq.heappop(self._todo)
            act()

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (when, next(self._order), act))

    def _arrive(self) -> None:
        (at,) = self._random.choices(range(len(self._sidecars)), cum_weights=self._weights)
        until = self.now + _PATIENCE
        if self._ask(at, self._random.randint(_LARGEST // 10, _LARGEST), until):
            self._at(until, lambda: self._retry(at))
        self._at(self.now + self._random.expovariate(self._rate), self._arrive)

    def _ask(self, at: int, amount: int, until: float) -> bool:
        """Ask for a call; whether it waits."""
        sidecar = self._sidecars[at]
        outcome = sidecar.reserve([Charge(self._budget, "", amount)], now=self.now)
        if isinstance(outcome, Shortage):
            if outcome.cause is not Cause.ASKED or self.now >= until:
                self.refused = True
                return False
            self._waiting[at].append((until, amount))
        else:
            used = self._random.randint(amount // 4, amount)
            self.reserved += amount

            def end() -> None:
                sidecar.settle(outcome, [used], now=self.now)
                self.reserved -= amount
                self.spent += used
                self.calls += 1

            self._at(self.now + self._random.expovariate(1 / self._per_call), end)
        self._see(at)
        return isinstance(outcome, Shortage)

    def _retry(self, at: int) -> None:
        waiting, self._waiting[at] = self._waiting[at], []
        for until, amount in waiting:
            self._ask(at, amount, until)

    def _see(self, at: int) -> None:
        """Have a sidecar speak when it wants to."""
        when = max(self.now, self._sidecars[at].speaks_at(now=self.now))
        if when < self._speaks.get(at, float("inf")):
            self._speaks[at] = when
            self._at(when, lambda: self._speak(at, when))

    def _speak(self, at: int, when: float) -> None:
        if self._speaks.get(at) != when:
            return
        del self._speaks[at]
        sidecar = self._sidecars[at]
        call = sidecar.next_call(now=self.now)
        sidecar.drain()
        if call is not None:
            self._at(self.now + _ROUND_TRIP, lambda: self._answer(at, call))
        self._see(at)

    def _answer(self, at: int, call: Call) -> None:
        given = answer(
            to_ledger(call, str(at)),
            presence=self._presences.get(at),
            books=self._books,
            terms=self._terms,
            moment=Moment(now=self.now, fresh_session=next(self._order) + 1),
        )
        for key, account in given.changes.items():
            self._books.put(key, account)
        self._presences[at] = given.presence
        for starving in map(int, given.starved_by):
            if self.now >= self._nudged.get(starving, 0.0) + _NUDGE_SECONDS:
                self._nudged[starving] = self.now
                self._at(self.now + _ROUND_TRIP / 2, lambda of=starving: self._nudge(of))  # type: ignore[misc] # its default is its own
        self._sidecars[at].hear(to_sidecar(given.reply), now=self.now)
        self._retry(at)
        self._see(at)

    def _nudge(self, at: int) -> None:
        self._sidecars[at].nudge()
        self._see(at)

    def committed(self) -> int:
        """What the ledger has as spent and held, by its own count."""
        return sum(each.committed for each in self._books.accounts.values())


def stranded(*, times: int, sidecars: int = 100, seconds: float = 600.0, seed: int = 1) -> Stranded:
    """Spend a budget of so many times the largest reservation of each sidecar, at a rate that takes so long for it."""
    limit = times * sidecars * _LARGEST
    used_at_once = _LARGEST * 0.55 * 0.625
    fleet = _Fleet(sidecars=sidecars, limit=limit, rate=limit / used_at_once / seconds, seconds_per_call=1.0, seed=seed)
    fleet.run()
    assert fleet.spent <= fleet.committed() <= limit
    return Stranded(
        times=times,
        limit=limit,
        spent=fleet.spent,
        reserved=fleet.reserved,
        calls=fleet.calls,
        after=fleet.now - _START,
    )
