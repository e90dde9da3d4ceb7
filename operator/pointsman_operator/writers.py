"""What writes statuses, put together."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub
from pointsman_operator.replicas import Fleet
from pointsman_operator.resources import Key, Kind
from pointsman_operator.settings import Settings
from pointsman_operator.status import (
    Census,
    Ledger,
    QuotaGauges,
    QuotaWriter,
    SplitAnnouncer,
    SplitView,
    StatusMetrics,
    StatusWriter,
    split_views,
)
from pointsman_operator.tuning import PolicyState
from pointsman_operator.watch import Cluster, Keeper
from pointsman_operator.world import Change


@dataclass(frozen=True, kw_only=True)
class Writers:
    """The statuses of policies and providers, and those of quotas; one replica writes all of them."""

    statuses: StatusWriter
    quotas: QuotaWriter

    def begin(self) -> None:
        """Write from now on; of quotas only once the ledger has been read, which begins that."""
        self.statuses.begin()

    def pause(self) -> None:
        """Write no more: another replica does."""
        self.statuses.pause()
        self.quotas.pause()


def writers(
    settings: Settings,
    *,
    hub: Hub,
    fleet: Fleet,
    cluster: Cluster,
    keeper: Keeper,
    census: Census | None,
    tuned: Callable[[str], Mapping[str, Any] | None],
    ledger: Ledger,
    instance: str,
    kept: Callable[[str], PolicyState | None],
    registry: CollectorRegistry,
) -> Writers:
    """The writers, not started yet. `instance` is what Events call this replica.

    By a policy's UID, `tuned` gives what its status says of its tuning, and `kept` all that is kept of that.
    """
    metrics = StatusMetrics(registry)

    def observe(kind: Kind, value: Mapping[str, Any]) -> None:
        keeper.observe(kind, Change.WRITTEN, value)

    def now() -> datetime:
        return datetime.now(UTC)

    def splits(key: Key) -> tuple[SplitView, ...] | None:
        policy = hub.world.policies.get(key)
        if policy is None:
            return None
        state = kept(policy.metadata.uid)
        return split_views(policy, None if state is None else state.splits)

    statuses = StatusWriter(
        hub,
        client=cluster,
        sidecars_in=fleet.sidecars_in,
        observe=observe,
        secrets_namespace=settings.namespace,
        now=now,
        metrics=metrics,
        tuned=tuned,
        census=census,
        splits=splits,
        announce=SplitAnnouncer(cluster, instance=instance, now=now).announce,
    )
    fleet.subscribe(statuses.sidecars_changed)
    quotas = QuotaWriter(
        hub,
        client=cluster,
        events=cluster,
        ledger=ledger,
        observe=observe,
        now=now,
        clock=time.monotonic,
        instance=instance,
        metrics=metrics,
    )
    QuotaGauges(quotas=lambda: hub.world.quotas, writing=lambda: quotas.writing, registry=registry)
    return Writers(statuses=statuses, quotas=quotas)
