"""`Holdings`: the blocks that this sidecar holds, and what it takes from them for its calls.

On a request's way are `reserve` and one of `settle`, `settle_at_bound` and `release`; they look up, add and compare,
and never depend on how much is held. Speaking to the ledger is `Speech`'s, which works on the same blocks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pointsman_sidecar.quota import journal
from pointsman_sidecar.quota.blocks import Block, Pot, known_used
from pointsman_sidecar.quota.budgets import Budget
from pointsman_sidecar.quota.degrading import Level, Standing, tighter
from pointsman_sidecar.quota.desk import Desk
from pointsman_sidecar.quota.messages import Call, Reply
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from pointsman_sidecar.quota.speech import COVER_SECONDS, Speech

# More is asked for when what is left lasts for less than this, at the rate of late.
_LOW_SECONDS = COVER_SECONDS / 4
# The journal is written in steps of one part in so many of a block; as much is lost in a crash.
_MARKS = 16


class Holdings:
    """All that this sidecar holds. One for the process, used from one thread.

    `now` is always a clock that never jumps, in seconds, which showed about the seconds since 1970 when it began.
    Windows begin and end by the ledger's clock, which its replies tell.
    """

    def __init__(
        self, *, incarnation: str, boot: str, now: float, recovered: journal.Recovered | None = None, tabs: int = 20_000
    ) -> None:
        self._desk = Desk(incarnation=incarnation, boot=boot, now=now, recovered=recovered, capacity=tabs)
        self._speech = Speech(self._desk)
        self.unwritten = self._desk.unwritten
        """What the journal lacks: with anything in it, `drain` and write."""
        self.urgent = self._speech.now
        """What has come up that the ledger is to hear before its time."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets that bind this sidecar now."""
        return self._desk.budgets

    def bind(self, budgets: Sequence[Budget]) -> None:
        """From now on, these budgets bind this sidecar, and no others."""
        self._desk.bind(budgets)

    def reserve(self, charges: Sequence[Charge], *, now: float) -> Reservation | Shortage:
        """Take all of these amounts, or none."""
        desk = self._desk
        now += desk.offset
        parts: list[Block | None] = []
        bounds: list[int] = []
        for budget, subject, amount in charges:
            block = None
            if amount > 0:
                pot = desk.pot(budget, subject, now)
                block = None if pot is None else pot.block
                if block is None or amount > block.granted - block.returned - block.used - block.reserved:
                    return self._shortage(charges, now)
            parts.append(block)
            bounds.append(amount)
        for at, block in enumerate(parts):
            if block is not None:
                self._take(block, bounds[at], now)
        return Reservation(parts, bounds)

    def settle(self, reservation: Reservation, amounts: Sequence[int], *, now: float) -> None:
        """The call used this much, by the provider's word: an amount for each charge, in their order."""
        if reservation.done:
            return
        reservation.done = True
        now += self._desk.offset
        bounds = reservation.bounds
        for at, block in enumerate(reservation.parts):
            if block is not None:
                self._settle(block, bounds[at], amounts[at], now)

    def settle_at_bound(self, reservation: Reservation, *, now: float) -> None:
        """The call was sent, and what it used will never be known: all that was reserved counts as used."""
        self.settle(reservation, reservation.bounds, now=now)

    def release(self, reservation: Reservation) -> None:
        """The call was never sent."""
        if reservation.done:
            return
        reservation.done = True
        for block, bound in zip(reservation.parts, reservation.bounds, strict=True):
            if block is not None:
                block.reserved -= bound

    def level(self, budget: Budget, subject: str, *, now: float) -> Level:
        """How a budget stands for a subject, as far as is known here."""
        now += self._desk.offset
        pot = self._desk.known_pot(budget, subject, now)
        if pot is not None:
            return _level(budget, pot)
        window = self._desk.window(budget, now)
        return Level(budget, 0, budget.limit, None if window is None else window.end)

    def standing_of(self, budget: Budget, subject: str, *, now: float) -> Standing:
        """How a budget stands for a subject, with what is held of it."""
        pot = self._desk.known_pot(budget, subject, now + self._desk.offset)
        if pot is None:
            return Standing(self.level(budget, subject, now=now))
        free = 0 if pot.block is None else pot.block.free
        return Standing(_level(budget, pot), held=pot.known_held, free=free, told=pot.limit is not None)

    def reaches_a_step(self, budgets: Iterable[Budget], subject: str, *, now: float) -> bool:
        """Whether a step of any of these budgets holds; of those that each user has, for this one."""
        desk = self._desk
        now += desk.offset
        for budget in budgets:
            pot = desk.known_pot(budget, subject if budget.subject is None else budget.subject, now)
            limit, first = budget.limit, budget.first_percent
            if pot is not None and pot.limit is not None:
                limit = pot.limit
            if first is not None and (0 if pot is None else known_used(pot)) * 100 >= limit * first:
                return True
        return False

    def tightest(
        self, charges: Sequence[Charge], reservation: Reservation, *, now: Callable[[], float]
    ) -> Level | None:
        """The tightest of the budgets that a call was charged to, each in the window that it was charged to."""
        found: Level | None = None
        for at, block in enumerate(reservation.parts):
            budget = charges[at].budget
            if not budget.is_rate_limit:
                level = _level(budget, block.pot) if block else self.level(budget, charges[at].subject, now=now())
                found = level if found is None else tighter(found, level)
        return found

    def wants_to_speak(self, *, now: float) -> bool:
        """Whether `next_call` has one."""
        return self._speech.wants_to_speak(now + self._desk.offset)

    def speaks_at(self, *, now: float) -> float:
        """When to look again if nothing is reserved or settled before that."""
        return self._speech.speaks_at(now + self._desk.offset) - self._desk.offset

    def next_call(self, *, now: float) -> Call | None:
        """What to tell the ledger now; None where that is nothing, or where a call is not answered yet."""
        return self._speech.next_call(now + self._desk.offset)

    def hear(self, reply: Reply, *, now: float) -> None:
        """The ledger's answer. One that is not for the last call is not heard."""
        self._speech.hear(reply, now)

    def unanswered(self, call: Call, *, now: float) -> None:
        """No answer will be waited for any more; one that comes later is not heard."""
        self._speech.unanswered(call, now + self._desk.offset)

    def reachable(self) -> None:
        """The ledger can be spoken to again: there is a new connection."""
        self._speech.reachable()

    def nudge(self) -> None:
        """The ledger asks to be told of all blocks soon: others lack what may be held here without use."""
        self._speech.nudge()

    def close_all(self) -> None:
        """Give back all that is not reserved, for good: the process is about to end."""
        self._speech.close_all()

    def standing(self) -> dict[str, tuple[int, int]]:
        """By the budget's name: what is held here, and what of that is reserved for calls under way."""
        sums: dict[str, tuple[int, int]] = {}
        for block in self._desk.blocks.values():
            held, reserved = sums.get(block.key.budget, (0, 0))
            left = block.granted - block.returned - block.used
            sums[block.key.budget] = held + left, reserved + block.reserved
        return sums

    @property
    def incarnation(self) -> str:
        """What names this process among those that the pod had; the same again where the journal was kept."""
        return self._desk.incarnation

    @property
    def holds_nothing(self) -> bool:
        """Whether there is nothing left to tell the ledger of."""
        return not self._desk.blocks

    def drain(self) -> tuple[bytes, bool]:
        """What the journal lacks, and whether that replaces it. To be written before anything else is done."""
        return self._desk.drain()

    def _take(self, block: Block, amount: int, now: float) -> None:
        block.reserved += amount
        pot = block.pot
        tab = pot.tab
        tab.active_at = now
        tab.least = max(tab.least, amount)
        taken = block.used + block.reserved
        if taken > block.mark:
            whole = block.granted - block.returned
            block.mark = min(whole, taken + max(amount, whole // _MARKS))
            self._desk.write_state(block)
        free = block.granted - block.returned - taken
        if free < tab.low:
            self._speech.running_low(pot, now)

    def _settle(self, block: Block, bound: int, used: int, now: float) -> None:
        block.reserved -= bound
        block.used += used
        tab = block.pot.tab
        tab.low = tab.rate.add(used, now=now) * _LOW_SECONDS
        tab.active_at = now
        if used > bound:
            block.overrun += used - bound
            if block.used + block.reserved > block.mark and not block.gone:
                block.mark = block.used + block.reserved
                self._desk.write_state(block)

    def _shortage(self, charges: Sequence[Charge], now: float) -> Shortage:
        """Which budget to name, and whether to ask for more of all that are short."""
        desk = self._desk
        short: list[tuple[Charge, Pot | None]] = []
        for charge in charges:
            pot = desk.pot(charge.budget, charge.subject, now)
            if charge.amount > 0 and (pot is None or pot.block is None or charge.amount > pot.block.free):
                short.append((charge, pot))
        known = [(charge, pot) for charge, pot in short if pot is not None]
        dry = [(charge, pot) for charge, pot in known if pot.dry_until > now or charge.amount > charge.budget.limit]
        if dry:
            # Of several, the one that stays so for longest.
            charge, pot = max(dry, key=lambda each: each[1].end)
            pause = self._speech.pause(now)
            if pause > 0 and all(charge.amount + pot.known_used <= charge.budget.limit for charge, pot in dry):
                return replace(_named(Cause.PAUSED, charge, pot), pause=pause)
            return _named(Cause.EXHAUSTED, charge, pot)
        if len(known) < len(short):
            charge = next(charge for charge, pot in short if pot is None)
            crowded = desk.window(charge.budget, now) is not None
            return Shortage(
                cause=Cause.CROWDED if crowded else Cause.UNANSWERED,
                budget=charge.budget,
                amount=charge.amount,
                limit=charge.budget.limit,
            )
        charge, pot = known[0]
        if not self._speech.is_answered(now):
            return _named(Cause.UNANSWERED, charge, pot)
        for each, of in known:
            of.tab.least = max(of.tab.least, each.amount)
            self._speech.waits(of, each.amount, now)
        return _named(Cause.ASKED, charge, pot)


def _level(budget: Budget, pot: Pot) -> Level:
    limit = pot.limit
    return Level(budget, known_used(pot), budget.limit if limit is None else limit, pot.end)


def _named(cause: Cause, charge: Charge, pot: Pot) -> Shortage:
    return Shortage(
        cause=cause,
        budget=charge.budget,
        amount=charge.amount,
        used=pot.known_used,
        held=pot.held,
        limit=charge.budget.limit if pot.limit is None else pot.limit,
        resets_at=pot.end,
    )
