"""An account as bytes, as stores keep it: JSON without a field's name that is not needed, since objects are bounded."""

import json
from typing import Any

from pointsman_operator.ledger.accounts import Account, AccountKey, Block, Stamp

_FORMAT = 1


class UnreadableRecordError(ValueError):
    """What is stored is no account that this version can read. It is left as it is: nothing is granted from it."""


def encode(key: AccountKey, account: Account) -> bytes:
    """Write an account. The same account always gives the same bytes."""
    record = [
        _FORMAT,
        [key.budget, key.unit, key.subject, key.start, key.end],
        [account.version, account.era, account.spent, account.overrun],
        [
            [
                block.holder,
                block.serial,
                block.created.era,
                block.created.version,
                block.granted,
                block.returned,
                block.used,
                block.overrun,
            ]
            for _, block in sorted(account.blocks.items())
        ],
        [[fork.era, fork.version] for fork in account.forks],
    ]
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()


def decode(record: bytes) -> tuple[AccountKey, Account]:
    """Read an account.

    Raises:
        UnreadableRecordError: it is none, or of another version.
    """
    try:
        return _read(json.loads(record))
    except (ValueError, TypeError) as error:
        raise UnreadableRecordError(f"the stored account cannot be read: {error}") from error


def _read(record: Any) -> tuple[AccountKey, Account]:
    version, name, numbers, blocks, forks = record
    if version != _FORMAT:
        raise ValueError(f"it has format {version!r}, and this version reads {_FORMAT}")
    budget, unit, subject = (_text(part) for part in name[:3])
    start, end = (_number(part) for part in name[3:])
    key = AccountKey(budget=budget, unit=unit, subject=subject, start=start, end=end)
    account_version, era, spent, overrun = (_number(part) for part in numbers)
    read = [_block(block) for block in blocks]
    return key, Account(
        version=account_version,
        era=era,
        spent=spent,
        overrun=overrun,
        blocks={(block.holder, block.serial): block for block in read},
        forks=tuple(Stamp(era=_number(fork_era), version=_number(at)) for fork_era, at in forks),
    )


def _block(record: Any) -> Block:
    holder, *numbers = record
    serial, era, version, granted, returned, used, overrun = (_number(part) for part in numbers)
    return Block(
        holder=_text(holder),
        serial=serial,
        created=Stamp(era=era, version=version),
        granted=granted,
        returned=returned,
        used=used,
        overrun=overrun,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no whole number")
    return value
