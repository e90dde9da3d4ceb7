"""`World`: every way in which the protocol can be disturbed, as a method; and what must hold after each."""

from collections import Counter
from dataclasses import dataclass

from pointsman_operator.ledger import messages as ledger
from pointsman_operator.ledger.accounts import Account, AccountKey, Block
from pointsman_operator.ledger.answering import KEEP_SECONDS, Terms
from pointsman_operator.ledger.eras import PAUSE_SECONDS
from pointsman_sidecar.quota import messages as mine
from pointsman_sidecar.quota.budgets import Budget
from pointsman_sidecar.quota.outcomes import Charge, Reservation, Shortage
from support.quota import declared
from support.quota.declared import PER_USER, SHARED
from support.quota.replicas import Replica
from support.quota.sidecars import ModelSidecar
from support.quota.stores import ModelStore
from support.quota.wires import theirs_key, to_ledger, to_sidecar

USERS = ("u1", "u2")
START = 1_800_000_000.0


class ViolationError(AssertionError):
    """A promise is broken."""


@dataclass(frozen=True, kw_only=True)
class ToLedger:
    """A call on its way."""

    sidecar: int
    process: int
    replica: int
    call: ledger.Call


@dataclass(frozen=True, kw_only=True)
class ToSidecar:
    """A reply on its way, by the stream that its call came by."""

    sidecar: int
    process: int
    reply: mine.Reply


class World:
    """Sidecars of one namespace under two budgets, one shared and one per user; two replicas; one store."""

    def __init__(self, *, sidecars: int = 3, lossy: bool = False, skews: tuple[float, ...] = (0.0,)) -> None:
        self.now = START
        self.lossy = lossy
        self.limits = {SHARED: 600, PER_USER: 200}
        self.store = ModelStore(keeps_history=lossy)
        self._sessions = 0
        self._names = 0
        self.replicas = [
            Replica(
                store=self.store,
                terms=self.terms,
                granted=self._granted,
                lapsed=self._lapsed,
                new_session=self._new_session,
                skew=skews[at % len(skews)],
            )
            for at in range(2)
        ]
        self.leader = 0
        self.replicas[0].take_over(self.now)
        self.network: list[ToLedger | ToSidecar] = []
        self.sidecars = [ModelSidecar(pod=f"pod{at}", skew=skews[at % len(skews)]) for at in range(sidecars)]
        self._budgets_of = -1.0
        self._budgets: list[Budget] = []
        # What was truly used, what of it was above bounds, and what may have been lost in crashes, by account.
        self.consumed: Counter[AccountKey] = Counter()
        self.overrun: Counter[AccountKey] = Counter()
        self.waste: Counter[AccountKey] = Counter()
        # In a store that loses: what nobody could declare in time, and whether that is known yet.
        self.gap: Counter[AccountKey] = Counter()
        # What processes that ended had in their blocks, as far as they knew.
        self._knew: dict[tuple[str, int], int] = {}
        # Blocks that were asked for, and whose making was never told.
        self._orphans: set[tuple[str, int]] = set()
        self._given_up: set[tuple[str, int]] = set()
        self._losing = False
        self._all_declare = True
        # Whether whatever was lost was declared by all.
        self._exact = True
        self._lost_at = 0.0
        self.losses = 0
        self.refused = 0
        self.served = 0
        for at in range(sidecars):
            self.restart(at, keep_journal=True)

    # What is done to it.

    def tick(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        if self._losing and self._pause_is_over():
            self._pause_ends()

    def reserve(self, at: int, amount: int, user: int, *, torn: int | None = None) -> None:
        """A request comes; with `torn`, its sidecar crashes while it writes what it must before the call is sent."""
        sidecar = self.sidecars[at]
        if sidecar.holdings is None:
            return
        self._rebind()
        budgets = {budget.name: budget for budget in sidecar.running.budgets}
        charges = [Charge(budgets[SHARED], "", amount), Charge(budgets[PER_USER], USERS[user], amount)]
        outcome = sidecar.reserve(charges, self.now)
        if torn is not None:
            self._wasted(sidecar)
            if isinstance(outcome, Reservation):
                sidecar.in_flight.pop()
            sidecar.write(torn=torn)
            self._crashed(sidecar)
            return
        sidecar.write()
        if isinstance(outcome, Shortage):
            self.refused += 1
        else:
            self.served += 1
            if outcome.done:
                raise ViolationError("a reservation begins settled")
        self.check(sidecar)

    def finish(self, at: int, which: int, *, used_percent: int, sent: bool = True, told: bool = True) -> None:
        """A call ends: sent or not, with its usage told or not. The usage may exceed the bound."""
        sidecar = self.sidecars[at]
        if sidecar.holdings is None or not sidecar.in_flight:
            return
        call = sidecar.in_flight.pop(which % len(sidecar.in_flight))
        now = self.now + sidecar.skew
        if not sent:
            sidecar.running.release(call.reservation)
        elif not told:
            self._consume(call.bounds, min(100, used_percent))
            for (key, bound), block in zip(call.bounds, call.reservation.parts, strict=True):
                # It settles at its bound, so the rest of that is spent for nothing.
                assert block is not None
                self.waste[key] += bound - bound * min(100, used_percent) // 100
            sidecar.running.settle_at_bound(call.reservation, now=now)
        else:
            amounts = self._consume(call.bounds, used_percent)
            sidecar.running.settle(call.reservation, amounts, now=now)
        # A door's `finally` may say it once more.
        sidecar.running.release(call.reservation)
        for (key, bound), block in zip(call.bounds, call.reservation.parts, strict=True):
            if block is not None and block.gone:
                self.waste[key] += bound
        sidecar.write()
        self.check(sidecar)

    def speak(self, at: int, *, replica: int | None = None) -> None:
        """A sidecar says what it has to say, if anything."""
        sidecar = self.sidecars[at]
        if sidecar.holdings is None:
            return
        call = sidecar.running.next_call(now=self.now + sidecar.skew)
        sidecar.write()
        if call is not None:
            sidecar.outstanding = call
            self.network.append(
                ToLedger(
                    sidecar=at,
                    process=sidecar.process,
                    replica=self.leader if replica is None else replica,
                    call=to_ledger(call, sidecar.holder),
                )
            )

    def deliver(self, which: int, *, keep: bool = False) -> None:
        """One of the messages under way arrives; a copy of it may stay under way."""
        if not self.network:
            return
        which %= len(self.network)
        message = self.network[which]
        if not keep:
            self.network[which] = self.network[-1]
            self.network.pop()
        if isinstance(message, ToLedger):
            reply = self.replicas[message.replica].receive(message.call, self.now)
            if reply is not None:
                self.network.append(
                    ToSidecar(sidecar=message.sidecar, process=message.process, reply=to_sidecar(reply))
                )
            return
        sidecar = self.sidecars[message.sidecar]
        if sidecar.holdings is None or sidecar.process != message.process:
            return
        before = dict(sidecar.running._desk.blocks)
        sidecar.running.hear(message.reply, now=self.now + sidecar.skew)
        sidecar.write()
        for block in before.values():
            if block.gone or ((sidecar.holder, block.serial) in self._given_up and not sidecar.has(block.serial)):
                self.waste[theirs_key(block.key)] += max(0, block.free)
            unsure = block.serial in {each.serial for each in message.reply.verdicts if each.created is None}
            if (block.created is None or (unsure and not block.gone)) and not sidecar.has(block.serial):
                self._orphans.add((sidecar.holder, block.serial))
        self.check(sidecar)

    def drop(self, which: int) -> None:
        """A message is lost."""
        if self.network:
            self.network.pop(which % len(self.network))

    def time_out(self, at: int) -> None:
        """A sidecar waits no longer for an answer."""
        sidecar = self.sidecars[at]
        if sidecar.holdings is not None and sidecar.outstanding is not None:
            sidecar.running.unanswered(sidecar.outstanding, now=self.now + sidecar.skew)
            sidecar.write()

    def nudge(self, at: int) -> None:
        """The ledger asks a sidecar to speak."""
        if (holdings := self.sidecars[at].holdings) is not None:
            holdings.nudge()

    def crash(self, at: int) -> None:
        """A sidecar's process ends. Calls that it had sent are answered all the same."""
        if self.sidecars[at].holdings is not None:
            self._wasted(self.sidecars[at])
            self._crashed(self.sidecars[at])

    def restart(self, at: int, *, keep_journal: bool) -> None:
        """A pod's process begins anew."""
        sidecar = self.sidecars[at]
        if sidecar.holdings is None:
            self._names += 1
            sidecar.start(self._bound(), fresh=self.name(at), now=self.now, keep_journal=keep_journal)
            self.check(sidecar)

    def name(self, at: int) -> str:
        """A name for a process that has none; in life, a random one."""
        del at
        return f"i{self._names}"

    def fail_over(self) -> None:
        """The other replica takes the Lease. The one that had it has not noticed."""
        self.leader = 1 - self.leader
        self.replicas[self.leader].take_over(self.now)

    def leave(self, at: int) -> None:
        """A sidecar begins to give all back, as it does before it ends; and goes on all the same."""
        if (holdings := self.sidecars[at].holdings) is not None:
            holdings.close_all()
            self.sidecars[at].write()

    def quiet_one(self, at: int) -> None:
        """A sidecar leaves, and gives back what it holds."""
        self.sidecars[at].running.close_all()
        self.tick(11)
        self.speak(at)
        while self.network:
            self.deliver(0)

    def set_limit(self, budget: str, limit: int) -> None:
        """Somebody changes a budget."""
        self.limits[budget] = limit
        self._budgets_of = -1.0

    def lose(self, seconds: float) -> None:
        """The store fails over to one that lacks the last second."""
        if not self.lossy or self._losing:
            return
        self.store.lose(self.now - seconds)
        self.losses += 1
        self._lost_at = self.now
        self._losing = True
        self._all_declare = all(sidecar.holdings is not None for sidecar in self.sidecars)
        self.replicas[self.leader].take_over(self.now)

    def sweep(self, replica: int) -> None:
        """A replica looks for those that are silent, and for windows that are over."""
        self.replicas[replica].sweep(self.now)

    # What must hold.

    def check(self, sidecar: ModelSidecar) -> None:
        """What was used, and all that can still be, is committed in the store."""
        if self._losing or sidecar.holdings is None:
            return
        for block in sidecar.running._desk.blocks.values():
            self.check_account(theirs_key(block.key))

    def check_account(self, key: AccountKey) -> None:
        """What was used of one account, and all that can still be, is committed in the store."""
        if key not in self.store.accounts:
            # Nothing was granted of it yet, or its window is over for good.
            return
        committed = honest(self.store.accounts[key][1])
        out = self.consumed[key] + self.potential(key) - self.overrun[key] - self.gap[key]
        if out > committed:
            raise ViolationError(f"{key}: {out} used or usable, {committed} committed")

    def potential(self, key: AccountKey) -> int:
        """All that sidecars that run could still use of an account."""
        total = 0
        for sidecar in self.sidecars:
            if sidecar.holdings is not None:
                for block in sidecar.holdings._desk.blocks.values():
                    # In order of cost: most blocks are of other windows or subjects.
                    if block.key.start == key.start and not block.closing and theirs_key(block.key) == key:
                        total += max(0, block.granted - block.returned - block.used - block.reserved)
                for call in sidecar.in_flight:
                    total += sum(bound for of, bound in call.bounds if of == key)
        return total

    def _recoverable(self, key: AccountKey) -> int:
        """All that pods whose process does not run could use, once it does."""
        total = 0
        for sidecar in self.sidecars:
            for block in () if sidecar.holdings is not None else sidecar.kept():
                if theirs_key(block.key) == key and not block.closing:
                    total += max(0, block.granted - block.returned - block.used)
        return total

    def quiet(self) -> None:
        """No more disturbances: all calls end, all sidecars leave, and those that are dead are given up."""
        for at, sidecar in enumerate(self.sidecars):
            while sidecar.in_flight:
                self.finish(at, 0, used_percent=50)
        self.network.clear()
        if not any(self._all_have_left() for _ in range(100)):
            raise ViolationError("a sidecar does not come to rest")
        self.tick(1000)
        self._leading.take_over(self.now)
        self._leading.reload()
        self.sweep(self.leader)
        self.tick(1000)
        self.sweep(self.leader)
        for key, (_, account) in self.store.accounts.items():
            if account.blocks:
                raise ViolationError(f"{key}: {account.held} held after all quiet, by {list(account.blocks)}")
            self._check_spent(key, account)

    def _all_have_left(self) -> bool:
        for at, sidecar in enumerate(self.sidecars):
            if sidecar.holdings is not None:
                self.time_out(at)
                sidecar.running.close_all()
                sidecar.write()
        self.tick(11)
        for at in range(len(self.sidecars)):
            self.speak(at)
        while self.network:
            self.deliver(0)
        return all(sidecar.holdings is None or sidecar.running.holds_nothing for sidecar in self.sidecars)

    def _check_spent(self, key: AccountKey, account: Account) -> None:
        if account.spent < self.consumed[key] - self.overrun[key] - self.gap[key]:
            raise ViolationError(f"{key}: {self.consumed[key]} was used, {account.spent} is spent")
        if self._exact and self.losses <= 1 and account.spent > self.consumed[key] + self.waste[key]:
            raise ViolationError(
                f"{key}: {account.spent} is spent, {self.consumed[key]} was used, at most {self.waste[key]} was lost"
            )

    def _granted(self, key: AccountKey, account: Account, call: ledger.Call) -> None:
        """At each grant, spent + held is at most the limit. What was lost and is declared is no grant."""
        if call.declares and self.losses:
            return
        committed = honest(account)
        if committed > self.limits[key.budget]:
            raise ViolationError(f"{key}: granted up to {committed} of {self.limits[key.budget]}")
        if self._losing and not self._pause_is_over():
            raise ViolationError(f"{key}: granted while sidecars were to declare what they hold")

    # What it is made of.

    def terms(self) -> dict[str, Terms]:
        """The budgets as the operator has them."""
        return declared.terms(self.limits)

    @property
    def _leading(self) -> Replica:
        return self.replicas[self.leader]

    def _pause_is_over(self) -> bool:
        return self.now >= self._lost_at + PAUSE_SECONDS

    def _pause_ends(self) -> None:
        """From now on, the ledger knows what it will ever know of what was lost."""
        self._losing = False
        leading = self._leading
        declared = all(
            sidecar.holdings is not None
            and (presence := leading.presences.get(sidecar.holder)) is not None
            and presence.declared
            for sidecar in self.sidecars
        )
        self._exact = self._exact and declared and self._all_declare
        keys = {key for key, used in self.consumed.items() if used} | set(self.store.accounts)
        for sidecar in self.sidecars:
            keys |= {theirs_key(block.key) for block in sidecar.blocks()}
        for key in keys:
            there = self.store.accounts.get(key)
            if there is None and self.now > key.end + KEEP_SECONDS / 2:
                # Its window is over for good.
                continue
            committed = honest(there[1]) if there else 0
            missing = (
                self.consumed[key]
                + self.potential(key)
                + self._recoverable(key)
                - self.overrun[key]
                - self.gap[key]
                - committed
            )
            if missing > 0 and declared and self._all_declare:
                raise ViolationError(f"{key}: all have declared, and {missing} of what was used is not known")
            self.gap[key] += max(0, missing, self._undeclared(key, there[1] if there else None))

    def _undeclared(self, key: AccountKey, account: Account | None) -> int:
        """What sidecars have in blocks of an account, beyond what the ledger knows of these."""
        total = 0
        for sidecar in self.sidecars:
            for block in sidecar.blocks():
                if theirs_key(block.key) == key:
                    known = None if account is None else account.blocks.get((sidecar.holder, block.serial))
                    need = block.used if block.closing else max(block.granted - block.returned, block.used)
                    total += max(0, need - (0 if known is None else known.committed))
        return total

    def _new_session(self) -> int:
        self._sessions += 1
        return self._sessions

    def _bound(self) -> list[Budget]:
        """The budgets as sidecars are told them: the same objects for as long as nothing changes."""
        minute = self.now // 60
        if minute != self._budgets_of:
            self._budgets_of = minute
            self._budgets = declared.told(self.limits, now=self.now)
        return self._budgets

    def _rebind(self) -> None:
        if self.now // 60 == self._budgets_of:
            return
        for sidecar in self.sidecars:
            if sidecar.holdings is not None:
                sidecar.holdings.bind(self._bound())

    def _consume(self, bounds: tuple[tuple[AccountKey, int], ...], used_percent: int) -> list[int]:
        amounts = []
        for key, bound in bounds:
            used = bound * used_percent // 100
            self.consumed[key] += used
            self.overrun[key] += max(0, used - bound)
            amounts.append(used)
        return amounts

    def _wasted(self, sidecar: ModelSidecar) -> None:
        """All that a sidecar holds may count as spent though it is not."""
        for block in sidecar.running._desk.blocks.values():
            marked = block.mark - block.used - block.reserved
            self.waste[theirs_key(block.key)] += max(0, block.free, marked)
            self._knew[sidecar.holder, block.serial] = block.granted - block.returned
        for call in sidecar.in_flight:
            for key, bound in call.bounds:
                self.waste[key] += bound

    def _lapsed(self, key: AccountKey, block: Block) -> None:
        """What was granted to one that asked for it, and never came to know, counts as spent with the rest."""
        self._given_up.add((block.holder, block.serial))
        known = self._knew.get((block.holder, block.serial))
        for sidecar in self.sidecars:
            if sidecar.holdings is not None and sidecar.holder == block.holder:
                mine = sidecar.holdings._desk.blocks.get(block.serial)
                known = known if mine is None else mine.granted - mine.returned
        if (block.holder, block.serial) in self._orphans:
            known = 0
        if known is not None:
            self.waste[key] += block.granted - block.returned - known

    def _crashed(self, sidecar: ModelSidecar) -> None:
        for call in sidecar.in_flight:
            self._consume(call.bounds, 70)
        sidecar.in_flight.clear()
        sidecar.holdings = None
        sidecar.outstanding = None
        self._all_declare = False


def honest(account: Account) -> int:
    """Spent + held, counted here and not by what is tested."""
    return account.spent + sum(max(block.granted - block.returned, block.used) for block in account.blocks.values())
