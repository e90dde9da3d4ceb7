"""Moving a ledger from one store to another, by a file of lines: nothing is lost, and nothing is granted twice.

The source is fenced before it is read, and the target is until all of it has been written.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.records import UnreadableRecordError, decode, encode
from pointsman_operator.quotas.fences import Fence, Movable
from pointsman_operator.quotas.shards import shard_of

_FORMAT = 1
_AT_ONCE = 200


class MoveError(Exception):
    """The ledger cannot be moved so; nothing was changed that matters. The message says what to do."""


async def export(store: Movable, *, at: str) -> str:
    """Fence a store for good, and give all that is in it as lines. Again, it gives the same."""
    fence = await store.fence()
    if fence is not None and fence.why != "exported":
        raise MoveError(f"{store} is being imported itself, since {fence.at}: finish that first")
    if fence is None:
        await store.put_fence(Fence(why="exported", at=at))
    return written(await store.read())


async def take(store: Movable, text: str, *, at: str) -> int:
    """Import what was exported, and let it be used; how many accounts. What an import broke off is gone on with."""
    accounts = read(text)
    fence = await store.fence()
    if fence is not None and fence.why != "importing":
        raise MoveError(
            f"{store} was exported itself, at {fence.at}; take it up again with `pointsman-operator ledger reopen`, or "
            "delete what is in it, if that was moved on"
        )
    if fence is None:
        # Before it is looked at: an operator that uses it already cannot write from here on.
        await store.put_fence(Fence(why="importing", at=at))
    there = await store.read()
    # By their shards, so that no object of the cluster is written more often than it must be.
    missing = sorted((key for key, account in accounts.items() if there.get(key) != account), key=shard_of)
    others = [key for key, account in there.items() if accounts.get(key) != account]
    if others:
        if fence is None:
            await store.put_fence(None)
        raise MoveError(
            f"{store} has {len(others)} accounts that the file has not, or has otherwise, such as one of "
            f"{others[0].budget}: nothing was imported. Import into an empty store"
        )
    for first in range(0, len(missing), _AT_ONCE):
        await store.write({key: accounts[key] for key in missing[first : first + _AT_ONCE]})
    await store.put_fence(None)
    return len(accounts)


async def reopen(store: Movable) -> None:
    """Use a store again that was exported."""
    fence = await store.fence()
    if fence is None:
        raise MoveError(f"{store} is in use: it needs no reopening")
    if fence.why == "importing":
        raise MoveError(f"an import into {store} did not finish: run it again")
    await store.put_fence(None)


def written(accounts: Mapping[AccountKey, Account]) -> str:
    """Accounts as lines, after one that tells their number and a checksum."""
    lines = sorted(encode(key, account).decode() for key, account in accounts.items())
    head = {"pointsmanLedger": _FORMAT, "accounts": len(lines), "sha256": _checksum(lines)}
    return "".join(f"{line}\n" for line in (json.dumps(head), *lines))


def read(text: str) -> dict[AccountKey, Account]:
    """Read the lines. Raise MoveError where they are not whole."""
    head, *lines = text.splitlines() or [""]
    try:
        told = json.loads(head)
        version, number, checksum = told["pointsmanLedger"], told["accounts"], told["sha256"]
    except (ValueError, TypeError, LookupError) as error:
        raise MoveError("this is no exported ledger: it does not begin as one") from error
    if version != _FORMAT:
        raise MoveError(f"the exported ledger has format {version!r}, and this version reads {_FORMAT}")
    if len(lines) != number or _checksum(lines) != checksum:
        raise MoveError(f"the exported ledger is not whole: of {number} accounts there are {len(lines)}, or changed")
    try:
        return dict(decode(line.encode()) for line in lines)
    except UnreadableRecordError as error:
        raise MoveError(f"the exported ledger cannot be used: {error}") from error


def _checksum(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
