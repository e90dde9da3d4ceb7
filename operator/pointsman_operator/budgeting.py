"""The ledger and what serves it, put together."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, Identifier
from pointsman_operator.quotas import (
    Binding,
    Keeper,
    LedgerMetrics,
    Pace,
    QuotasService,
    RedisStore,
    Router,
    StoreMetrics,
    UserKey,
)
from pointsman_operator.quotas.user_key import USER_KEY_ENTRY, USER_KEY_SECRET
from pointsman_operator.settings import Settings
from pointsman_operator.watch import Cluster, OwnLedger, OwnSecrets

OWN_KEYS = frozenset({(USER_KEY_SECRET, USER_KEY_ENTRY)})
"""What is to be kept of the operator's own Secrets."""
_SESSION_BITS = 63


@dataclass(frozen=True, kw_only=True)
class Budgeting:
    """What keeps budgets, on each replica; on one of them the keeper keeps the ledger."""

    binding: Binding
    keeper: Keeper
    pace: Pace
    router: Router
    user_key: UserKey

    def service(self, hub: Hub, *, identifier: Identifier) -> QuotasService:
        """What serves sidecars."""
        return QuotasService(
            hub,
            identifier=identifier,
            router=self.router,
            binding=self.binding,
            user_key=self.user_key.value,
            random=random.random,
        )


def budgeting(
    settings: Settings,
    *,
    hub: Hub,
    cluster: Cluster,
    moved: Callable[[frozenset[str]], None],
    opened: Callable[[], None],
    registry: CollectorRegistry,
) -> Budgeting:
    """All of it, not started yet. `moved` and `opened` are as of Keeper."""
    pace = Pace(clock=time.monotonic)
    metrics = StoreMetrics(registry)
    keeper = Keeper(
        OwnLedger(cluster, namespace=settings.namespace, pace=pace, metrics=metrics)
        if settings.ledger is None
        else RedisStore(settings.ledger, metrics=metrics),
        now=time.time,
        clock=time.monotonic,
        fresh_session=lambda: secrets.randbits(_SESSION_BITS) + 1,
        metrics=LedgerMetrics(registry),
        moved=moved,
        opened=opened,
        behind=lambda: pace.behind,
    )
    binding = Binding(hub, now=time.time)
    return Budgeting(
        binding=binding,
        keeper=keeper,
        pace=pace,
        router=Router(keeper, binding=binding),
        user_key=UserKey(hub, secrets=OwnSecrets(cluster, namespace=settings.namespace), namespace=settings.namespace),
    )
