"""`Desk`: what `Holdings` works on: budgets, tabs, blocks, and what the journal is yet to say."""

from collections import OrderedDict
from collections.abc import Sequence
from operator import attrgetter

from pointsman_sidecar.quota import journal
from pointsman_sidecar.quota.blocks import Block, Pot, Tab
from pointsman_sidecar.quota.budgets import Budget, Window

# A journal longer than this is replaced by one that says the same, once that is a quarter of it at most.
_JOURNAL_BYTES = 256 * 1024
# What a block takes in a journal, about: its opening and one state.
_BLOCK_BYTES = 200
# How many of those not used for longest are looked at to make room for another subject.
_LOOKS = 8


class Desk:
    """What is there. `offset` is what the ledger's clock shows beyond this process's own."""

    def __init__(
        self, *, incarnation: str, boot: str, now: float, recovered: journal.Recovered | None, capacity: int
    ) -> None:
        self.incarnation = incarnation if recovered is None else recovered.incarnation
        self._boot = boot
        self._capacity = capacity
        self.offset = 0.0
        self.budgets: tuple[Budget, ...] = ()
        self._by_name: dict[str, Budget] = {}
        self.tabs: OrderedDict[tuple[str, str, str], Tab] = OrderedDict()
        # By serial. Those spoken of least lately come first.
        self.blocks: OrderedDict[int, Block] = OrderedDict()
        self.high = 0 if recovered is None else recovered.high
        # What the journal lacks. At first it lacks everything, and is replaced.
        self.unwritten: list[bytes] = [b""]
        self._whole = True
        self._written = 0
        for kept in () if recovered is None else recovered.blocks:
            self._recover(kept, now)

    def bind(self, budgets: Sequence[Budget]) -> None:
        """Replace the budgets. Where a limit has changed, the ledger is worth asking again."""
        before = self._by_name
        self.budgets = tuple(budgets)
        self._by_name = {budget.name: budget for budget in budgets}
        changed = {name for name, budget in before.items() if self._limit_of(name) not in {None, budget.limit}}
        if changed:
            for tab in self.tabs.values():
                if tab.budget in changed:
                    for pot in tab.pots.values():
                        pot.dry_until = float("-inf")
                        pot.limit = self._by_name[tab.budget].limit

    def _limit_of(self, name: str) -> int | None:
        budget = self._by_name.get(name)
        return None if budget is None else budget.limit

    def budget(self, name: str) -> Budget | None:
        """The budget of this name, where one binds this sidecar."""
        return self._by_name.get(name)

    def window(self, budget: Budget, now: float) -> Window | None:
        """The budget's window now; None where the operator has not told of one."""
        for window in budget.windows:
            if window.start <= now < window.end:
                return window
        return None

    def pot(self, budget: Budget, subject: str, now: float) -> Pot | None:
        """The pot to spend from now; None where no window is known, or no room is left for another subject."""
        key = (budget.name, budget.account_unit, subject)
        tab = self.tabs.get(key)
        if tab is None:
            if self.window(budget, now) is None or not self._has_room():
                return None
            tab = self._tab(key, now)
        self.tabs.move_to_end(key)
        pot = tab.current
        if pot is None or not pot.start <= now < pot.end:
            window = self.window(budget, now)
            if window is None:
                return None
            if pot is not None and pot.block is None:
                tab.pots.pop((pot.start, pot.end), None)
            tab.current = pot = tab.pot(window.start, window.end)
        return pot

    def known_pot(self, budget: Budget, subject: str, now: float) -> Pot | None:
        """The pot of the window that is now, where there is one already."""
        tab = self.tabs.get((budget.name, budget.account_unit, subject))
        if tab is None:
            return None
        pot = tab.current
        if pot is not None and pot.start <= now < pot.end:
            return pot
        window = self.window(budget, now)
        return None if window is None else tab.pots.get((window.start, window.end))

    def open(self, pot: Pot) -> Block:
        """A new block for a pot, with nothing granted yet."""
        self.high += 1
        block = Block(serial=self.high, key=pot.key, pot=pot)
        pot.block = block
        self.blocks[block.serial] = block
        self.unwritten.append(journal.opened(block.serial, block.key))
        return block

    def close(self, block: Block) -> None:
        """Spend no more from a block that has nothing reserved. What was used of it is final from here on."""
        block.closing = True
        block.mark = block.used
        if block.pot.block is block:
            block.pot.block = None
        self.write_state(block)

    def give_back(self, block: Block, amount: int) -> None:
        """Spend so much less from a block."""
        block.returned += amount
        block.mark = min(block.mark, block.granted - block.returned)
        self.write_state(block)

    def drop(self, block: Block) -> None:
        """Forget a block."""
        self.blocks.pop(block.serial, None)
        self.unwritten.append(journal.dropped(block.serial))
        pot = block.pot
        if pot.block is block:
            pot.block = None
        if pot.block is None and pot is not pot.tab.current:
            pot.tab.pots.pop((pot.start, pot.end), None)

    def write_state(self, block: Block) -> None:
        """Have the journal say how a block stands."""
        self.unwritten.append(
            journal.state(
                block.serial,
                created=block.created,
                granted=block.granted,
                returned=block.returned,
                mark=block.mark,
                overrun=block.overrun,
                closing=block.closing,
            )
        )

    def drain(self) -> tuple[bytes, bool]:
        """What the journal lacks, and whether that replaces all of it."""
        if not self.unwritten:
            return b"", False
        records = b"".join(self.unwritten)
        self.unwritten.clear()
        whole = self._whole or (self._written + len(records) > _JOURNAL_BYTES + 4 * _BLOCK_BYTES * len(self.blocks))
        if whole:
            kept = sorted(map(_kept, self.blocks.values()), key=attrgetter("serial"))
            records = journal.image(kept, incarnation=self.incarnation, boot=self._boot, high=self.high)
            self._whole, self._written = False, 0
        self._written += len(records)
        return records, whole

    def _recover(self, kept: journal.Kept, now: float) -> None:
        key = kept.key
        tab = self._tab((key.budget, key.unit, key.subject), now)
        # As if just used: should the ledger be away, it is there to be spent.
        tab.active_at = now
        pot = tab.pot(key.start, key.end)
        block = Block(serial=kept.serial, key=key, pot=pot)
        block.created = kept.created
        block.granted = kept.granted
        block.returned = kept.returned
        block.used = block.mark = kept.used
        block.overrun = kept.overrun
        block.closing = kept.closing
        if not block.closing and pot.block is None:
            pot.block = block
        self.blocks[block.serial] = block

    def _tab(self, key: tuple[str, str, str], now: float) -> Tab:
        tab = self.tabs.get(key)
        if tab is None:
            budget, unit, subject = key
            tab = self.tabs[key] = Tab(budget=budget, unit=unit, subject=subject, now=now)
        return tab

    def _has_room(self) -> bool:
        """Whether another subject can be kept, if need be in place of one that is not in use."""
        if len(self.tabs) < self._capacity:
            return True
        for key in [key for key, _ in zip(self.tabs, range(_LOOKS), strict=False)]:
            blocks = [pot.block for pot in self.tabs[key].pots.values() if pot.block is not None]
            if not any(block.reserved for block in blocks):
                for block in blocks:
                    self.close(block)
                del self.tabs[key]
                return True
        return False


def _kept(block: Block) -> journal.Kept:
    return journal.Kept(
        serial=block.serial,
        key=block.key,
        created=block.created,
        granted=block.granted,
        returned=block.returned,
        used=block.mark,
        overrun=block.overrun,
        closing=block.closing,
    )
