"""How accounts are spread over objects: pure.

Which object an account is in follows from its budget and subject alone, and never changes. So two replicas that do not
know of each other cannot make the same account in two places, and nothing is ever moved.
"""

import hashlib
from collections.abc import Iterable, Mapping

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.records import decode, encode

# Many, so that a write carries little beside what changed: etcd keeps each version of an object whole. They are made as
# they are needed.
SHARDS = 1024
# Of an object's data. etcd takes 1.5 MiB; but large objects are what a store of small changes chokes on.
MOST_BYTES = 64 * 1024 - 2048
_NAME_BYTES = 40


def shard_of(key: AccountKey) -> int:
    """The shard that an account is in, the same for all windows."""
    return int.from_bytes(_hash(key.budget, key.subject)[:4]) % SHARDS


def object_name(shard: int) -> str:
    """What a shard's object is called."""
    return f"pointsman-ledger-{shard:03x}"


def entry_name(key: AccountKey) -> str:
    """What an account is called within its object."""
    return _hash(key.budget, key.unit, key.subject, str(key.start), str(key.end)).hex()[:32]


def entries(changes: Mapping[AccountKey, Account | None]) -> dict[str, str | None]:
    """Changes of one shard's accounts, as a merge patch of its data."""
    return {
        entry_name(key): None if account is None else encode(key, account).decode() for key, account in changes.items()
    }


def accounts_in(data: Mapping[str, str]) -> Iterable[tuple[AccountKey, Account]]:
    """The accounts of an object. Raise UnreadableRecordError if there is anything else in it."""
    return (decode(record.encode()) for record in data.values())


def size(data: Mapping[str, int]) -> int:
    """How large an object's data is, by its entries' lengths."""
    return sum(data.values()) + _NAME_BYTES * len(data)


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
