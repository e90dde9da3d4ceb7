"""What the API server asks before it stores something, put together from the settings."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pointsman_operator.admission import AdmissionMetrics, AdmissionServer, CaBundles, Certificates
from pointsman_operator.inject import fingerprint
from pointsman_operator.push import Hub
from pointsman_operator.replication import Replication
from pointsman_operator.settings import Settings, WebhookSettings
from pointsman_operator.status import Census, StatusWriter
from pointsman_operator.watch import Cluster, Scan


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """The server, and what has the API server trust it."""

    server: AdmissionServer
    ca_bundles: CaBundles


def webhooks(
    settings: WebhookSettings,
    *,
    certificates: Certificates,
    hub: Hub,
    cluster: Cluster,
    registry: CollectorRegistry,
) -> Webhooks:
    """The webhooks, not started yet."""
    metrics = AdmissionMetrics(registry)
    return Webhooks(
        server=AdmissionServer(
            certificates=certificates, sidecar=settings.sidecar, world=lambda: hub.world, metrics=metrics
        ),
        ca_bundles=CaBundles(
            cluster, configurations=settings.configurations, certificates=certificates, metrics=metrics
        ),
    )


def census(settings: Settings, *, hub: Hub, registry: CollectorRegistry) -> Census | None:
    """What is known of the pods that asked for a sidecar; None where this operator gives none, or watches no pods."""
    if settings.webhooks is None or settings.webhooks.sidecar is None or settings.insecure_claimed_identity:
        return None
    return Census(
        world=lambda: hub.world,
        pods_in=hub.pods_in,
        fingerprint=fingerprint(settings.webhooks.sidecar),
        # As the chart's webhooks have it.
        spared=frozenset({"kube-system", settings.namespace}),
        registry=registry,
    )


def scan_for(
    census: Census | None, *, hub: Hub, cluster: Cluster, writer: StatusWriter, replication: Replication | None
) -> Scan | None:
    """What looks for pods without a sidecar, while this replica is the one that writes."""
    if census is None:
        return None
    scan = Scan(
        hub,
        cluster=cluster,
        census=census,
        leading=lambda: replication is None or replication.leading,
        tell=writer.sidecars_changed,
    )
    if replication is not None:
        replication.subscribe(scan.soon)
    return scan
