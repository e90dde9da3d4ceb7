"""What a sidecar has in its hands: blocks, in pots, on tabs.

A tab is a budget for one subject and outlives windows; it knows how fast is spent. A pot is its part in one window, and
has at most one block to spend from.
"""

from pointsman_sidecar.quota.messages import AccountKey, Item, Stamp
from pointsman_sidecar.quota.rates import Rate


class Block:
    """A part of an account that this sidecar may spend.

    Attributes:
        mark: how far, at most, `used + reserved` has come by what the journal says. It is written before it is
            passed, so that after a crash all below it counts as used, and the rest can be used still.
        asked_in: the call that asked for it first.
        said_used, said_at: what the ledger was told last, and when.
        closing: nothing more is spent from it; it stays until the ledger has confirmed.
        gone: the ledger has no such block (any more), and counts what was held of it as spent.
    """

    __slots__ = (
        "asked_in",
        "closing",
        "created",
        "gone",
        "granted",
        "key",
        "mark",
        "overrun",
        "pot",
        "reserved",
        "returned",
        "said_at",
        "said_used",
        "serial",
        "used",
    )

    def __init__(self, *, serial: int, key: AccountKey, pot: "Pot") -> None:
        self.serial = serial
        self.key = key
        self.pot = pot
        self.created: Stamp | None = None
        self.granted = 0
        self.returned = 0
        self.used = 0
        self.reserved = 0
        self.overrun = 0
        self.mark = 0
        self.asked_in = 0
        self.said_used = 0
        self.said_at = float("-inf")
        self.closing = False
        self.gone = False

    @property
    def free(self) -> int:
        """What can still be reserved."""
        return self.granted - self.returned - self.used - self.reserved

    def item(self, *, want: int = 0, need: int = 0, least: int = 0) -> Item:
        """The block as the ledger is told of it, with what is wanted and needed beyond what is taken."""
        taken = self.returned + self.used + self.reserved
        return Item(
            key=self.key,
            serial=self.serial,
            created=self.created,
            granted=self.granted,
            returned=self.returned,
            used=self.used,
            overrun=self.overrun,
            total=taken + want if want else 0,
            needed=taken + need if need else 0,
            least=least,
            closed=self.closing,
        )


class Pot:
    """A budget for one subject in one window.

    Attributes:
        limit, used: how the account stood when the ledger last spoke; `limit` of None: it has not.
        own: what of `used` was this sidecar's open block's.
        dry_until: until then the ledger need not be asked again: it had too little.
        waiting, largest_waiting: what requests wait for, in sum and at most.
    """

    __slots__ = (
        "block",
        "dry_until",
        "end",
        "held",
        "largest_waiting",
        "limit",
        "own",
        "start",
        "tab",
        "used",
        "waiting",
    )

    def __init__(self, *, tab: "Tab", start: int, end: int) -> None:
        self.tab = tab
        self.start = start
        self.end = end
        self.block: Block | None = None
        self.limit: int | None = None
        self.used = 0
        self.held = 0
        self.own = 0
        self.dry_until = float("-inf")
        self.waiting = 0
        self.largest_waiting = 0

    @property
    def key(self) -> AccountKey:
        """The account."""
        tab = self.tab
        return AccountKey(budget=tab.budget, unit=tab.unit, subject=tab.subject, start=self.start, end=self.end)

    @property
    def known_used(self) -> int:
        """What is known to have been spent: by all when the ledger last spoke, by this sidecar up to now."""
        return known_used(self)

    @property
    def known_held(self) -> int:
        """What is known to be held and not spent: what this sidecar has spent since then is held no more."""
        return max(0, self.held - (self.known_used - self.used))


def known_used(pot: Pot) -> int:
    """What is known to have been spent of a pot's account. Each request asks, and a property takes twice as long."""
    block = pot.block
    if block is None or block.used <= pot.own:
        return pot.used
    return pot.used + block.used - pot.own


class Tab:
    """A budget for one subject.

    `least` is its largest reservation of late; a pot with less than `low` free runs low.
    """

    __slots__ = ("active_at", "budget", "current", "least", "low", "pots", "rate", "subject", "unit")

    def __init__(self, *, budget: str, unit: str, subject: str, now: float) -> None:
        self.budget = budget
        self.unit = unit
        self.subject = subject
        self.rate = Rate(now=now)
        self.least = 0
        self.low = 0.0
        self.active_at = float("-inf")
        self.pots: dict[tuple[int, int], Pot] = {}
        self.current: Pot | None = None

    def pot(self, start: int, end: int) -> Pot:
        """The pot of a window."""
        pot = self.pots.get((start, end))
        if pot is None:
            pot = self.pots[start, end] = Pot(tab=self, start=start, end=end)
        return pot
