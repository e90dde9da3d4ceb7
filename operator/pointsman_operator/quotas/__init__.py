"""Budgets for real: sidecars' streams, the ledger's edge, and its stores.

`QuotasService` tells sidecars their budgets and takes their calls; `Router` brings these to the `Keeper`, which keeps
the ledger on one replica, or by a `Forwarder` to the `LedgerService` of the replica that does. A `Store` is what the
ledger's word rests on: `MemoryStore`, `SqliteStore`, and the cluster's, which is `watch.OwnLedger`. `shards` says,
purely, how that spreads accounts over objects, and `Pace` how fast they are written.
"""

from pointsman_operator.quotas.binding import Binding
from pointsman_operator.quotas.forwarding import Forwarder, LedgerService
from pointsman_operator.quotas.keeper import Asked, Keeper
from pointsman_operator.quotas.metrics import LedgerMetrics, StoreMetrics
from pointsman_operator.quotas.pacing import Pace
from pointsman_operator.quotas.router import Router
from pointsman_operator.quotas.service import QuotasService
from pointsman_operator.quotas.sqlite import SqliteStore
from pointsman_operator.quotas.stores import (
    MemoryStore,
    Store,
    StoreConflictError,
    StoreFullError,
    StoreUnavailableError,
)
from pointsman_operator.quotas.user_key import UserKey

__all__ = [
    "Asked",
    "Binding",
    "Forwarder",
    "Keeper",
    "LedgerMetrics",
    "LedgerService",
    "MemoryStore",
    "Pace",
    "QuotasService",
    "Router",
    "SqliteStore",
    "Store",
    "StoreConflictError",
    "StoreFullError",
    "StoreMetrics",
    "StoreUnavailableError",
    "UserKey",
]
