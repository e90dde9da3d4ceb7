"""What sidecars and the ledger say to each other, as values. `quota.proto` is the same on the wire.

The sidecar has classes of its own for them: the planes share the contract and nothing else.
"""

from dataclasses import dataclass
from enum import Enum, auto

from pointsman_operator.ledger.accounts import AccountKey, Said, Stamp
from pointsman_operator.ledger.sizing import Wish


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A block as its holder has it.

    Attributes:
        serial: the holder's number for the block. It numbers its blocks upwards and never uses a number again.
        granted: what it was told that it was granted. Believed only where the store has lost something.
        created: the stamp that it was told. None until then: the block is to be made.
        total: what it wants the block's grants to come to, in total; so that a repeated wish is not granted twice.
        needed: how much of that a waiting request needs, in total; 0 where none waits.
        least: its largest reservation of late.
        closed: whether it is done with the block; what it said of it is final.
    """

    key: AccountKey
    serial: int
    said: Said
    granted: int = 0
    created: Stamp | None = None
    total: int = 0
    needed: int = 0
    least: int = 0
    closed: bool = False

    def wish(self, granted: int) -> Wish:
        """What is still wished for when so much was granted already."""
        return Wish(wanted=self.total - granted, needed=max(0, self.needed - granted), least=self.least)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """From a sidecar.

    Attributes:
        holder: the pod's UID and the sidecar's incarnation, as the operator verified them.
        session: what the ledger last told this holder; 0 where it has told nothing yet.
        declares: whether `items` are all blocks that the holder has, those among them that it closed of late.
        high: the highest serial that it has used, where it declares.
    """

    id: int
    holder: str
    session: int
    declares: bool = False
    high: int = 0
    items: tuple[Item, ...] = ()


class BlockState(Enum):
    """What the ledger knows of a block after a call."""

    OPEN = auto()
    # Settled, now or before: the holder may forget it.
    CLOSED = auto()
    # There is none: nothing could be granted, or its holder was given up. Nothing more may be spent from it.
    GONE = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer on one block.

    Attributes:
        created: the block's stamp, which may be another than before where the store had lost the block. Of a closed
            one, only where this very call settled it.
        short: whether less was granted than needed. The holder does not ask again before `Reply.retry_after`.
        keep: how much of what it does not use the holder may keep; None where it may keep all.
        limit, used, held: how the account stands. `limit` is None where there is no such budget (any more).
    """

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
    """To a sidecar.

    Attributes:
        declare: whether the call was not heard, because the ledger does not know (any more) what the sidecar holds:
            it is to say so, under this session.
        now: the ledger's clock, by which windows begin and end.
        report_after: when to speak of open blocks again, in seconds.
        retry_after: when to ask again for what was short, in seconds.
        grants_after: for how many seconds nothing is granted yet, of any budget.
    """

    id: int
    session: int
    now: float
    report_after: float
    retry_after: float
    grants_after: float = 0.0
    declare: bool = False
    verdicts: tuple[Verdict, ...] = ()
