"""Accounts: one budget, of one subject, in one window, with the blocks that sidecars hold of it.

All that is counted only grows: what the ledger granted of a block, and what its holder says that it used and gave
back. So
a message that comes twice, late or out of order changes nothing: the larger number counts.

What an account has committed is what was spent, and for each open block all that its holder may still use. Only a
holder itself can make that less, by giving back or closing; when the ledger gives a holder up, the whole block counts
as spent. So giving up is safe at any time, also for a holder that is alive and goes on spending.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

NO_BLOCKS: Mapping[tuple[str, int], "Block"] = MappingProxyType({})
# What one account keeps of the times at which its store lost something.
_FORKS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKey:
    """Names an account.

    The budget is named, never its object's UID: deleted and made again, it finds its accounts as they were. The unit is
    part of the name because amounts of different units cannot be added.
    """

    budget: str
    unit: str
    subject: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """A point in an account's history: its version, and the era, which ends when the store loses something."""

    era: int
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A part of an account that one sidecar may spend.

    Attributes:
        granted: all that was ever granted of it; the ledger's number.
        returned: what of it was given back; the holder's number, as are `used` and `overrun`.
        used: what was spent.
        overrun: what single calls used above the bound that was reserved for them; part of `used`.
    """

    holder: str
    serial: int
    created: Stamp
    granted: int = 0
    returned: int = 0
    used: int = 0
    overrun: int = 0

    @property
    def committed(self) -> int:
        """What it takes from the account: all that may still be used, or what was, if that is more."""
        return max(self.granted - self.returned, self.used)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a holder says of a block: absolute numbers, so that saying them again changes nothing."""

    returned: int = 0
    used: int = 0
    overrun: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One budget of one subject in one window.

    Attributes:
        version: counts what was stored of it.
        spent, overrun: what closed blocks used, and what of that was above single calls' bounds.
        forks: where it stood when eras began.
    """

    version: int = 0
    era: int = 0
    spent: int = 0
    overrun: int = 0
    blocks: Mapping[tuple[str, int], Block] = field(default_factory=lambda: NO_BLOCKS)
    forks: tuple[Stamp, ...] = ()

    @property
    def committed(self) -> int:
        """Spent + held: what may not be granted again."""
        return self.spent + sum(block.committed for block in self.blocks.values())

    @property
    def used(self) -> int:
        """What is known to have been spent."""
        return self.spent + sum(block.used for block in self.blocks.values())

    @property
    def held(self) -> int:
        """What sidecars hold and, as far as is known, have not spent."""
        return self.committed - self.used

    @property
    def overruns(self) -> int:
        """What single calls used above their own bounds."""
        return self.overrun + sum(block.overrun for block in self.blocks.values())


def is_behind(account: Account, seen: Stamp) -> bool:
    """Whether somebody has seen more of the account's history than this."""
    return (account.era, account.version) < (seen.era, seen.version)


def next_stamp(account: Account, *, era: int) -> Stamp:
    """The stamp of the account's next version. An era never falls, also in a store that it was moved to."""
    return Stamp(era=max(era, account.era), version=account.version + 1)


def with_block(account: Account, block: Block, *, era: int) -> Account:
    """The account after this block was added to it or changed."""
    return _written(account, era=era, blocks={**account.blocks, (block.holder, block.serial): block})


def with_report(account: Account, block: Block) -> Account:
    """The account after more was heard of what is used of this block. Not to be stored, so of the same version."""
    return replace(account, blocks={**account.blocks, (block.holder, block.serial): block})


def heard_of(block: Block, said: Said) -> Block:
    """The block after its holder spoke. Nothing that was used can be given back."""
    used = max(block.used, said.used)
    return replace(
        block,
        used=used,
        returned=max(block.returned, min(said.returned, block.granted - used)),
        overrun=max(block.overrun, said.overrun),
    )


def closed(account: Account, block: Block, *, era: int) -> Account:
    """The account after the holder closed the block: what it used is spent, the rest is free."""
    return _without(account, block, spent=block.used, era=era)


def given_up(account: Account, block: Block, *, era: int) -> Account:
    """The account after the ledger gave the block's holder up: all that it may have used is spent."""
    return _without(account, block, spent=block.committed, era=era)


def was_lost(account: Account, created: Stamp, *, era: int) -> bool:
    """Whether the store lost the making of a block with this stamp, given the era that it is in now."""
    forks = account.forks
    if account.era < era:
        # Nothing was written to it since: it is as the store had it when the new era began.
        forks = (*forks, Stamp(era=era, version=account.version))
    return any(fork.era > created.era and fork.version < created.version for fork in forks)


def _without(account: Account, block: Block, *, spent: int, era: int) -> Account:
    blocks = dict(account.blocks)
    del blocks[block.holder, block.serial]
    return _written(
        account, era=era, blocks=blocks, spent=account.spent + spent, overrun=account.overrun + block.overrun
    )


def spent_unseen(account: Account, said: Said, *, era: int) -> Account:
    """The account after a closed block came to light that the store had lost altogether."""
    return _written(
        account,
        era=era,
        blocks=account.blocks,
        spent=account.spent + said.used,
        overrun=account.overrun + said.overrun,
    )


def _written(
    account: Account,
    *,
    era: int,
    blocks: Mapping[tuple[str, int], Block],
    spent: int | None = None,
    overrun: int | None = None,
) -> Account:
    forks = account.forks
    if account.era < era:
        forks = (*forks, Stamp(era=era, version=account.version))[-_FORKS:]
    return Account(
        version=account.version + 1,
        era=max(era, account.era),
        spent=account.spent if spent is None else spent,
        overrun=account.overrun if overrun is None else overrun,
        blocks=blocks,
        forks=forks,
    )
