"""Budgets for real: sidecars' streams, the ledger's edge, and its stores.

`QuotasService` tells sidecars their budgets and takes their calls; `Router` brings these to the `Keeper`, which keeps
the ledger on one replica, or by a `Forwarder` to the `LedgerService` of the replica that does. A `Store` is what the
ledger's word rests on: `MemoryStore`, `SqliteStore`, `RedisStore`, and the cluster's, which is `watch.OwnLedger`; a
`Fence` stands in one while it is moved. `shards` says, purely, how the cluster's spreads accounts over objects, and
`Pace` how fast they are written.
"""

from pointsman_operator.quotas import moving
from pointsman_operator.quotas.binding import Binding
from pointsman_operator.quotas.fences import Fence, Movable, StoreFencedError
from pointsman_operator.quotas.forwarding import Forwarder, LedgerService
from pointsman_operator.quotas.keeper import Asked, Keeper
from pointsman_operator.quotas.metrics import LedgerMetrics, StoreMetrics
from pointsman_operator.quotas.pacing import Pace
from pointsman_operator.quotas.redis_endpoint import DEFAULT_PREFIX, RedisEndpoint, RedisUrlError, read_url
from pointsman_operator.quotas.redis_store import RedisStore
from pointsman_operator.quotas.router import Router
from pointsman_operator.quotas.service import QuotasService
from pointsman_operator.quotas.sqlite import SqliteStore
from pointsman_operator.quotas.stores import (
    Era,
    MemoryStore,
    Store,
    StoreConflictError,
    StoreFullError,
    StoreUnavailableError,
)
from pointsman_operator.quotas.user_key import UserKey

__all__ = [
    "DEFAULT_PREFIX",
    "Asked",
    "Binding",
    "Era",
    "Fence",
    "Forwarder",
    "Keeper",
    "LedgerMetrics",
    "LedgerService",
    "MemoryStore",
    "Movable",
    "Pace",
    "QuotasService",
    "RedisEndpoint",
    "RedisStore",
    "RedisUrlError",
    "Router",
    "SqliteStore",
    "Store",
    "StoreConflictError",
    "StoreFencedError",
    "StoreFullError",
    "StoreMetrics",
    "StoreUnavailableError",
    "UserKey",
    "moving",
    "read_url",
]
