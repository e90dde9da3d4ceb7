"""Several replicas as one, put together from the settings."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from pointsman_operator.election import Elector, Holder
from pointsman_operator.identity import IdentityMetrics, Pacer, Reviewer
from pointsman_operator.push import Hub
from pointsman_operator.quotas import Binding, Forwarder, Keeper, LedgerService, Router
from pointsman_operator.replicas import (
    Fleet,
    HolderLink,
    ReplicaIdentity,
    ReplicasService,
    Reporter,
    Spreader,
    TokenUnreadableError,
    Totals,
    account_of,
    token_in,
)
from pointsman_operator.settings import ReplicaSettings, Settings
from pointsman_operator.tls import ServingCertificates
from pointsman_operator.tuning import TuningKeeper
from pointsman_operator.watch import Cluster, ClusterProofs, OwnLease
from pointsman_operator.writers import Writers

# How long the replica that takes over leaves statuses alone: until the others have found it and said what they know.
GRACE_SECONDS = 5.0


class ReplicationError(Exception):
    """This replica cannot join the others; the message is a sentence that says why."""


class Replication:
    """What this replica is to the others. `run` is the whole life of it, `release` comes before the end.

    `audience` is what the replicas' tokens are made for.
    """

    def __init__(
        self,
        settings: ReplicaSettings,
        *,
        namespace: str,
        audience: str,
        server_name: str,
        hub: Hub,
        fleet: Fleet,
        cluster: Cluster,
        serving: ServingCertificates,
        identity_metrics: IdentityMetrics,
        binding: Binding,
        keeper: Keeper,
        router: Router,
        tuner: TuningKeeper,
        registry: CollectorRegistry,
    ) -> None:
        chance = random.Random()  # noqa: S311 - spreads load, guards nothing
        token = token_in(settings.token_file)
        try:
            account = account_of(token())
        except (TokenUnreadableError, ValueError) as error:
            raise ReplicationError(f"--replica-token-file names {settings.token_file}: {error}") from error
        self._elector = Elector(
            OwnLease(cluster, namespace=namespace, name=settings.lease),
            # A container that was restarted is another replica than the one before it.
            me=Holder(name=f"{settings.name}_{secrets.token_hex(4)}", address=str(settings.advertise)),
            duration=settings.lease_duration.total_seconds(),
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            random=chance.random,
            registry=registry,
        )
        reviewer = Reviewer(
            ClusterProofs(cluster),
            audience=audience,
            pacer=Pacer(clock=time.monotonic, random=chance.random),
            metrics=identity_metrics,
            now=time.time,
        )
        self._fleet = fleet
        identity = ReplicaIdentity(reviewer, account=account)
        self.service = ReplicasService(fleet, tunings=hub.tunings, elector=self._elector, identity=identity)
        self.ledger = LedgerService(
            keeper,
            hub=hub,
            binding=binding,
            elector=self._elector,
            identity=identity,
            proofs=ClusterProofs(cluster),
        )

        def link(event: str) -> HolderLink:
            return HolderLink(
                elector=self._elector,
                ca_bundle=lambda: serving.ca_bundle,
                server_name=server_name,
                token=token,
                random=chance.random,
                event=event,
            )

        self._reporter = Reporter(hub, link=link("the holder of the Lease is not reported to"))
        self._forwarder = Forwarder(
            link=link("the ledger at the holder of the Lease is not reached"), callers=lambda: router.callers
        )
        router.share(self._forwarder, leading=lambda: self._elector.leading)
        self._follow_with(keeper, router, tuner)
        self._spreader = Spreader(hub, totals=self._totals, chance=chance)
        self._grace: asyncio.TimerHandle | None = None

    @property
    def leading(self) -> bool:
        """Whether this replica is the one that writes."""
        return self._elector.leading

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when this replica begins or ceases to lead, and when others do; it must be quick."""
        self._elector.subscribe(listener)

    def follow(self, *, begin: Callable[[], None], pause: Callable[[], None]) -> None:
        """Call `begin` when this replica has to write, and `pause` when it no longer has to."""
        was_leading = False

        def look() -> None:
            nonlocal was_leading
            leading = self._elector.leading
            if leading == was_leading:
                return
            was_leading = leading
            if self._grace is not None:
                self._grace.cancel()
            if leading:
                wait = 0.0 if self._elector.first else GRACE_SECONDS
                self._grace = asyncio.get_running_loop().call_later(wait, begin)
            else:
                pause()

        self._elector.subscribe(look)

    def _follow_with(self, keeper: Keeper, router: Router, tuner: TuningKeeper) -> None:
        """Keep the ledger, and tune, while this replica leads, from the very moment on.

        Compare-and-swap sees to who was late.
        """
        was_leading = False

        def look() -> None:
            nonlocal was_leading
            if self._elector.leading != was_leading:
                was_leading = self._elector.leading
                if was_leading:
                    keeper.begin()
                    tuner.begin()
                else:
                    keeper.pause()
                    tuner.pause()
            router.look()

        self._elector.subscribe(look)

    async def run(self) -> None:
        """Elect, report, forward and spread, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._elector.run())
            tasks.create_task(self._reporter.run())
            tasks.create_task(self._forwarder.run())
            tasks.create_task(self._spreader.run())

    async def release(self) -> None:
        """Give up the Lease, if it is this replica's, so that another one writes."""
        await self._elector.release()

    def _totals(self) -> Totals | None:
        return self._fleet.totals() if self._elector.leading else self._reporter.totals


def replicated(
    settings: Settings,
    *,
    hub: Hub,
    fleet: Fleet,
    writers: Writers,
    cluster: Cluster,
    serving: ServingCertificates,
    identity_metrics: IdentityMetrics,
    binding: Binding,
    keeper: Keeper,
    router: Router,
    tuner: TuningKeeper,
    registry: CollectorRegistry,
) -> Replication | None:
    """What this replica is to the others, and whether it writes; None where it is the only one, which always writes."""
    if settings.replicas is None:
        writers.begin()
        keeper.begin()
        tuner.begin()
        return None
    replication = Replication(
        settings.replicas,
        namespace=settings.namespace,
        audience=f"{settings.audience}/replica",
        server_name=f"{settings.service}.{settings.namespace}.svc",
        hub=hub,
        fleet=fleet,
        cluster=cluster,
        serving=serving,
        identity_metrics=identity_metrics,
        binding=binding,
        keeper=keeper,
        router=router,
        tuner=tuner,
        registry=registry,
    )
    replication.follow(begin=writers.begin, pause=writers.pause)
    return replication
