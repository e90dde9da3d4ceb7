"""What the sidecar and the ledger say to each other, as values. `quota.proto` is the same on the wire.

The operator has classes of its own for them: the planes share the contract and nothing else.
"""

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKey:
    """Names an account: a budget, its unit, the subject and the window."""

    budget: str
    unit: str
    subject: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """When the ledger made a block, as it told it. Nothing to the sidecar, which says it again."""

    era: int
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A block as this sidecar has it. `total` and `needed` are what it wants the grants to come to, in total."""

    key: AccountKey
    serial: int
    created: Stamp | None = None
    granted: int = 0
    returned: int = 0
    used: int = 0
    overrun: int = 0
    total: int = 0
    needed: int = 0
    least: int = 0
    closed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """To the ledger. A call that declares names all blocks that there are."""

    id: int
    session: int
    declares: bool = False
    high: int = 0
    items: tuple[Item, ...] = ()


class BlockState(Enum):
    """What the ledger knows of a block."""

    OPEN = auto()
    CLOSED = auto()
    GONE = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The ledger's answer on one block."""

    serial: int
    state: BlockState
    granted: int = 0
    returned: int = 0
    created: Stamp | None = None
    short: bool = False
    keep: int | None = None
    limit: int | None = None
    used: int = 0
    held: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """From the ledger.

    `declare` says that the call was not heard: declare all blocks first, under this session. For `grants_after` seconds
    nothing is granted, of any budget.
    """

    id: int
    session: int
    now: float
    report_after: float
    retry_after: float
    grants_after: float = 0.0
    declare: bool = False
    verdicts: tuple[Verdict, ...] = ()
