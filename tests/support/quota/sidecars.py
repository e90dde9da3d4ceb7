"""A sidecar around the pure holdings: its calls in flight, and its journal on a disk that outlives it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pointsman_operator.ledger.accounts import AccountKey
from pointsman_sidecar.quota import journal
from pointsman_sidecar.quota.blocks import Block
from pointsman_sidecar.quota.budgets import Budget
from pointsman_sidecar.quota.holdings import Holdings
from pointsman_sidecar.quota.journal import Kept
from pointsman_sidecar.quota.messages import Call
from pointsman_sidecar.quota.outcomes import Charge, Reservation, Shortage
from support.quota.wires import theirs_key

BOOT = "boot"


@dataclass(kw_only=True)
class InFlight:
    """A call that is being made, and what it takes of which account at most."""

    reservation: Reservation
    bounds: tuple[tuple[AccountKey, int], ...]


@dataclass(kw_only=True)
class ModelSidecar:
    """One pod. `holdings` is None while its process does not run; `process` counts those that did."""

    pod: str
    skew: float = 0.0
    holdings: Holdings | None = None
    journal: bytes = b""
    process: int = 0
    incarnation: str = ""
    in_flight: list[InFlight] = field(default_factory=list)
    outstanding: Call | None = None

    @property
    def holder(self) -> str:
        """Its name in the ledger."""
        return f"{self.pod}/{self.incarnation}"

    @property
    def running(self) -> Holdings:
        """The process, which runs."""
        assert self.holdings is not None
        return self.holdings

    def kept(self) -> Sequence[Kept]:
        """The blocks that the journal has."""
        recovered = journal.read(self.journal, boot=BOOT)
        return () if recovered is None else recovered.blocks

    def blocks(self) -> Sequence[Kept | Block]:
        """The blocks that it holds, or would once its process runs."""
        return self.kept() if self.holdings is None else list(self.holdings._desk.blocks.values())

    def has(self, serial: int) -> bool:
        """Whether its process holds this block."""
        return serial in self.running._desk.blocks

    def start(self, budgets: list[Budget], *, fresh: str, now: float, keep_journal: bool) -> None:
        """Begin a process, with what the journal says or without."""
        recovered = journal.read(self.journal, boot=BOOT) if keep_journal else None
        self.process += 1
        self.incarnation = fresh if recovered is None else recovered.incarnation
        self.holdings = Holdings(incarnation=fresh, boot=BOOT, now=now + self.skew, recovered=recovered)
        self.holdings.bind(budgets)
        self.write()

    def write(self, *, torn: int | None = None) -> None:
        """Write the journal; only so many bytes of it, where the process ends within the write."""
        records, whole = self.running.drain()
        if torn is not None and not whole:
            records = records[: min(torn, max(0, len(records) - 1))]
        if torn is not None and whole:
            return
        self.journal = records if whole else self.journal + records

    def reserve(self, charges: list[Charge], now: float) -> Reservation | Shortage:
        """Reserve, and remember the call."""
        outcome = self.running.reserve(charges, now=now + self.skew)
        if isinstance(outcome, Reservation):
            bounds = tuple(
                (theirs_key(block.key), bound)
                for block, bound in zip(outcome.parts, outcome.bounds, strict=True)
                if block is not None
            )
            self.in_flight.append(InFlight(reservation=outcome, bounds=bounds))
        return outcome
